// Indexing with tensors of indices.
//
// Indices are i64. An index out of range is an Error that states its value and position.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns out[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and likewise for other dims
/// (torch.gather).
///
/// Derivative: scatter_add of the upstream gradient; gradients of repeated indices are added.
/// Shape: index has as many dims as x, and in all dims except dim at most the size of x.
///
///     Tensor y = gather(tensor({{1., 2.}, {3., 4.}}), 1, tensor({{1}, {0}}, i64));  // [[2], [3]]
///
/// Struct: Gather in indexing.cpp. Kernels: gather. Test: gather in rows_indexing.cpp.
Tensor gather(const TensorArg& x, int64_t dim, const Tensor& index);
/// Returns zeros of `shape` with src added at index along dim: the reverse of gather.
///
/// Derivative: gather of the upstream gradient. The order of the additions is always the same.
///
/// Struct: ScatterAdd in indexing.cpp. Kernels: scatter_add. Test: scatter_add in
/// rows_indexing.cpp.
Tensor scatter_add(const TensorArg& src, const Shape& shape, int64_t dim, const Tensor& index);
/// Returns the slices index[0], index[1], ... along dim. index has shape (n).
///
/// Composed in indexing.cpp. Test: index_select in rows_indexing.cpp.
Tensor index_select(const TensorArg& x, int64_t dim, const Tensor& index);
/// Returns one-hot rows: classes (...) in [0, num_classes) become (..., num_classes) of 0 and 1.
///
/// classes: i64 or u8. The result has no gradient.
///
/// Composed in indexing.cpp. Test: one_hot in rows_indexing.cpp.
Tensor one_hot(const TensorArg& classes, int64_t num_classes, DType dtype = DType::I64);

}  // namespace ebb
