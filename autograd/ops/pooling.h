// Pooling: each output is the largest element, or the average, of a window of the input. Gradients
// of every order.
//
// Inputs are (C, L) or (N, C, L) in one dimension, and (C, H, W) or (N, C, H, W) in two. Only the
// batch may be empty. Sizes of windows are one number, or (height, width) in two dimensions.
// Functions throw Error for other shapes, for undefined and integer tensors, and for windows that
// do not fit.
#pragma once

#include <optional>
#include <tuple>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the largest element of each window of kernel_size elements.
///
/// Windows start every `stride` elements (kernel_size if empty) and read every `dilation`-th one;
/// `padding` elements of -inf are added at both ends. The size is floor((L + 2 padding - dilation
/// (kernel_size - 1) - 1) / stride) + 1, rounded up if ceil_mode is true, without windows that
/// start behind the input and its padding at the front. Derivative: 1 for the first largest element
/// of a window, else 0. A NaN counts as the largest. Throws Error unless padding is at most half of
/// kernel_size and there is at least one window.
///
///     Tensor y = max_pool1d(tensor({{1., 3., 2., 5., 4.}}), 2);  // [[3, 5]]
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: max_pool1d in rows_pooling.cpp.
Tensor max_pool1d(const TensorArg& x, const Shape& kernel_size, const Shape& stride = {},
                  const Shape& padding = 0, const Shape& dilation = 1, bool ceil_mode = false);
/// Returns the largest element of each window in two dimensions. It is otherwise as max_pool1d.
///
/// Derivative: 1 for the first largest element of a window, else 0.
///
///     Tensor y = max_pool2d(tensor({{{1., 2.}, {4., 3.}}}), 2);  // [[[4]]]
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: max_pool2d in rows_pooling.cpp.
Tensor max_pool2d(const TensorArg& x, const Shape& kernel_size, const Shape& stride = {},
                  const Shape& padding = 0, const Shape& dilation = 1, bool ceil_mode = false);
/// Returns max_pool1d and the positions of the elements in their rows, as i64.
///
/// Derivative: that of max_pool1d; the positions have none.
///
///     auto [values, indices] = max_pool1d_with_indices(tensor({{1., 3., 2., 5.}}), 2);
///     values;   // [[3, 5]]
///     indices;  // [[1, 3]]
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: max_pool1d_indices,
/// max_pool2d_with_indices in rows_pooling.cpp.
std::tuple<Tensor, Tensor> max_pool1d_with_indices(const TensorArg& x, const Shape& kernel_size,
                                                   const Shape& stride = {},
                                                   const Shape& padding = 0,
                                                   const Shape& dilation = 1,
                                                   bool ceil_mode = false);
/// Returns max_pool2d and the positions row W + column of the elements, as i64.
///
/// Derivative: that of max_pool2d; the positions have none.
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: max_pool2d_with_indices,
/// max_pool2d_indices in rows_pooling.cpp.
std::tuple<Tensor, Tensor> max_pool2d_with_indices(const TensorArg& x, const Shape& kernel_size,
                                                   const Shape& stride = {},
                                                   const Shape& padding = 0,
                                                   const Shape& dilation = 1,
                                                   bool ceil_mode = false);

/// Returns the average of each window of kernel_size elements. Windows and sizes are those of
/// max_pool1d without dilation.
///
/// The padding is 0. A sum is divided by the number of elements of its window, which includes those
/// in the padding if count_include_pad is true. Derivative: 1 divided by that number.
///
///     Tensor y = avg_pool1d(tensor({{1., 3., 2., 5.}}), 2);  // [[2, 3.5]]
///
/// Struct: AvgPool in pooling.cpp. Kernels: pooling. Test: avg_pool1d in rows_pooling.cpp.
Tensor avg_pool1d(const TensorArg& x, const Shape& kernel_size, const Shape& stride = {},
                  const Shape& padding = 0, bool ceil_mode = false, bool count_include_pad = true);
