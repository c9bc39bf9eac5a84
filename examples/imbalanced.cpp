// Finds rare classes with class weights, in 58,000 sensor readings of a Space Shuttle; 79 % are of
// one class.
#include "common.h"

using namespace ebb;

namespace {

const std::vector<std::string> kNames{"Rad Flow", "Fpv Close", "Fpv Open", "High",
                                      "Bypass",   "Bpv Close", "Bpv Open"};
const auto kClasses = static_cast<int64_t>(kNames.size());

// Reads the data: inputs (N, 9) are the readings, targets (N) the classes.
data::Dataset load_shuttle(const std::string& path) {
  const Tensor table = data::read_csv(path, {.dtype = f32}).values;
  if (table.size(1) != 10) fail("imbalanced", path, ": expected 10 columns, got ", table.size(1));
  return {slice(table, 1, 0, 9), (select(table, 1, 9) - 1).to(i64), kNames};
}

// Scales each sensor to mean 0 and deviation 1 over the training set, and limits it to 5
// deviations, because some readings are far off.
data::Dataset standardized(const data::Dataset& dataset, const data::Dataset& train) {
  const Tensor center = mean(train.inputs(), {0}, true);
  const Tensor deviation = sqrt(mean(square(train.inputs() - center), {0}, true));
  return {clamp((dataset.inputs() - center) / deviation, -5, 5), dataset.targets(), kNames};
}

std::vector<int64_t> count_classes(const data::Dataset& dataset) {
  return sum(one_hot(dataset.targets(), kClasses), {0}).to_vector<int64_t>();
}

// Returns N / (classes * samples of the class), so that every class has the same total weight.
Tensor balancing_weights(const data::Dataset& dataset) {
  std::vector<float> weights;
  for (int64_t n : count_classes(dataset)) {
    weights.push_back(static_cast<float>(dataset.size()) / static_cast<float>(kClasses * n));
  }
  return from_data(weights, {kClasses});
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 15;
  defaults.batch_size = 256;
  defaults.lr = 3e-3;
  defaults.data = EBB_DATA_DIR "/shuttle.csv.gz";
  defaults.out = "runs/imbalanced";
  return examples::run(
      argc, argv, "Rare classes found with class weights", defaults,
      [](const examples::Flags& flags) {
        const data::Dataset shuttle = load_shuttle(flags.data);
        // The split is the same for every seed.
        const data::Split split = data::stratified_split(shuttle.targets(), 0.25, 0);
        const data::Dataset readings = shuttle.take(split.train);
        const data::Dataset train = standardized(readings, readings),
                            test = standardized(shuttle.take(split.test), readings);
        const Device device = Device::parse(flags.device);
        const Tensor weight = balancing_weights(train).to(device);

        // All three start from the same parameters. NLLLoss expects log-probabilities,
        // CrossEntropyLoss scores.
        examples::Comparison comparison(flags);
        std::vector<nn::ConfusionMatrix> results;
        const auto train_and_test = [&](const char* name, bool log_softmax,
                                        const nn::LossFunction& loss) {
          manual_seed(flags.seed);
          nn::Sequential model(nn::Linear(9, 32), nn::ReLU(), nn::Linear(32, kClasses));
          if (log_softmax) model.push_back(nn::LogSoftmax(1));
          model.to(device);
          if (!comparison.train(name, model, train, loss)) return false;
          results.push_back(nn::evaluate(model, test, kClasses));
          return true;
        };
        if (!train_and_test("cross_entropy", false, nn::CrossEntropyLoss()) ||
            !train_and_test("cross_entropy_weighted", false,
                            nn::CrossEntropyLoss({.weight = weight})) ||
            !train_and_test("nll_weighted", true, nn::NLLLoss({.weight = weight}))) {
          return 130;
        }

        std::printf("\n                                     recall in the test set with\n");
        std::printf("class        train    test  weight  CrossEntropy  + weight  NLL + weight\n");
        const std::vector<int64_t> in_train = count_classes(train), in_test = count_classes(test);
        for (int64_t c = 0; c < kClasses; ++c) {
          const auto i = static_cast<size_t>(c);
          std::printf("%-10s %7lld %7lld %7.2f %11.1f %% %7.1f %% %11.1f %%\n", kNames[i].c_str(),
                      static_cast<long long>(in_train[i]), static_cast<long long>(in_test[i]),
                      weight[c].item(), 100 * results[0].recall(c), 100 * results[1].recall(c),
                      100 * results[2].recall(c));
        }
        std::printf("mean of the classes' recalls      %11.1f %% %7.1f %% %11.1f %%\n",
                    100 * results[0].mean_recall(), 100 * results[1].mean_recall(),
                    100 * results[2].mean_recall());
        std::printf("accuracy                          %11.1f %% %7.1f %% %11.1f %%\n\n",
                    100 * results[0].accuracy(), 100 * results[1].accuracy(),
                    100 * results[2].accuracy());

        const double plain = 100 * results[0].mean_recall(),
                     weighted = 100 * results[1].mean_recall();
        std::printf(
            "Class weights %s the mean recall, from %.1f %% to %.1f %%; accuracy goes from %.1f %% "
            "to %.1f %%.\n"
            "NLLLoss on log-softmax is the same loss in two steps: %.1f %% and %.1f %%.\n",
            weighted > plain ? "raise" : "do not raise", plain, weighted,
            100 * results[0].accuracy(), 100 * results[1].accuracy(),
            100 * results[2].mean_recall(), 100 * results[2].accuracy());
        return 0;
      });
}
