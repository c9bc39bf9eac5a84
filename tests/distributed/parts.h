// Training by one process that does the work of several ranks.
#pragma once

#include "ebb/ebb.h"

namespace ebb::test {

/// Trains as `ranks` processes do: runs backward() for the parts of each batch, in the order of the
/// ranks, and divides the sums of the gradients by their number.
inline void train_in_parts(nn::Layer& model, nn::Optimizer& optimizer,
                           const data::DataLoader& loader, const nn::LossFunction& loss,
                           int64_t ranks, int64_t epochs) {
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
      for (const Tensor& p : model.parameters())
        p.set_grad(p.grad() * (1.0 / static_cast<double>(ranks)));
      optimizer.step();
    }
  }
}

}  // namespace ebb::test
