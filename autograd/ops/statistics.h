// Variance, norms and what is made of them. dims: as of the reductions; an empty list means all. Of f32 and f64, sums in
// f64, gradients of every order; Errors for undefined and integer tensors.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns sum (x - mean)^2 / (n - correction) along dims; NaN, or infinity, where n <= correction.
///
/// correction: 1 is Bessel's; 0 the population's variance. As of torch's `unbiased`, true and false may be given.
/// Derivative: 2 (x - mean) / (n - correction).
///
///     var(tensor({1, 2, 3, 4}));         // 1.6667
///     var(tensor({1, 2, 3, 4}), 0, 0);   // 1.25
Tensor var(const TensorArg& x, const Shape& dims = {}, double correction = 1, bool keepdim = false);
/// Returns sqrt(var(...)), with gradient 0 where it is 0.
Tensor std(const TensorArg& x, const Shape& dims = {}, double correction = 1, bool keepdim = false);
/// Returns (sum |x|^p)^(1/p) along dims: p = 2 is the Euclidean length, infinity the largest and -infinity the smallest
/// |x|, 0 the number of elements other than 0.
///
/// Derivative of p = 2: x / norm, 0 where the norm is 0. Throws Error when p is NaN, or over nothing for infinite p.
///
///     norm(tensor({3, 4}));     // 5
///     norm(tensor({3, 4}), 1);  // 7
Tensor norm(const TensorArg& x, double p = 2, const Shape& dims = {}, bool keepdim = false);
/// Returns x / max(norm(x, p) along dim, eps): vectors of length 1.
Tensor normalize(const TensorArg& x, double p = 2, int64_t dim = 1, double eps = 1e-12);
/// Returns x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim; the operands broadcast.
/// Where eps is larger, the derivative is nevertheless that of the length, as in torch.
///
///     cosine_similarity(tensor({{1, 0}}), tensor({{1, 1}}));  // [0.7071]
Tensor cosine_similarity(const TensorArg& x1, const Tensor& x2, int64_t dim = 1, double eps = 1e-8);

}  // namespace ebb
