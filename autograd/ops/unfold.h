// unfold and fold: the windows of images as columns, and back. torch.nn.functional.unfold and fold.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Sizes are one number for both dims or one for each.
struct UnfoldOptions {
  Shape dilation = 1, padding = 0, stride = 1;
};

/// Returns the windows of x (N, C, H, W) as columns (N, C kh kw, L): row (c kh + p) kw + q of a column is the element of
/// channel c at (p, q) of the window. Zeros surround x where options pad it.
///
/// Derivative: fold of the gradient. An input without the dim N is one sample. Throws Error where a kernel is larger than
/// the padded input.
///
///     Tensor columns = unfold(ones({1, 2, 4, 4}), 3);  // (1, 18, 4)
Tensor unfold(const TensorArg& x, const Shape& kernel_size, const UnfoldOptions& options = {});

/// Returns images (N, C, H, W) of the given output_size (H, W) in which the elements of the columns x (N, C kh kw, L) are
/// added up where unfold would have read them.
///
/// Derivative: unfold of the gradient. Throws Error unless the rows of x are a multiple of kh kw and L is the number of
/// windows.
///
///     Tensor images = fold(ones({1, 18, 4}), 4, 3);  // (1, 2, 4, 4)
Tensor fold(const TensorArg& x, const Shape& output_size, const Shape& kernel_size,
            const UnfoldOptions& options = {});

}  // namespace ebb
