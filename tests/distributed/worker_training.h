// A small training for the ranks, and the same training by one process that runs backward() for the
// parts of all ranks.
#pragma once

#include "checks.h"

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

  /// Trains as `ranks` processes do: each batch in parts, gradients added in the order of the ranks.
  void train_in_parts(int64_t ranks, int64_t epochs) {
    const Tensor input = loader.dataset().inputs(), target = loader.dataset().targets();
    for (int64_t epoch = 0; epoch < epochs; ++epoch) {
      const Tensor order = loader.order(epoch);
      for (int64_t k = 0; k < loader.size(); ++k) {
        const int64_t n = loader.samples_of(k), first = k * loader.options().batch_size;
        optimizer.zero_grad();
        const Generator before = default_generator();
        Generator after = before;
        for (int64_t r = 0; r < ranks; ++r) {
          const int64_t begin = n * r / ranks, end = n * (r + 1) / ranks;
          if (begin == end) continue;
          default_generator() = before;
          const BatchRowsScope scope({.first = begin, .count = end - begin, .total = n});
          const Tensor rows = order.slice(0, first + begin, first + end);
          Tensor part = loss(model(index_select(input, 0, rows)), index_select(target, 0, rows));
          if ((end - begin) * ranks != n)
            part = part * (static_cast<double>((end - begin) * ranks) / static_cast<double>(n));
          part.backward();
          after = default_generator();
        }
        default_generator() = after;
        const NoGrad guard;
        for (const Tensor& p : model.parameters()) p.set_grad(p.grad() * (1.0 / ranks));
        optimizer.step();
      }
    }
  }

  nn::Sequential model;
  nn::Adam optimizer;
  data::DataLoader loader;
  nn::CrossEntropyLoss loss;
};

}  // namespace ebb::test
