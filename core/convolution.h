// The interface of a device's convolutions: the forward pass and the gradients of its two operands,
// in two dims.
//
//   y[n, o, i, j] = sum over c, p, q of w[o, c, p, q] x[n, g(o) + c, r, t]
//   with r = i s_0 - a_0 + p d_0 and t = j s_1 - a_1 + q d_1,
//
// strides s, padding a, dilation d, and g(o) the first input channel of o's group. Elements of
// x outside of its shape count as 0. Each gradient is linear in the other two tensors as well, so
// that the three operations together have derivatives of every order. The sizes of y are given:
// they need not be all that would fit into x.
#pragma once

#include "ebb/core/tensor.h"

namespace ebb {

/// The tensor that is computed from the other two: y, x or w.
enum class ConvolutionKind : uint8_t { Forward, InputGradient, WeightGradient };

/// The options of a convolution per dim, height first. padding: in front of the first element; the
/// sizes of y say how much there is behind the last one.
struct ConvolutionGeometry {
  int64_t stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
  int64_t groups = 1;
  bool operator==(const ConvolutionGeometry&) const = default;
};

/// x (N, C, H, W), w (O, C / groups, kh, kw), y (N, O, OH, OW): contiguous, of one floating dtype,
/// and none of them empty.
struct ConvolutionArgs {
  ConvolutionKind kind = ConvolutionKind::Forward;
  const Tensor *x = nullptr, *w = nullptr, *y = nullptr;
  ConvolutionGeometry geometry = {};
  const Tensor* bias = nullptr;  ///< of Forward: (O), added to y; or null
  /// For WeightGradient: receives the sums (O) of y over its other dims, if not null.
  const Tensor* y_sum = nullptr;
};

class ConvolutionKernels {
 public:
  virtual ~ConvolutionKernels() = default;
  virtual void run(const ConvolutionArgs& args) = 0;
  /// Computes an InputGradient and a WeightGradient of the same y. A device may share work between
  /// them.
  virtual void run_both(const ConvolutionArgs& input, const ConvolutionArgs& weight) {
    run(input);
    run(weight);
  }
};

}  // namespace ebb
