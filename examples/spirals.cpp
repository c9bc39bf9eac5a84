// Classifies three spiral arms in the plane, and writes an image of the decision boundary.
#include <cmath>

#include "common.h"
#include "png_image.h"

using namespace ebb;

namespace {

constexpr int64_t kClasses = 3, kPerClass = 200;

// Returns points (N, 2) on three arms with some noise, and their classes (N).
data::Dataset make_spirals(uint64_t seed) {
  Generator generator{seed, 0};
  const Tensor noise = randn({kClasses, kPerClass}, {}, &generator);
  std::vector<float> points;
  std::vector<int64_t> classes;
  for (int64_t c = 0; c < kClasses; ++c) {
    for (int64_t i = 0; i < kPerClass; ++i) {
      const double radius = 0.1 + 0.9 * static_cast<double>(i) / kPerClass;
      const double angle = 4 * radius + 2.0944 * static_cast<double>(c) + 0.2 * noise[c][i].item();
      points.push_back(static_cast<float>(radius * std::sin(angle)));
      points.push_back(static_cast<float>(radius * std::cos(angle)));
      classes.push_back(c);
    }
  }
  return {from_data(points, {kClasses * kPerClass, 2}), from_data(classes, {kClasses * kPerClass})};
}

// Draws the predicted class of every pixel, shaded by its probability, with the points on top.
void draw(const nn::Sequential& model, const data::Dataset& points, const std::string& path) {
  constexpr int64_t kSize = 400;
  constexpr double kExtent = 1.2;
  constexpr uint8_t kColors[kClasses][3] = {{214, 69, 65}, {52, 120, 196}, {60, 160, 90}};
  const NoGrad guard;
  std::vector<float> grid;
  for (int64_t i = 0; i < kSize * kSize; ++i) {
    grid.push_back(
        static_cast<float>((2.0 * static_cast<double>(i % kSize) / (kSize - 1) - 1) * kExtent));
    grid.push_back(
        static_cast<float>((1 - 2.0 * static_cast<double>(i / kSize) / (kSize - 1)) * kExtent));
  }
  const Tensor p =
      softmax(model(from_data(grid, {kSize * kSize, 2}, model.parameters()[0].device())), 1);
  const std::vector<float> probability = p.to_vector<float>();
  examples::PngImage image(kSize, kSize);
  for (int64_t i = 0; i < kSize * kSize; ++i) {
    for (int channel = 0; channel < 3; ++channel) {
      double shade = 0;
      for (int64_t c = 0; c < kClasses; ++c) {
        shade += static_cast<double>(probability[static_cast<size_t>(i * kClasses + c)]) *
                 kColors[c][channel];
      }
      image.at(i % kSize, i / kSize)[channel] = static_cast<uint8_t>(255 - 0.45 * (255 - shade));
    }
  }
  const std::vector<float> xy = points.inputs().to_vector<float>();
  const std::vector<int64_t> classes = points.targets().to_vector<int64_t>();
  for (size_t i = 0; i < classes.size(); ++i) {
    const auto x =
        static_cast<int64_t>((static_cast<double>(xy[2 * i]) / kExtent + 1) / 2 * (kSize - 1));
    const auto y =
        static_cast<int64_t>((1 - static_cast<double>(xy[2 * i + 1]) / kExtent) / 2 * (kSize - 1));
    image.disc(x, y, 3, kColors[classes[i]]);
  }
  image.save(path);
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 60;
  defaults.batch_size = 32;
  defaults.lr = 5e-3;
  defaults.out = "runs/spirals";
  return examples::run(argc, argv, "Three spiral arms, drawn with their decision boundary",
                       defaults, [](const examples::Flags& flags) {
                         const data::Dataset train = make_spirals(flags.seed),
                                             test = make_spirals(flags.seed + 1000);

                         nn::Sequential model(nn::Linear(2, 64), nn::ReLU(), nn::Linear(64, 64),
                                              nn::ReLU(), nn::Linear(64, kClasses));
                         const Device device = Device::parse(flags.device);
                         model.to(device);
                         nn::Adam optimizer(model.named_parameters(), {.lr = flags.lr});
                         data::DataLoader loader(train.to_if_it_fits(device),
                                                 {.batch_size = flags.batch_size,
                                                  .shuffle = true,
                                                  .seed = flags.seed,
                                                  .device = device});
                         const nn::CrossEntropyLoss loss;

                         nn::Trainer trainer(model, optimizer, loader, loss,
                                             {.epochs = flags.epochs,
                                              .checkpoint = flags.checkpoint(),
                                              .resume = flags.resume,
                                              .capture = flags.capture});
                         if (!trainer.run()) return examples::stopped(flags.checkpoint());

                         const std::string picture = flags.out + "/decision_boundary.png";
                         draw(model, train, picture);
                         std::printf("decision boundary in %s\n", picture.c_str());
                         examples::report(flags, trainer, nn::evaluate(model, test, kClasses), {});
                         return 0;
                       });
}
