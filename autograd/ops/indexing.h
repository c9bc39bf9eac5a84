// Indexing by tensors of indices. index: i64, range-checked: Error with the value and the position.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// out[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and so on; index has x's number of dims, and in all dims but dim
/// at most x's size (torch.gather). The gradient adds up where an index repeats.
Tensor gather(const TensorArg& x, int64_t dim, const Tensor& index);
/// Zeros of `shape` with src added at index along dim: the reverse of gather; deterministic.
Tensor scatter_add(const TensorArg& src, const Shape& shape, int64_t dim, const Tensor& index);
/// The slices index[0], index[1] ... along dim; index (n).
Tensor index_select(const TensorArg& x, int64_t dim, const Tensor& index);
/// (...) of classes in [0, num_classes) -> (..., num_classes) of 0 and 1. classes: i64 or u8. No gradient.
Tensor one_hot(const TensorArg& classes, int64_t num_classes, DType dtype = DType::I64);

}  // namespace ebb
