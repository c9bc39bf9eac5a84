// Convolutions in one and two dims, and their transposes: torch.nn.functional.conv1d and so on. f32
// and f64, gradients of every order.
//
// Sizes of options are one number for all dims or one number for each: {.stride = 2} or {.stride =
// {2, 1}}. An input without the dim N is one sample, and so is its result.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string_view>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The zeros around an input of a convolution: numbers, "valid" for none, or "same" for a result of
/// the input's size.
class ConvPadding {
 public:
  ConvPadding(std::integral auto n) : numbers_(n) {}
  ConvPadding(std::initializer_list<int64_t> numbers) : numbers_(numbers) {}
  ConvPadding(const Shape& numbers) : numbers_(numbers) {}
  /// Throws Error unless text is "same" or "valid".
  ConvPadding(const char* text);

  bool is_same() const { return same_; }
  /// Returns the numbers; 0 for "valid". REQUIRES !is_same().
  const Shape& numbers() const { return numbers_; }
  /// Returns "same", "valid" or "" for numbers.
  std::string_view text() const { return text_; }

 private:
  Shape numbers_ = 0;
  bool same_ = false;
  std::string_view text_;
};

struct ConvOptions {
  Shape stride = 1;
  ConvPadding padding = 0;
  Shape dilation = 1;
  int64_t groups = 1;
};

struct ConvTransposeOptions {
  Shape stride = 1;
  Shape padding = 0;
  Shape output_padding = 0;
  int64_t groups = 1;
  Shape dilation = 1;
};

/// Returns the convolution of input with weight, plus bias where it is defined.
///
///   y[n, o, i] = bias[o] + sum over c, p of weight[o, c, p] x[n, c, r]
///   with r = i stride + p dilation - padding
///
/// The channels form `groups` groups, and an output reads the channels of its group. Padding "same"
/// keeps the size; where the zeros are an odd number, one more is behind. Zeros of the padding
/// count: an infinite weight gives NaN there.
///
/// Derivatives: by input the transposed convolution of the upstream gradient, by weight its
/// correlation with the input, by bias its sums.
/// Shape: input (N, C, L), weight (O, C / groups, k), bias (O); the result is (N, O, L') with
/// L' = floor((L + 2 padding - dilation (k - 1) - 1) / stride) + 1.
/// Throws Error where shapes, dtypes or options do not fit, and where a kernel is larger than the
/// padded input.
///
///     Tensor x = ones({1, 1, 4}), w = tensor({{{1., 2.}}}, f32);
///     Tensor y = conv1d(x, w);  // [[[3, 3, 3]]]
///
/// Struct: Convolution in convolution.cpp. Kernels: convolution. Test: conv1d in
/// rows_convolution.cpp.
Tensor conv1d(const TensorArg& input, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});
/// Returns the convolution in two dimensions. It is otherwise as conv1d.
///
/// Derivatives: by input the transposed convolution of the upstream gradient, by weight its
/// correlation with the input, by bias its sums. Shape: input (N, C, H, W), weight (O, C / groups,
/// kh, kw), bias (O); the result is (N, O, H', W').
///
///     Tensor y = conv2d(ones({1, 1, 2, 2}), ones({1, 1, 2, 2}), {}, {.padding = {1, 0}});
///     // [[[[2], [4], [2]]]]
///
/// Struct: Convolution in convolution.cpp. Kernels: convolution. Test: conv2d in
/// rows_convolution.cpp.
Tensor conv2d(const TensorArg& input, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});

/// Returns the transpose of conv1d, the gradient of its input, plus bias where it is defined.
///
/// output_padding chooses between the sizes that conv1d maps to L.
///
/// Derivatives: by input the convolution of the upstream gradient, by weight their correlation, by
/// bias its sums.
/// Shape: input (N, C, L), weight (C, O / groups, k), bias (O); the result is (N, O, L') with
/// L' = (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.
/// Throws Error where shapes, dtypes or options do not fit, unless
/// output_padding < max(stride, dilation), and where L' < 1.
///
///     Tensor y = conv_transpose1d(ones({1, 1, 2}), tensor({{{1., 2.}}}, f32), {}, {.stride = 2});
///     // [[[1, 2, 1, 2]]]
///
/// Struct: ConvolutionInput in convolution.cpp. Kernels: convolution. Test: conv_transpose1d in
/// rows_convolution.cpp.
Tensor conv_transpose1d(const TensorArg& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
/// Returns the transpose of conv2d. It is otherwise as conv_transpose1d.
///
/// Derivatives: by input the convolution of the upstream gradient, by weight their correlation, by
/// bias its sums. Shape: input (N, C, H, W), weight (C, O / groups, kh, kw), bias (O); the result
/// is (N, O, H', W').
///
///     Tensor y = conv_transpose2d(ones({1, 1, 1, 2}), ones({1, 1, 1, 2}));  // [[[[1, 2, 1]]]]
///
/// Struct: ConvolutionInput in convolution.cpp. Kernels: convolution. Test: conv_transpose2d in
/// rows_convolution.cpp.
Tensor conv_transpose2d(const TensorArg& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});

}  // namespace ebb
