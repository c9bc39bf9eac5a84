// The kernels of a backend that normalize: groups of elements are shifted and scaled to mean 0 and
// variance 1.
#pragma once

#include <cstdint>
#include <optional>

#include "ebb/core/host_device.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// A contiguous (outer, channels, inner). Each group of channels / groups neighboring channels has
/// its own statistics: one per outer index, or one for all of them if across_outer. Weight and bias
/// have one element per channel.
///
/// Batch norm: across_outer and groups = channels. Instance norm: groups = channels. Layer norm of
/// rows: inner = 1 and groups = 1.
struct NormShape {
  int64_t outer, channels, inner, groups;
  bool across_outer = false;
  bool centered = true;  ///< false: the mean counts as 0, as in RMS norm

  EBB_HD int64_t statistics() const { return across_outer ? groups : outer * groups; }
  /// Returns the number of elements of a group.
  EBB_HD int64_t count() const { return channels / groups * inner * (across_outer ? outer : 1); }
};

/// A normalization with eps, which is added to the variance.
struct NormPlan {
  NormShape shape;
  double eps;
};

/// Averages that forward() updates: mean += f (batch mean - mean), variance likewise with the
/// unbiased variance. They have one element per channel; a group without outer indices in common
/// (instance norm) contributes the average over the outer indices. f is momentum, or 1 / *updates
/// without one.
struct RunningStatistics {
  Tensor* mean;
  Tensor* variance;
  std::optional<double> momentum;
  const Tensor* updates = nullptr;  ///< 0-d i64 on the device, counted already
};

/// All tensors are contiguous and of the dtype of x. Statistics are f64: shape.statistics() of
/// them.
class NormalizationKernels {
 public:
  virtual ~NormalizationKernels() = default;

  /// y = (x - mean) rstd weight + bias with rstd = 1 / sqrt(variance + eps). Writes mean and rstd.
  /// weight, bias and running may be null.
  virtual void forward(Tensor& y, Tensor& mean, Tensor& rstd, const Tensor& x, const Tensor* weight,
                       const Tensor* bias, const NormShape& shape, double eps,
                       const RunningStatistics* running) = 0;
  /// The gradients of x, and of weight and bias where these are not null, from the gradient g of y.
  virtual void backward(Tensor& dx, Tensor* dweight, Tensor* dbias, const Tensor& g,
                        const Tensor& x, const Tensor& mean, const Tensor& rstd,
                        const Tensor* weight, const NormShape& shape) = 0;
};

}  // namespace ebb
