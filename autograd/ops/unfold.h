// unfold and fold: the windows of images as columns, and back. torch.nn.functional.unfold and fold.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Sizes are one number for both dims or one for each.
struct UnfoldOptions {
  Shape dilation = 1;
  Shape padding = 0;
  Shape stride = 1;
};

/// Returns the windows of images as columns: row (c kh + p) kw + q of a column is the element of
/// channel c at (p, q) of the window. Options may pad x with zeros.
///
/// Derivative: fold of the gradient.
/// Shape: (N, C, H, W) -> (N, C kh kw, L) for L windows. An input without the dim N is one sample.
/// Throws Error where a kernel is larger than the padded input.
///
///     Tensor columns = unfold(tensor({{{{1., 2., 3.}}}}), {1, 2});  // [[[1, 2], [2, 3]]]
///
/// Composed in unfold.cpp. Test: unfold in rows_convolution.cpp.
Tensor unfold(const TensorArg& x, const Shape& kernel_size, const UnfoldOptions& options = {});

/// Returns images of the given output_size (H, W) in which the elements of the columns x are added
/// up where unfold would have read them.
///
/// Derivative: unfold of the gradient. Shape: (N, C kh kw, L) -> (N, C, H, W). Throws Error unless
/// the rows of x are a multiple of kh kw and L is the number of windows.
///
///     Tensor images = fold(ones({1, 2, 2}), {1, 3}, {1, 2});  // [[[[1, 2, 1]]]]
///
/// Composed in unfold.cpp. Test: fold in rows_convolution.cpp.
Tensor fold(const TensorArg& x, const Shape& output_size, const Shape& kernel_size,
            const UnfoldOptions& options = {});

}  // namespace ebb
