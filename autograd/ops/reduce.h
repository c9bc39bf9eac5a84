// Reductions. dims: which dims to reduce, negative ones count from the end; an empty list reduces all. keepdim leaves
// them with size 1.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The sum; accumulated in f64. i64, u8 and bool give i64 (without gradient).
Tensor sum(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// sum / count; NaN over nothing. REQUIRES a floating x.
Tensor mean(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// The largest element; NaN when one is. The gradient is split evenly between equal ones (torch.amax). Throws Error
/// over nothing.
Tensor max(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
Tensor min(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// log(sum(e^x)), shifted by the maximum: no overflow; -inf over nothing or over -inf alone.
Tensor logsumexp(const TensorArg& x, const Shape& dims = {}, bool keepdim = false);
/// Index (i64) of the first largest element along dim; a NaN counts as largest. No gradient.
Tensor argmax(const TensorArg& x, int64_t dim, bool keepdim = false);
Tensor argmin(const TensorArg& x, int64_t dim, bool keepdim = false);
/// Sums what broadcasting had spread out: the reverse of expand from `shape`. Throws Error when shape does not
/// broadcast to x's.
Tensor sum_to(const TensorArg& x, const Shape& shape);

}  // namespace ebb
