// Estimates the wind at one airport from two others. The training data has one wrong hour: 1,048
// mph.
#include <cmath>

#include "common.h"

using namespace ebb;

namespace {

constexpr double kFastestEver = 253;  // mph: the strongest gust ever measured, Barrow Island 1996

// Reads wind.csv: inputs (N, 2) are the wind at Kennedy and La Guardia, targets (N, 1) at Newark,
// in mph.
data::Dataset load_wind(const std::string& path) {
  const Tensor table = data::read_csv(path, {.header = true, .dtype = f32}).values;
  if (table.size(1) != 5) fail("outliers", path, ": expected 5 columns, got ", table.size(1));
  return {slice(table, 1, 2, 4), slice(table, 1, 4, 5)};
}

// Returns the indices of the samples whose target is (or is not) faster than any wind ever
// measured.
Tensor hours(const data::Dataset& wind, bool wrong) {
  std::vector<int64_t> found;
  const std::vector<float> speed = wind.targets().to_vector<float>();
  for (size_t i = 0; i < speed.size(); ++i) {
    if ((speed[i] > kFastestEver) == wrong) found.push_back(static_cast<int64_t>(i));
  }
  return from_data(found, {static_cast<int64_t>(found.size())});
}

data::Dataset joined(const data::Dataset& a, const data::Dataset& b) {
  return {cat({a.inputs(), b.inputs()}), cat({a.targets(), b.targets()})};
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 60;
  defaults.batch_size = 32;
  defaults.lr = 1e-2;
  defaults.data = EBB_DATA_DIR "/wind.csv";
  defaults.out = "runs/outliers";
  return examples::run(
      argc, argv, "Regression with one wrong value", defaults, [](const examples::Flags& flags) {
        // The wrong hour is in the training set. The test set is a quarter of the right hours,
        // drawn by --seed.
        const data::Dataset wind = load_wind(flags.data), right = wind.take(hours(wind, false));
        const data::Dataset wrong = wind.take(hours(wind, true));
        const data::Split split = data::split(right.size(), 0.25, flags.seed);
        const data::Dataset clean = right.take(split.train), test = right.take(split.test),
                            all = joined(clean, wrong);

        examples::Comparison comparison(flags);
        struct Row {
          const char *name, *what;
          const data::Dataset& train;
          nn::LossFunction loss;
          double absolute = 0, squared = 0;  // mean errors on the test set
        };
        Row rows[] = {{"mse", "MSE", all, nn::MSELoss()},
                      {"l1", "L1", all, nn::L1Loss()},
                      {"smooth_l1", "SmoothL1", all, nn::SmoothL1Loss()},
                      {"mse_clean", "MSE without the wrong hour", clean, nn::MSELoss()}};
        for (Row& row : rows) {
          manual_seed(flags.seed);  // all models start from the same parameters
          nn::Sequential model(nn::Linear(2, 16), nn::ReLU(), nn::Linear(16, 1));
          model.to(Device::parse(flags.device));
          if (!comparison.train(row.name, model, row.train, row.loss)) return 130;
          const Tensor estimate = nn::predict(model, test);
          row.absolute = nn::l1_loss(estimate, test.targets()).item();
          row.squared = nn::mse_loss(estimate, test.targets()).item();
        }

        std::printf("\nTrained on %lld hours, %lld of them wrong; tested on %lld right ones.\n",
                    static_cast<long long>(all.size()), static_cast<long long>(wrong.size()),
                    static_cast<long long>(test.size()));
        std::printf("loss                        mean error  root mean square error (mph)\n");
        for (const Row& row : rows)
          std::printf("%-26s %11.2f %11.2f\n", row.what, row.absolute, std::sqrt(row.squared));
        const Row &mse = rows[0], &l1 = rows[1], &smooth = rows[2];
        const bool better = std::max(l1.absolute, smooth.absolute) < mse.absolute &&
                            std::max(l1.squared, smooth.squared) < mse.squared;
        std::printf(
            "\n%s:\nthe mean error is %.2f mph with L1 and %.2f with SmoothL1, and %.2f with "
            "MSE.\n",
            better ? "The wrong hour in the training set spoils MSE, but not L1 and SmoothL1"
                   : "In this run L1 and SmoothL1 are not both better than MSE",
            l1.absolute, smooth.absolute, mse.absolute);
        return 0;
      });
}
