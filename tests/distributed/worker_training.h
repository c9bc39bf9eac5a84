// A small training for the ranks.
#pragma once

#include "parts.h"

namespace ebb::test {

/// 90 samples in batches of `batch_size`, in a new order per epoch, for a net with dropout.
struct SmallTraining {
  explicit SmallTraining(int64_t batch_size, int64_t samples = 90)
      : model((manual_seed(5),
               nn::Sequential(nn::Linear(6, 16), nn::ReLU(), nn::Dropout(0.3), nn::Linear(16, 3)))),
        optimizer(model.named_parameters(), {.lr = 0.05}),
        loader(dataset(samples), {.batch_size = batch_size, .shuffle = true, .seed = 3}) {
    manual_seed(11);
  }

  static data::Dataset dataset(int64_t samples) {
    Generator generator{77};
    const Tensor x = randn({samples, 6}, {}, &generator);
    return {x, randint(3, {samples}, {}, &generator)};
  }

  nn::Sequential model;
  nn::Adam optimizer;
  data::DataLoader loader;
  nn::CrossEntropyLoss loss;
};

}  // namespace ebb::test
