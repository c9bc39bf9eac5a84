// Views and rearrangements: the same elements in another shape.
//
// Views share the storage. They take any dtype, and have gradients of every order for floating
// tensors.
#pragma once

#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the same elements in row-major order in `shape`, of which one size may be -1. A view if
/// the strides allow one, else a copy.
///
/// Derivative: the upstream gradient, reshaped.
///
/// Struct: Reshape in views.cpp. Test: reshape in rows_views.cpp.
Tensor reshape(const TensorArg& x, const Shape& shape);
/// Returns x with dims first to last merged into one.
///
/// Composed in views.cpp. Test: flatten in rows_views.cpp.
Tensor flatten(const TensorArg& x, int64_t first = 0, int64_t last = -1);
/// Returns x with two dims exchanged. A view.
///
/// Composed in views.cpp. Test: transpose in rows_views.cpp.
Tensor transpose(const TensorArg& x, int64_t a = -2, int64_t b = -1);
/// Returns x with its dims in another order: dim i of the result is dim order[i] of x. A view.
///
/// Derivative: the upstream gradient, permuted back.
///
/// Struct: Permute in views.cpp. Test: permute in rows_views.cpp.
Tensor permute(const TensorArg& x, const Shape& order);
/// Returns x with a dim of size 1 inserted before `dim`. A view.
///
/// Composed in views.cpp. Test: unsqueeze in rows_views.cpp.
Tensor unsqueeze(const TensorArg& x, int64_t dim);
/// Returns x without a dim of size 1. A view. Throws Error if its size is not 1.
///
/// Composed in views.cpp. Test: squeeze in rows_views.cpp.
Tensor squeeze(const TensorArg& x, int64_t dim);
/// Returns elements start, start + step, ... below stop along dim. A view.
///
/// As in Python, negative bounds count from the end, and bounds are clamped to the size. step >= 1.
/// Derivative: slice_scatter of the upstream gradient.
///
///     Tensor y = slice(tensor({1, 2, 3, 4, 5}), 0, 1, 5, 2);  // [2, 4]
///
/// Struct: Slice in views.cpp. Test: slice in rows_views.cpp.
Tensor slice(const TensorArg& x, int64_t dim, int64_t start, int64_t stop, int64_t step = 1);
/// Returns slice `index` along dim, without that dim. A view. Throws Error if index is out of
/// range.
///
/// Composed in views.cpp. Test: select, subscript in rows_views.cpp.
Tensor select(const TensorArg& x, int64_t dim, int64_t index);
/// Returns x broadcast to a shape without a copy; -1 keeps a size. A view that must not be written
/// to.
///
/// Derivative: the upstream gradient, summed to the shape of x.
///
/// Struct: Expand in views.cpp. Test: expand in rows_views.cpp.
Tensor expand(const TensorArg& x, const Shape& shape);
/// Returns tensors joined along an existing dim. All other sizes must agree.
///
/// Derivative: the parts of the upstream gradient.
///
///     Tensor y = cat({tensor({1, 2}), tensor({3})});  // [1, 2, 3]
///
/// Struct: Cat in views.cpp. Kernels: copy. Test: cat in rows_views.cpp.
Tensor cat(const TensorsArg& tensors, int64_t dim = 0);
/// Returns tensors joined along a new dim. All shapes must agree.
///
/// Composed in views.cpp. Test: stack in rows_views.cpp.
Tensor stack(const TensorsArg& tensors, int64_t dim = 0);
/// Returns zeros of `shape` with x at start, start + step, ... along dim: the reverse of slice.
///
/// Derivative: slice of the upstream gradient.
///
/// Struct: SliceScatter in views.cpp. Kernels: copy. Test: slice_scatter in rows_views.cpp.
Tensor slice_scatter(const TensorArg& x, const Shape& shape, int64_t dim, int64_t start,
                     int64_t step = 1);
/// Returns the same tensor with a node of its own in the graph.
///
/// Derivative: the upstream gradient.
///
/// Struct: Alias in views.cpp. Test: alias in rows_views.cpp.
Tensor alias(const TensorArg& x);
/// Returns x without all dims of size 1. A view.
///
/// Composed in views.cpp. Test: squeeze_all in rows_views.cpp.
Tensor squeeze(const TensorArg& x);
/// Returns a matrix with its dims exchanged, and a tensor of fewer dims unchanged. A view. Throws
/// Error for more than two dims.
///
///     Tensor y = t(tensor({{1, 2}, {3, 4}}));  // [[1, 3], [2, 4]]
///
/// Composed in views.cpp. Test: t in rows_views.cpp.
Tensor t(const TensorArg& x);
/// Returns reshape(x, shape) without a copy. Throws Error if the strides of x would need one.
///
/// Composed in views.cpp. Test: view in rows_views.cpp.
Tensor view(const TensorArg& x, const Shape& shape);

}  // namespace ebb
