// The kernels of a backend for training loops: gathering the batches of a data loader, and summing
// the figures of an epoch. core/backend.h has everything that computes gradients.
#pragma once

#include <cstdint>
#include <span>

#include "ebb/core/tensor.h"

namespace ebb {

/// A tensor of a data set, and the batch of its rows that a data loader gathers.
struct RowsTaken {
  const Tensor* source;  ///< (N, ...) contiguous
  /// (M, ...) contiguous, of the dtype of source; or f32 for a source of u8: x / 255.
  Tensor* out;
};

/// The sums of a training over its samples. A batch adds samples * loss to loss_sum, and to correct
/// the number of rows whose largest score is at their target, found as argmax finds it.
struct FiguresArgs {
  const Tensor* loss = nullptr;  ///< one element, f32 or f64; or null, which adds no loss
  double samples = 0;
  Tensor* loss_sum = nullptr;      ///< 0-d, f64
  const Tensor* scores = nullptr;  ///< (N, C) contiguous, C > 0; or null, which counts no rows
  const Tensor* target = nullptr;  ///< (N) contiguous, i64 or u8
  Tensor* correct = nullptr;       ///< 0-d, f64
};

class TrainingKernels {
 public:
  virtual ~TrainingKernels() = default;

  /// Computes out[i] = source[order[*position + i]] for each of one or two tensors with the same
  /// number of rows in `out`. order: i64, contiguous, with numbers of rows of the sources. REQUIRES
  /// *position + M <= order.numel(). A captured step reads *position at each of its launches.
  virtual void take_rows(std::span<const RowsTaken> tensors, const Tensor& order,
                         const int64_t* position) = 0;
  /// Adds the loss and the right answers of a batch to the sums of a training.
  virtual void add_figures(const FiguresArgs& args) = 0;
};

/// Returns the kernels of a device. Throws Error if its backend is not built in, or if the device
/// is absent.
TrainingKernels& training_kernels(Device device);

}  // namespace ebb
