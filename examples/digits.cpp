// Classifies 1,797 handwritten digits of 8x8 pixels, which are in data/ of this project.
#include "common.h"

using namespace ebb;

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 40;
  defaults.batch_size = 32;
  defaults.lr = 2e-3;
  defaults.data = EBB_DATA_DIR "/digits.csv.gz";
  defaults.out = "runs/digits";
  return examples::run(
      argc, argv, "Handwritten digits, 8x8, ten classes", defaults,
      [](const examples::Flags& flags) {
        const data::Dataset digits = data::load_digits(flags.data);
        // The split is the same for every seed.
        const data::Split split = data::stratified_split(digits.targets(), 0.25, 0);
        const data::Dataset train = digits.take(split.train), test = digits.take(split.test);

        nn::Sequential model(nn::Linear(64, 128), nn::ReLU(), nn::Dropout(0.2),
                             nn::Linear(128, 10));
        const Device device = Device::parse(flags.device);
        model.to(device);
        nn::Adam optimizer(model.named_parameters(), {.lr = flags.lr});
        data::DataLoader loader(train.to_if_it_fits(device), {.batch_size = flags.batch_size,
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

        examples::report(flags, trainer, nn::evaluate(model, test, 10), {});
        return 0;
      });
}
