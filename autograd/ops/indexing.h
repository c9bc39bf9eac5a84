// Indexing with tensors of indices. Indices are i64; one that is out of range is an Error with its
// value and position.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns out[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and likewise for other dims
/// (torch.gather). index has as many dims as x, and in all dims except dim at most the size of x.
/// Gradients of repeated indices are added.
Tensor gather(const TensorArg& x, int64_t dim, const Tensor& index);
/// Returns zeros of `shape` with src added at index along dim: the reverse of gather.
/// Deterministic.
Tensor scatter_add(const TensorArg& src, const Shape& shape, int64_t dim, const Tensor& index);
/// Returns the slices index[0], index[1] ... along dim. index has shape (n).
Tensor index_select(const TensorArg& x, int64_t dim, const Tensor& index);
/// Returns one-hot rows: (...) of classes in [0, num_classes) -> (..., num_classes) of 0 and 1.
/// classes: i64 or u8. It has no gradient.
Tensor one_hot(const TensorArg& classes, int64_t num_classes, DType dtype = DType::I64);

}  // namespace ebb
