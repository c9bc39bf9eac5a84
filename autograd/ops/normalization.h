// Normalization: groups of elements are shifted and scaled to mean 0 and variance 1, then scaled
// and shifted by a weight and a bias. Gradients of every order.
//
// y = (x - mean) / sqrt(variance + eps) weight + bias, with the biased variance (divided by the
// number of elements). weight and bias may be undefined, which is 1 and 0. Tensors have the
// floating dtype of x; statistics are computed in f64. Functions throw Error for undefined and
// integer tensors and for shapes that do not fit.
//
// With r = 1 / sqrt(variance + eps), n = (x - mean) r, the upstream gradient g and h = weight g,
// the derivative by x is r (h - mean(h) - n mean(h n)); by weight it is the sum of g n, and by bias
// that of g. Means are over a group, sums over all elements of a weight.
#pragma once

#include <optional>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

struct BatchNormFuncOptions {
  Tensor weight = {};  ///< (C), or undefined
  Tensor bias = {};    ///< (C), or undefined
  bool training = false;
  double momentum = 0.1;
  double eps = 1e-5;
};

/// Returns each channel (dim 1) of x (N, C) or (N, C, ...) normalized over all other dims.
///
/// Derivative: r (h - mean(h) - n mean(h n)) by x in training, r h otherwise; see above.
/// Training: with the statistics of the batch. The running statistics are updated unless they are
/// undefined: running += momentum (of the batch - running), where the variance is the unbiased one
/// (divided by the number of elements - 1). Otherwise: with the running statistics. Throws Error if
/// there is one element per channel in training, or if there are no running statistics to evaluate
/// with. An empty batch changes nothing.
///
///     Tensor x = tensor({{1., 0.}, {3., 4.}});
///     Tensor y = batch_norm(x, {}, {}, {.training = true, .eps = 0});  // [[-1, -1], [1, 1]]
///
/// Struct: Norm in normalization.cpp. Kernels: normalization. Test: batch_norm in
/// rows_normalization.cpp.
Tensor batch_norm(const TensorArg& x, const Tensor& running_mean, const Tensor& running_var,
                  const BatchNormFuncOptions& options = {});

struct InstanceNormFuncOptions {
  Tensor running_mean = {};  ///< (C), or undefined
  Tensor running_var = {};   ///< (C), or undefined
  Tensor weight = {};        ///< (C), or undefined
  Tensor bias = {};          ///< (C), or undefined
  bool use_input_stats = true;
  double momentum = 0.1;
  double eps = 1e-5;
};

/// Returns x (N, C, ...) with each channel of each element of the batch normalized over the dims
/// after the first two.
///
/// Derivative: r (h - mean(h) - n mean(h n)) by x with the statistics of x; see above.
/// use_input_stats: with the statistics of x; running statistics are updated with their average
/// over the batch. Otherwise with the running statistics. Throws Error if there is one element per
/// channel to compute statistics from.
///
/// Struct: Norm in normalization.cpp. Kernels: normalization. Test: instance_norm in
/// rows_normalization.cpp.
Tensor instance_norm(const TensorArg& x, const InstanceNormFuncOptions& options = {});

/// Returns x normalized over its last dims, which are normalized_shape. weight and bias have this
/// shape.
///
/// Derivative: r (h - mean(h) - n mean(h n)) by x; see above.
///
///     Tensor y = layer_norm(tensor({{1., 3.}, {0., 8.}}), {2}, {}, {}, 0);  // [[-1, 1], [-1, 1]]
///
/// Struct: Norm in normalization.cpp. Kernels: normalization. Test: layer_norm in
/// rows_normalization.cpp.
Tensor layer_norm(const TensorArg& x, const Shape& normalized_shape, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

/// Returns x (N, C, ...) normalized over groups of C / num_groups channels and the dims after the
/// first two. weight and bias are (C). Throws Error unless num_groups divides C.
///
/// Derivative: r (h - mean(h) - n mean(h n)) by x; see above.
///
/// Struct: Norm in normalization.cpp. Kernels: normalization. Test: group_norm in
/// rows_normalization.cpp.
Tensor group_norm(const TensorArg& x, int64_t num_groups, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

/// Returns x / sqrt(mean(x^2) + eps) weight over the last dims of x, which are normalized_shape.
/// eps: the distance from 1 to the next number of the dtype if it has no value.
///
/// Derivative: r (h - n mean(h n)) by x with n = x r; see above.
///
///     Tensor y = rms_norm(tensor({{3., 3.}}), {2});  // [[1, 1]]
///
/// Struct: Norm in normalization.cpp. Kernels: normalization. Test: rms_norm in
/// rows_normalization.cpp.
Tensor rms_norm(const TensorArg& x, const Shape& normalized_shape, const Tensor& weight = {},
                std::optional<double> eps = {});

namespace detail {
/// batch_norm in training with a momentum of 1 / updates, a 0-d i64 tensor, for the average over
/// all batches.
Tensor batch_norm_cumulative(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                             const Tensor& updates, const BatchNormFuncOptions& options);
}  // namespace detail

}  // namespace ebb
