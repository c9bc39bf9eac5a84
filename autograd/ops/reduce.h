// Reductions.
//
// dims lists the dims to reduce; negative ones count from the end, and an empty list reduces all
// dims. With keepdim the reduced dims stay with size 1.
#pragma once

#include <tuple>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the sum, accumulated in f64. The sum of i64, u8 and bool is i64, without gradient.
///
/// Derivative: 1.
///
///     Tensor y = sum(tensor({{1., 2.}, {3., 4.}}), {1});  // [3, 7]
///
/// Struct: Sum in reduce.cpp. Kernels: reduce. Test: sum in rows_reduce.cpp.
Tensor sum(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the sum divided by the number of elements, of a floating tensor. NaN without elements.
///
/// Composed in reduce.cpp. Test: mean in rows_reduce.cpp.
Tensor mean(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the product, accumulated in f64, and 1 without elements. The product of i64, u8 and bool
/// is i64, without gradient.
///
/// Derivative: the product of the other elements, also at zeros.
///
/// Struct: Product in reduce.cpp. Kernels: reduce, scan. Test: prod in rows_sorting.cpp.
Tensor prod(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the largest elements along dims, of any dtype. NaN if one of them is NaN. Throws Error
/// without elements.
///
/// Derivative: 1 at the largest element; equal elements share it, as in torch.
///
/// Struct: Extreme in reduce.cpp. Kernels: reduce. Test: amax in rows_reduce.cpp.
Tensor amax(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the smallest elements along dims, of any dtype. NaN if one of them is NaN. Throws Error
/// without elements.
///
/// Derivative: 1 at the smallest element; equal elements share it, as in torch.
///
/// Struct: Extreme in reduce.cpp. Kernels: reduce. Test: amin in rows_reduce.cpp.
Tensor amin(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the largest of all elements: amax(x).
///
/// Composed in reduce.cpp. Test: max in rows_reduce.cpp.
Tensor max(const TensorArg& x);
/// Returns the smallest of all elements: amin(x).
///
/// Composed in reduce.cpp. Test: min in rows_reduce.cpp.
Tensor min(const TensorArg& x);
/// Returns the largest elements along dim and their indices (i64). It takes the first one of equal
/// elements, and NaN counts as the largest. The gradient goes to the selected elements. Throws
/// Error without elements.
///
///     auto [values, indices] = max(tensor({{1., 5., 5.}, {7., 2., 3.}}), 1);  // [5, 7] and [1, 0]
///
/// Composed in reduce.cpp. Kernels: arg_reduce, gather. Test: max in rows_reduce.cpp.
std::tuple<Tensor, Tensor> max(const TensorArg& x, int64_t dim, bool keepdim = false);
/// Returns the smallest elements along dim and their indices (i64). It takes the first one of equal
/// elements, and NaN counts as the smallest. The gradient goes to the selected elements. Throws
/// Error without elements.
///
/// Composed in reduce.cpp. Kernels: arg_reduce, gather. Test: min in rows_reduce.cpp.
std::tuple<Tensor, Tensor> min(const TensorArg& x, int64_t dim, bool keepdim = false);
/// Returns log(sum(e^x)). The maximum is subtracted first, so it does not overflow. -infinity
/// without elements.
///
/// Derivative: e^(x - y) with the output y.
///
/// Struct: LogSumExp in reduce.cpp. Kernels: reduce. Test: logsumexp in rows_reduce.cpp.
Tensor logsumexp(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the index (i64) of the first largest element along dim. NaN counts as the largest. It
/// has no gradient.
///
/// Composed in reduce.cpp. Kernels: arg_reduce. Test: argmax in rows_reduce.cpp.
Tensor argmax(const TensorArg& x, int64_t dim, bool keepdim = false);
/// Returns the index (i64) of the first smallest element along dim. NaN counts as the smallest. It
/// has no gradient.
///
/// Composed in reduce.cpp. Kernels: arg_reduce. Test: argmin in rows_reduce.cpp.
Tensor argmin(const TensorArg& x, int64_t dim, bool keepdim = false);
/// Returns the index of the first largest element in the flattened tensor, 0-d.
///
/// Composed in reduce.cpp. Kernels: arg_reduce. Test: argmax_whole in rows_reduce.cpp.
Tensor argmax(const TensorArg& x);
/// Returns the index of the first smallest element in the flattened tensor, 0-d.
///
/// Composed in reduce.cpp. Kernels: arg_reduce. Test: argmin_whole in rows_reduce.cpp.
Tensor argmin(const TensorArg& x);
/// Returns true (bool) where at least one element along dims is not 0; false without elements. NaN
/// is not 0. Of any dtype.
///
/// Composed in reduce.cpp. Kernels: reduce. Test: any in rows_reduce.cpp.
Tensor any(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns true (bool) where every element along dims is not 0; true without elements. Of any
/// dtype.
///
/// Composed in reduce.cpp. Kernels: reduce. Test: all in rows_reduce.cpp.
Tensor all(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns true if both tensors have the same shape and equal elements. NaN equals nothing. It
/// waits for the device. Throws Error if dtypes or devices differ. eq(a, b), or a == b, compares
/// element by element.
bool equal(const TensorArg& a, const Tensor& b);
/// Returns true if |a - b| <= atol + rtol |b| for all elements. Infinities must be equal. NaN is
/// close to NaN only with equal_nan. The shapes broadcast. It waits for the device.
bool allclose(const TensorArg& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
              bool equal_nan = false);
/// Returns x summed to a shape that broadcasts to the shape of x: the reverse of expand. Throws
/// Error for other shapes.
///
/// Composed in reduce.cpp. Test: sum_to in rows_reduce.cpp.
Tensor sum_to(const TensorArg& x, const Shape& shape);

}  // namespace ebb
