// Classifies Fashion-MNIST: 60,000 gray images of clothing, 28x28, in ten classes, and 10,000 for
// testing.
#include <cmath>
#include <numbers>

#include "common.h"

using namespace ebb;

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 15;
  defaults.batch_size = 128;
  defaults.lr = 1e-3;
  defaults.data = data::kFashionMnistFolder;
  defaults.out = "runs/fashion_mnist";
  return examples::run(
      argc, argv, "Fashion-MNIST, ten classes of clothing", defaults,
      [](const examples::Flags& flags) {
        const data::FashionMnist images = data::load_fashion_mnist(flags.data);

        nn::Sequential model(nn::Flatten(), nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128),
                             nn::ReLU(), nn::Linear(128, 10));
        const Device device = Device::parse(flags.device);
        model.to(device);
        nn::Adam optimizer(model.named_parameters(), {.lr = flags.lr});
        data::DataLoader loader(images.train.to_if_it_fits(device), {.batch_size = flags.batch_size,
                                                                     .shuffle = true,
                                                                     .seed = flags.seed,
                                                                     .device = device});
        const nn::CrossEntropyLoss loss;

        nn::Trainer trainer(
            model, optimizer, loader, loss,
            {.epochs = flags.epochs,
             .checkpoint = flags.checkpoint(),
             .resume = flags.resume,
             .lr_schedule =
                 [](double done) { return 0.5 * (1 + std::cos(std::numbers::pi * done)); },
             .capture = flags.capture});
        if (!trainer.run()) return examples::stopped(flags.checkpoint());

        examples::report(flags, trainer, nn::evaluate(model, images.test, 10),
                         images.test.class_names());
        return 0;
      });
}
