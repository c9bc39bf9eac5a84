// Views and rearrangement: same elements, other shape. Views share the storage; gradients of every order.
#pragma once

#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The same elements in row-major order as `shape`; one size may be -1. A view where strides allow, else a copy.
Tensor reshape(const TensorArg& x, const Shape& shape);
/// Merges dims first to last into one.
Tensor flatten(const TensorArg& x, int64_t first = 0, int64_t last = -1);
/// Swaps two dims. A view.
Tensor transpose(const TensorArg& x, int64_t a = -2, int64_t b = -1);
/// Orders the dims anew: out dim i is x's dim order[i]. A view.
Tensor permute(const TensorArg& x, const Shape& order);
/// A dim of size 1 put in before `dim`. A view.
Tensor unsqueeze(const TensorArg& x, int64_t dim);
/// Drops a dim of size 1. A view. Throws Error when its size is another.
Tensor squeeze(const TensorArg& x, int64_t dim);
/// Elements start, start + step ... below stop along dim; negative bounds count from the end, and bounds are clamped
/// to the size, as in Python. step >= 1. A view.
Tensor slice(const TensorArg& x, int64_t dim, int64_t start, int64_t stop, int64_t step = 1);
/// The index-th slice along dim, without that dim. A view. Throws Error when out of range.
Tensor select(const TensorArg& x, int64_t dim, int64_t index);
/// Broadcast to a shape without copying: -1 keeps a size. A view that must not be written to.
Tensor expand(const TensorArg& x, const Shape& shape);
/// Joined along an existing dim; all other sizes agree.
Tensor cat(const TensorsArg& tensors, int64_t dim = 0);
/// Joined along a new dim; all shapes agree.
Tensor stack(const TensorsArg& tensors, int64_t dim = 0);
/// Zeros of `shape` with x put at start, start + step ... along dim: the reverse of slice.
Tensor slice_scatter(const TensorArg& x, const Shape& shape, int64_t dim, int64_t start,
                     int64_t step = 1);
/// The same tensor under a node of its own in the graph.
Tensor alias(const TensorArg& x);

}  // namespace ebb
