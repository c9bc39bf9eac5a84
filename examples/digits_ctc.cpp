// Reads strips of several handwritten digits that are not cut apart. CTCLoss needs to know which
// digits a strip shows, and not where they are.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "common.h"

using namespace ebb;

namespace {

constexpr int64_t kSide = 8, kColumns = 64, kMost = 6;  // at most six digits in a strip
constexpr int64_t kClasses = 11;  // a blank and ten digits, the digit d as d + 1

// Strips of 3 to 6 of these digits, with random gaps between them and noise: (n, 8, 64). Targets
// (n, 6): the digits plus 1, and 0 behind the last one.
data::Dataset make_strips(const data::Dataset& digits, int64_t n, uint64_t seed) {
  Generator random{seed, 0};
  const auto below = [&](int64_t limit) {
    return randint(0, limit, {1}, {}, &random).item<int64_t>();
  };
  const Tensor images = digits.inputs().reshape({-1, kSide, kSide}).to(f32);
  Tensor strips = randn({n, kSide, kColumns}, {}, &random) * 0.05;
  Tensor targets = zeros({n, kMost}, {.dtype = i64});
  for (int64_t i = 0; i < n; ++i) {
    const int64_t count = 3 + below(kMost - 2);
    for (int64_t k = 0, column = below(3); k < count; ++k) {
      const int64_t which = below(digits.size());
      narrow(strips[i], 1, column, kSide).add_(images[which]);
      targets[i][k] = digits.targets()[which].item<int64_t>() + 1;
      column += kSide + below(3);
    }
  }
  return data::Dataset(strips, targets);
}

// Convolutions along a strip, whose rows are channels: each column sees 13 neighbors. The result
// (N, 11, 64) has scores for each column.
nn::Sequential make_model() {
  const auto conv = [](int64_t in, int64_t out) { return nn::Conv1d(in, out, 5, {.padding = 2}); };
  return nn::Sequential(conv(kSide, 96), nn::BatchNorm1d(96), nn::ReLU(), conv(96, 96),
                        nn::BatchNorm1d(96), nn::ReLU(), nn::Dropout(0.2), conv(96, 96),
                        nn::BatchNorm1d(96), nn::ReLU(), nn::Dropout(0.2),
                        nn::Conv1d(96, kClasses, 1));
}

Tensor loss(const Tensor& scores, const Tensor& targets) {
  const Tensor log_probs = log_softmax(scores, 1).permute({2, 0, 1});  // (columns, N, classes)
  const Tensor lengths = full({scores.size(0)}, scores.size(2));
  return nn::ctc_loss(log_probs, targets, lengths, sum(ne(targets, 0).to(i64), 1));
}

// The best class of each column, without repetitions and blanks.
std::string reading(std::span<const int64_t> best) {
  std::string text;
  for (size_t i = 0; i < best.size(); ++i) {
    if (best[i] != 0 && (i == 0 || best[i] != best[i - 1]))
      text += static_cast<char>('0' + best[i] - 1);
  }
  return text;
}

// How many characters must be inserted, removed or replaced to turn a into b (Levenshtein).
int64_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<int64_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

int report(nn::Sequential& model, const data::Dataset& test) {
  const Tensor best = argmax(nn::predict(model, test), 1);
  const std::vector<int64_t> columns = best.to_vector<int64_t>(),
                             targets = test.targets().to_vector<int64_t>();
  int64_t edits = 0, digits = 0, whole = 0;
  std::printf("\n  strip    read as  edit distance\n");
  for (int64_t i = 0; i < test.size(); ++i) {
    const auto row = [i](const std::vector<int64_t>& all, int64_t width) {
      return std::span(all).subspan(static_cast<size_t>(i * width), static_cast<size_t>(width));
    };
    std::string shown;
    for (const int64_t digit : row(targets, kMost)) {
      if (digit != 0) shown += static_cast<char>('0' + digit - 1);
    }
    const std::string read = reading(row(columns, kColumns));
    const int64_t distance = edit_distance(read, shown);
    edits += distance;
    digits += static_cast<int64_t>(shown.size());
    whole += distance == 0;
    if (i < 8 || (distance > 0 && i < 100)) {
      std::printf("  %-7s  %-7s  %lld\n", shown.c_str(), read.c_str(),
                  static_cast<long long>(distance));
    }
  }
  std::printf("digits in error: %.2f %% (edits per digit)\n",
              100.0 * static_cast<double>(edits) / static_cast<double>(digits));
  std::printf("strips read without an error: %.2f %%\n",
              100.0 * static_cast<double>(whole) / static_cast<double>(test.size()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 12;
  defaults.batch_size = 32;
  defaults.lr = 3e-3;
  defaults.data = EBB_DATA_DIR "/digits.csv.gz";
  defaults.out = "runs/digits_ctc";
  return examples::run(
      argc, argv, "Reads strips of handwritten digits with CTC", defaults,
      [](const examples::Flags& flags) {
        if (flags.capture) fail("digits_ctc", "ctc_loss waits for the GPU: leave out --capture");
        const data::Dataset digits = data::load_digits(flags.data);
        // No digit of the test strips is in a strip for training.
        const data::Split split = data::stratified_split(digits.targets(), 0.25, 0);
        const data::Dataset train = make_strips(digits.take(split.train), 3000, 1),
                            test = make_strips(digits.take(split.test), 500, 2);
        nn::Sequential model = make_model();
        const Device device = Device::parse(flags.device);
        model.to(device);
        nn::Adam optimizer(model.named_parameters(), {.lr = flags.lr});
        data::DataLoader loader(train, {.batch_size = flags.batch_size,
                                        .shuffle = true,
                                        .seed = flags.seed,
                                        .device = device});
        nn::Trainer trainer(model, optimizer, loader, loss,
                            {.epochs = flags.epochs,
                             .checkpoint = flags.checkpoint(),
                             .resume = flags.resume,
                             .lr_schedule = [](double progress) {
                               return 0.5 * (1 + std::cos(std::numbers::pi * progress));
                             }});
        if (!trainer.run()) return examples::stopped(flags.checkpoint());
        return report(model, test);
      });
}
