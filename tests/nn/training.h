// A small training for tests of its parts.
#pragma once

#include "ebb/ebb.h"

namespace ebb::test {

/// A Linear(2, 1) on eight samples in batches of two, so four batches per epoch. Each Training has
/// the same weights.
struct Training {
  explicit Training(data::LoaderOptions options = {.batch_size = 2}, double lr = 0.1)
      : loader({reshape(arange(0, 16, 1, {.dtype = f32}), {8, 2}) * 0.1, ones({8, 1})}, options),
        optimizer(model.named_parameters(), {.lr = lr, .momentum = 0.5}) {
    const NoGrad guard;
    model.weight.fill_(0.25);
    model.bias.fill_(0);
  }

  bool run(nn::TrainerOptions options) {
    options.quiet = true;
    nn::Trainer trainer(model, optimizer, loader, loss, options);
    return trainer.run();
  }
  std::vector<float> weights() const { return model.weight.to_vector<float>(); }

  nn::Linear model{2, 1};
  data::DataLoader loader;
  nn::SGD optimizer;
  nn::LossFunction loss = nn::MSELoss();
};

}  // namespace ebb::test
