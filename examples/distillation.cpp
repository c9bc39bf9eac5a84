// Distills a large classifier of digits into a small one, which learns a digit that it has never
// been shown.
#include "common.h"

using namespace ebb;

namespace {

constexpr int64_t kClasses = 10, kHidden = 3;  // kHidden is never shown to the small ones
constexpr double kTemperature = 8;             // makes small probabilities of the teacher larger

nn::Sequential make_model(const examples::Flags& flags, int64_t width, double dropout) {
  manual_seed(flags.seed);
  nn::Sequential model(nn::Linear(64, width), nn::ReLU(), nn::Dropout(dropout),
                       nn::Linear(width, kClasses));
  model.to(Device::parse(flags.device));
  return model;
}

data::Dataset without_hidden_digit(const data::Dataset& digits) {
  std::vector<int64_t> others;
  const std::vector<int64_t> classes = digits.targets().to_vector<int64_t>();
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] != kHidden) others.push_back(static_cast<int64_t>(i));
  }
  return digits.take(from_data(others, {static_cast<int64_t>(others.size())}));
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 80;
  defaults.batch_size = 32;
  defaults.lr = 2e-3;
  defaults.data = EBB_DATA_DIR "/digits.csv.gz";
  defaults.out = "runs/distillation";
  return examples::run(
      argc, argv, "A large classifier distilled into a small one", defaults,
      [](const examples::Flags& flags) {
        const data::Dataset digits = data::load_digits(flags.data);
        // The split is the same for every seed.
        const data::Split split = data::stratified_split(digits.targets(), 0.25, 0);
        const data::Dataset train = digits.take(split.train), test = digits.take(split.test);
        const data::Dataset shown = without_hidden_digit(train);
        examples::Comparison comparison(flags);

        nn::Sequential teacher = make_model(flags, 256, 0.3);
        if (!comparison.train("teacher", teacher, train, nn::CrossEntropyLoss())) return 130;

        // The small classifier learns more than the class: it also learns how similar the teacher
        // finds the image to each other digit.
        const data::Dataset lessons(shown.inputs(),
                                    softmax(nn::predict(teacher, shown) / kTemperature, 1));
        const nn::KLDivLoss divergence({.reduction = nn::Reduction::BatchMean});
        const auto distil = [&](const Tensor& scores, const Tensor& probabilities) {
          return divergence(log_softmax(scores / kTemperature, 1), probabilities) *
                 (kTemperature * kTemperature);
        };

        nn::Sequential pupil = make_model(flags, 16, 0), alone = make_model(flags, 16, 0);
        if (!comparison.train("labels", alone, shown, nn::CrossEntropyLoss())) return 130;
        if (!comparison.train("distilled", pupil, lessons, distil)) return 130;

        const nn::ConfusionMatrix large = nn::evaluate(teacher, test, kClasses),
                                  hard = nn::evaluate(alone, test, kClasses),
                                  soft = nn::evaluate(pupil, test, kClasses);
        const auto row = [](const char* name, const nn::Sequential& model,
                            const nn::ConfusionMatrix& matrix) {
          std::printf("%-42s %10lld %9.1f %% %11.1f %%\n", name,
                      static_cast<long long>(model.parameter_count()), 100 * matrix.accuracy(),
                      100 * matrix.recall(kHidden));
        };
        std::printf(
            "\nclassifier                                 parameters    accuracy  recall of %lld\n",
            static_cast<long long>(kHidden));
        row("large, all digits, CrossEntropy", teacher, large);
        row("small, no 3, CrossEntropy on the labels", alone, hard);
        row("small, no 3, KLDiv from the large one", pupil, soft);
        std::printf(
            "\nThe small classifier that learned from the large one's probabilities %s:\n"
            "it recognizes %.1f %% of the 3s in the test set, the one that learned from labels "
            "%.1f %%.\n",
            soft.recall(kHidden) > 0.5 ? "knows a digit that it was never shown"
                                       : "does not know the digit that it was never shown",
            100 * soft.recall(kHidden), 100 * hard.recall(kHidden));
        return 0;
      });
}
