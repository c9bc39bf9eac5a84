// Classifies Fashion-MNIST with a convolutional network, and draws its filters and its worst
// mistakes.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "common.h"
#include "png_image.h"

using namespace ebb;

namespace {

constexpr int64_t kClasses = 10, kSide = 28;

// Two convolutions before each pooling, with batch normalization: 28x28 -> 14x14 -> 7x7.
nn::Sequential make_model() {
  const auto conv = [](int64_t in, int64_t out) {
    return nn::Conv2d(in, out, 3, {.padding = 1, .bias = false});
  };
  return nn::Sequential(nn::Unflatten(1, {1, kSide}),  // (N, 28, 28) -> (N, 1, 28, 28)
                        conv(1, 32), nn::BatchNorm2d(32), nn::ReLU(), nn::MaxPool2d(2),
                        conv(32, 64), nn::BatchNorm2d(64), nn::ReLU(), nn::MaxPool2d(2),
                        nn::Dropout2d(0.1), nn::Flatten(), nn::Linear(64 * 7 * 7, 128), nn::ReLU(),
                        nn::Dropout(0.4), nn::Linear(128, kClasses));
}

// Draws the 32 filters of the first convolution: blue is negative, red is positive.
void draw_filters(const Tensor& weight, const std::string& path) {
  constexpr int64_t kPixel = 12, kCell = 3 * kPixel + 6, kColumns = 8;
  const std::vector<float> w = weight.to_vector<float>();
  const int64_t count = weight.size(0);
  const double largest = max(abs(weight)).item();
  examples::PngImage image(kColumns * kCell + 6, (count + kColumns - 1) / kColumns * kCell + 6);
  for (int64_t f = 0; f < count; ++f) {
    for (int64_t y = 0; y < 3 * kPixel; ++y) {
      for (int64_t x = 0; x < 3 * kPixel; ++x) {
        const auto at = static_cast<size_t>(9 * f + 3 * (y / kPixel) + x / kPixel);
        const double value = static_cast<double>(w[at]) / largest;
        uint8_t* pixel = image.at(6 + f % kColumns * kCell + x, 6 + f / kColumns * kCell + y);
        for (int c = 0; c < 3; ++c) {
          const bool kept = c == (value > 0 ? 0 : 2);
          pixel[c] = static_cast<uint8_t>(255 * (kept ? 1 : 1 - std::abs(value)));
        }
      }
    }
  }
  image.save(path);
}

// Draws the misclassified images of which the model is most certain, and prints their predicted
// classes.
void draw_mistakes(const nn::Sequential& model, const data::Dataset& test,
                   const std::string& path) {
  constexpr int64_t kShown = 12, kScale = 3, kCell = kSide * kScale + 8, kColumns = 6;
  nn::Sequential copy = model;  // a handle of the same model
  const Tensor probabilities = softmax(nn::predict(copy, test), 1);
  const auto [certainty, predicted] = max(probabilities, 1);
  const Tensor wrong = where(ne(predicted, test.targets()), certainty, 0.0);
  const auto [worst, index] = topk(wrong, kShown);
  const std::vector<int64_t> order = index.to_vector<int64_t>();
  const std::vector<uint8_t> pixels = test.take(index).inputs().to_vector<uint8_t>();
  examples::PngImage image(kColumns * kCell + 8, kShown / kColumns * kCell + 8);
  std::printf("\nmistakes of which the model is most certain:\n");
  for (int64_t k = 0; k < kShown; ++k) {
    const int64_t left = 8 + k % kColumns * kCell, top = 8 + k / kColumns * kCell;
    for (int64_t y = 0; y < kSide * kScale; ++y) {
      for (int64_t x = 0; x < kSide * kScale; ++x) {
        const auto at = static_cast<size_t>((k * kSide + y / kScale) * kSide + x / kScale);
        std::fill_n(image.at(left + x, top + y), 3, static_cast<uint8_t>(255 - pixels[at]));
      }
    }
    const auto i = order[static_cast<size_t>(k)];
    const auto name = [&](const Tensor& classes) {
      return test.class_names()[static_cast<size_t>(classes[i].item<int64_t>())];
    };
    std::printf("%4lld: %s, taken for %s with %.2f %%\n", static_cast<long long>(i),
                name(test.targets()).c_str(), name(predicted).c_str(), 100 * certainty[i].item());
  }
  image.save(path);
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 10;
  defaults.batch_size = 64;
  defaults.lr = 2e-3;
  defaults.data = data::kFashionMnistFolder;
  defaults.out = "runs/fashion_cnn";
  return examples::run(
      argc, argv, "Fashion-MNIST with a convolutional network", defaults,
      [](const examples::Flags& flags) {
        const data::FashionMnist images = data::load_fashion_mnist(flags.data);
        const Device device = Device::parse(flags.device);
        nn::Sequential model = make_model();
        model.to(device);
        nn::AdamW optimizer(model.named_parameters(), {.lr = flags.lr});
        data::DataLoader loader(images.train.to_if_it_fits(device), {.batch_size = flags.batch_size,
                                                                     .shuffle = true,
                                                                     .seed = flags.seed,
                                                                     .device = device});
        nn::Trainer trainer(model, optimizer, loader, nn::CrossEntropyLoss(),
                            {.epochs = flags.epochs,
                             .checkpoint = flags.checkpoint(),
                             .resume = flags.resume,
                             .lr_schedule =
                                 [](double done) {
                                   constexpr double kWarmUp = 0.1;
                                   if (done < kWarmUp) return 0.1 + 0.9 * done / kWarmUp;
                                   const double rest = (done - kWarmUp) / (1 - kWarmUp);
                                   return 0.5 * (1 + std::cos(std::numbers::pi * rest));
                                 },
                             .capture = flags.capture});
        if (!trainer.run()) return examples::stopped(flags.checkpoint());

        draw_filters(model.named_parameters()[0].second, flags.out + "/filters.png");
        draw_mistakes(model, images.test, flags.out + "/mistakes.png");
        std::printf("filters in %s/filters.png, mistakes in %s/mistakes.png\n", flags.out.c_str(),
                    flags.out.c_str());
        examples::report(flags, trainer, nn::evaluate(model, images.test, kClasses),
                         images.test.class_names());
        return 0;
      });
}
