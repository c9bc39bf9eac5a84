// Reductions. dims: which dims to reduce, negative ones count from the end; an empty list reduces all. keepdim leaves
// them with size 1.
#pragma once

#include <tuple>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The sum; accumulated in f64. i64, u8 and bool give i64 (without gradient).
Tensor sum(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// sum / count; NaN over nothing. REQUIRES a floating x.
Tensor mean(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the product; accumulated in f64. i64, u8 and bool give i64 (without gradient); 1 over nothing.
///
/// Derivative: the product of the other elements, right at zeros too.
Tensor prod(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the largest elements along dims; NaN where one is. Of any dtype.
///
/// The gradient is split evenly between equal elements, as in torch. Throws Error over nothing.
Tensor amax(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
Tensor amin(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns the largest element of all: amax(x).
Tensor max(const TensorArg& x);
Tensor min(const TensorArg& x);
/// Returns the largest elements along dim and their indices (i64): the first one among equal elements, and a NaN counts
/// as the largest. The gradient flows to the chosen elements. Throws Error over nothing.
///
///     auto [values, indices] = max(tensor({{1, 5, 5}, {7, 2, 3}}), 1);  // [5, 7], [1, 0]
std::tuple<Tensor, Tensor> max(const TensorArg& x, int64_t dim, bool keepdim = false);
std::tuple<Tensor, Tensor> min(const TensorArg& x, int64_t dim, bool keepdim = false);
/// log(sum(e^x)), shifted by the maximum: no overflow; -inf over nothing or over -inf alone.
Tensor logsumexp(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Index (i64) of the first largest element along dim; a NaN counts as largest. No gradient.
Tensor argmax(const TensorArg& x, int64_t dim, bool keepdim = false);
Tensor argmin(const TensorArg& x, int64_t dim, bool keepdim = false);
/// Returns the index of the largest element in the flattened tensor, 0-d.
Tensor argmax(const TensorArg& x);
Tensor argmin(const TensorArg& x);
/// Returns true (bool) where an element along dims is not 0; false over nothing. NaN is not 0. Of any dtype.
Tensor any(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns true (bool) where every element along dims is not 0; true over nothing.
Tensor all(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Returns true if both tensors have the same shape and equal elements; a NaN equals nothing. Waits for the device.
/// Throws Error where dtypes or devices differ. The comparison per element is eq(a, b), or a == b.
bool equal(const TensorArg& a, const Tensor& b);
/// Returns true if |a - b| <= atol + rtol |b| for all elements; infinities have to be equal, and NaN is near NaN only
/// with equal_nan. The shapes broadcast. Waits for the device.
bool allclose(const TensorArg& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
              bool equal_nan = false);
/// Sums what broadcasting had spread out: the reverse of expand from `shape`. Throws Error when shape does not
/// broadcast to x's.
Tensor sum_to(const TensorArg& x, const Shape& shape);

}  // namespace ebb