/// Returns the average of each window in two dimensions. Sums are divided by divisor_override if it
/// is given. Throws Error if it is 0.
///
/// Derivative: 1 divided by the divisor of the window.
///
///     Tensor y = avg_pool2d(tensor({{{1., 2.}, {4., 3.}}}), 2);  // [[[2.5]]]
///
/// Struct: AvgPool in pooling.cpp. Kernels: pooling. Test: avg_pool2d in rows_pooling.cpp.
Tensor avg_pool2d(const TensorArg& x, const Shape& kernel_size, const Shape& stride = {},
                  const Shape& padding = 0, bool ceil_mode = false, bool count_include_pad = true,
                  std::optional<int64_t> divisor_override = {});

/// Output sizes of adaptive pooling: one number for all dims, or one per dim. A dim without a value
/// keeps the size of the input.
class AdaptiveSize {
 public:
  AdaptiveSize(std::integral auto size) : AdaptiveSize({static_cast<int64_t>(size)}) {}
  AdaptiveSize(std::initializer_list<std::optional<int64_t>> sizes) {
    for (std::optional<int64_t> size : sizes) {
      if (count_ == 2) fail("adaptive_pool", "expected at most 2 output sizes, got ", sizes.size());
      sizes_[count_++] = size;
    }
  }
  AdaptiveSize(const Shape& sizes) {
    for (int64_t size : sizes) {
      if (count_ == 2) fail("adaptive_pool", "expected at most 2 output sizes, got ", sizes);
      sizes_[count_++] = size;
    }
  }
  int count() const { return count_; }
  /// Returns size i, which is that of all dims if there is one.
  std::optional<int64_t> operator[](int i) const { return sizes_[count_ == 1 ? 0 : i]; }

 private:
  int count_ = 0;
  std::optional<int64_t> sizes_[2];
};

/// Returns the averages of output_size windows that cover the input: window i reads the elements
/// from floor(i L / output_size) to ceil((i + 1) L / output_size). Throws Error for negative sizes.
///
/// Derivative: 1 divided by the number of elements of the window.
///
///     Tensor y = adaptive_avg_pool1d(tensor({{1., 3., 2., 6., 8.}}), 2);  // [[2, 5.33333]]
///
/// Struct: AvgPool in pooling.cpp. Kernels: pooling. Test: adaptive_avg_pool1d in
/// rows_pooling.cpp.
Tensor adaptive_avg_pool1d(const TensorArg& x, const AdaptiveSize& output_size);
/// Returns the averages of output_size windows in two dimensions. adaptive_avg_pool2d(x, 1) is the
/// average over all positions.
///
/// Derivative: 1 divided by the number of elements of the window.
///
/// Struct: AvgPool in pooling.cpp. Kernels: pooling. Test: adaptive_avg_pool2d in
/// rows_pooling.cpp.
Tensor adaptive_avg_pool2d(const TensorArg& x, const AdaptiveSize& output_size);
/// Returns the largest elements of the windows of adaptive_avg_pool1d.
///
/// Derivative: 1 for the first largest element of a window, else 0.
///
///     Tensor y = adaptive_max_pool1d(tensor({{1., 3., 2., 6., 8.}}), 2);  // [[3, 8]]
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: adaptive_max_pool1d in rows_pooling.cpp.
Tensor adaptive_max_pool1d(const TensorArg& x, const AdaptiveSize& output_size);
/// Returns the largest elements of the windows of adaptive_avg_pool2d.
///
/// Derivative: 1 for the first largest element of a window, else 0.
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: adaptive_max_pool2d in rows_pooling.cpp.
Tensor adaptive_max_pool2d(const TensorArg& x, const AdaptiveSize& output_size);
/// Returns adaptive_max_pool1d and the positions of the elements in their rows, as i64.
///
/// Derivative: that of adaptive_max_pool1d; the positions have none.
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: adaptive_max_pool1d_with_indices in
/// rows_pooling.cpp.
std::tuple<Tensor, Tensor> adaptive_max_pool1d_with_indices(const TensorArg& x,
                                                            const AdaptiveSize& output_size);
/// Returns adaptive_max_pool2d and the positions row W + column of the elements, as i64.
///
/// Derivative: that of adaptive_max_pool2d; the positions have none.
///
/// Struct: MaxPool in pooling.cpp. Kernels: pooling. Test: adaptive_max_pool2d_indices,
/// adaptive_max_pool1d_with_indices in rows_pooling.cpp.
std::tuple<Tensor, Tensor> adaptive_max_pool2d_with_indices(const TensorArg& x,
                                                            const AdaptiveSize& output_size);

}  // namespace ebb
