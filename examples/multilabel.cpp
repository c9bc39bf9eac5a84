// Recognizes which two to four digits are drawn over one another in an image: several labels per
// sample.
#include <optional>

#include "common.h"

using namespace ebb;

namespace {

constexpr int64_t kPixels = 64, kLabels = 10;

// Makes n images (n, 64) of two to four different digits of the data set, with the maximum of their
// pixels, and the labels (n, 10) of 0 and 1. The data set has one digit per image.
data::Dataset superpose(const data::Dataset& digits, int64_t n, uint64_t seed) {
  const std::vector<float> pixels = digits.inputs().to_vector<float>();
  const std::vector<int64_t> classes = digits.targets().to_vector<int64_t>();
  Generator generator{seed};
  const auto below = [&](int64_t end) {
    return std::min(
        static_cast<int64_t>(rand({1}, {}, &generator).item() * static_cast<double>(end)), end - 1);
  };
  std::vector<float> pictures(static_cast<size_t>(n * kPixels)),
      labels(static_cast<size_t>(n * kLabels));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t left = 2 + below(3); left > 0;) {
      const int64_t chosen = below(digits.size());
      float& label =
          labels[static_cast<size_t>(i * kLabels + classes[static_cast<size_t>(chosen)])];
      if (label == 1) continue;  // the image already has this digit
      label = 1;
      --left;
      for (int64_t p = 0; p < kPixels; ++p) {
        float& pixel = pictures[static_cast<size_t>(i * kPixels + p)];
        pixel = std::max(pixel, pixels[static_cast<size_t>(chosen * kPixels + p)]);
      }
    }
  }
  return {from_data(pictures, {n, kPixels}), from_data(labels, {n, kLabels})};
}

// Returns the same data with targets for MultiLabelMarginLoss: each row lists its labels, then -1.
data::Dataset with_label_lists(const data::Dataset& dataset) {
  const std::vector<float> labels = dataset.targets().to_vector<float>();
  std::vector<int64_t> lists(labels.size(), -1);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    auto next = static_cast<size_t>(i * kLabels);
    for (int64_t c = 0; c < kLabels; ++c) {
      if (labels[static_cast<size_t>(i * kLabels + c)] == 1) lists[next++] = c;
    }
  }
  return {dataset.inputs(), from_data(lists, {dataset.size(), kLabels})};
}

nn::LabelCounts count(const Tensor& scores, double threshold, const Tensor& labels) {
  nn::LabelCounts counts(kLabels);
  counts.add(scores > threshold, labels);
  return counts;
}

void print(const nn::LabelCounts& counts) {
  std::printf(" %9.1f %7.1f %6.1f %9.1f", 100 * counts.precision(), 100 * counts.recall(),
              100 * counts.f1(), 100 * counts.macro_f1());
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 30;
  defaults.batch_size = 64;
  defaults.lr = 5e-3;
  defaults.data = EBB_DATA_DIR "/digits.csv.gz";
  defaults.out = "runs/multilabel";
  return examples::run(
      argc, argv, "Several labels per sample", defaults, [](const examples::Flags& flags) {
        // Three parts without common digits: for training, for choosing thresholds, and for
        // testing.
        const data::Dataset digits = data::load_digits(flags.data);
        const data::Split first = data::stratified_split(digits.targets(), 0.25, 0);
        const data::Dataset rest = digits.take(first.train);
        const data::Split second = data::stratified_split(rest.targets(), 0.25, 0);
        const data::Dataset train = superpose(rest.take(second.train), 3000, flags.seed);
        const data::Dataset choose = superpose(rest.take(second.test), 1000, flags.seed + 1);
        const data::Dataset test = superpose(digits.take(first.test), 1000, flags.seed + 2);
        const data::Dataset lists = with_label_lists(train);

        const Device device = Device::parse(flags.device);
        // Weights each positive with the ratio of negatives to positives of its label.
        const Tensor positives = sum(train.targets(), {0});
        const Tensor pos_weight =
            ((static_cast<double>(train.size()) - positives) / positives).to(device);

        struct Row {
          const char *name, *what;
          const data::Dataset& train;
          nn::LossFunction loss;
          bool sigmoid;                     // BCELoss expects probabilities, the others scores
          std::optional<double> threshold;  // the threshold of the loss itself, if any
          // Results with that threshold, and with one chosen on other images.
          std::optional<nn::LabelCounts> own, chosen;
        };
        Row rows[] = {
            {"bce", "BCE on sigmoid", train, nn::BCELoss(), true, 0.5, {}, {}},
            {"logits", "BCEWithLogits", train, nn::BCEWithLogitsLoss(), false, 0, {}, {}},
            {"logits_weighted",
             "BCEWithLogits, pos_weight",
             train,
             nn::BCEWithLogitsLoss({.pos_weight = pos_weight}),
             false,
             0,
             {},
             {}},
            {"margin", "MultiLabelMargin", lists, nn::MultiLabelMarginLoss(), false, {}, {}, {}}};
        examples::Comparison comparison(flags);
        for (Row& row : rows) {
          manual_seed(flags.seed);  // all models start from the same parameters
          nn::Sequential model(nn::Linear(kPixels, kLabels));
          if (row.sigmoid) model.push_back(nn::Sigmoid());
          model.to(device);
          if (!comparison.train(row.name, model, row.train, row.loss)) return 130;
          const Tensor scores = nn::predict(model, test);
          if (row.threshold) row.own = count(scores, *row.threshold, test.targets());
          row.chosen =
              count(scores, nn::best_f1_threshold(nn::predict(model, choose), choose.targets()),
                    test.targets());
        }

        std::printf(
            "\n%-26s      at the loss's own threshold      |    at one chosen on other images\n",
            "");
        std::printf(
            "%-26s precision  recall     F1  macro F1 | precision  recall     F1  macro F1   "
            "(%%)\n",
            "loss");
        for (const Row& row : rows) {
          std::printf("%-26s", row.what);
          if (row.own) print(*row.own);
          else std::printf(" %9s %7s %6s %9s", "-", "-", "-", "-");
          std::printf(" |");
          print(*row.chosen);
          std::printf("\n");
        }
        const nn::LabelCounts &plain = *rows[1].own, &weighted = *rows[2].own;
        std::printf(
            "\npos_weight %s the F1 of BCEWithLogits, from %.1f %% to %.1f %%; recall goes from "
            "%.1f %% to %.1f %%.\n"
            "MultiLabelMargin only ranks an image's labels above the others: with a threshold "
            "chosen, its F1 is %.1f %%.\n",
            weighted.f1() > plain.f1() ? "raises" : "does not raise", 100 * plain.f1(),
            100 * weighted.f1(), 100 * plain.recall(), 100 * weighted.recall(),
            100 * rows[3].chosen->f1());
        return 0;
      });
}
