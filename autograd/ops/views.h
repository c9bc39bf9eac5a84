// Views and rearrangements: the same elements in another shape. Views share the storage. Gradients
// of every order.
#pragma once

#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the same elements in row-major order in `shape`; one size may be -1. A view if strides
/// allow, else a copy.
Tensor reshape(const TensorArg& x, const Shape& shape);
/// Merges dims first to last into one.
Tensor flatten(const TensorArg& x, int64_t first = 0, int64_t last = -1);
/// Swaps two dims. A view.
Tensor transpose(const TensorArg& x, int64_t a = -2, int64_t b = -1);
/// Reorders the dims: dim i of the result is dim order[i] of x. A view.
Tensor permute(const TensorArg& x, const Shape& order);
/// Inserts a dim of size 1 before `dim`. A view.
Tensor unsqueeze(const TensorArg& x, int64_t dim);
/// Removes a dim of size 1. A view. Throws Error if its size is not 1.
Tensor squeeze(const TensorArg& x, int64_t dim);
/// Returns elements start, start + step ... below stop along dim. As in Python, negative bounds
/// count from the end, and bounds are clamped to the size. step >= 1. A view.
Tensor slice(const TensorArg& x, int64_t dim, int64_t start, int64_t stop, int64_t step = 1);
/// Returns slice `index` along dim, without that dim. A view. Throws Error if index is out of
/// range.
Tensor select(const TensorArg& x, int64_t dim, int64_t index);
/// Broadcasts to a shape without a copy; -1 keeps a size. A view that must not be written to.
Tensor expand(const TensorArg& x, const Shape& shape);
/// Joins tensors along an existing dim. All other sizes must agree.
Tensor cat(const TensorsArg& tensors, int64_t dim = 0);
/// Joins tensors along a new dim. All shapes must agree.
Tensor stack(const TensorsArg& tensors, int64_t dim = 0);
/// Returns zeros of `shape` with x at start, start + step ... along dim: the reverse of slice.
Tensor slice_scatter(const TensorArg& x, const Shape& shape, int64_t dim, int64_t start,
                     int64_t step = 1);
/// Returns the same tensor with a separate node in the graph.
Tensor alias(const TensorArg& x);
/// Returns x without all dims of size 1. A view.
Tensor squeeze(const TensorArg& x);
/// Returns a matrix with its dims swapped; a tensor of fewer dims as it is. A view. Throws Error above two dims.
///
///     t(ones({2, 3}));  // (3, 2)
Tensor t(const TensorArg& x);
/// Returns reshape(x, shape) where that needs no copy. Throws Error where it would need one.
Tensor view(const TensorArg& x, const Shape& shape);

}  // namespace ebb
