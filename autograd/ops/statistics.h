// Variance, norms, and functions of norms.
//
// dims are those of the reductions; an empty list reduces all dims. They take f32 and f64, add in
// f64, have gradients of every order, and throw Error for undefined and integer tensors.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns sum (x - mean)^2 / (n - correction) along dims. NaN or infinity where n <= correction.
///
/// A correction of 1 is Bessel's; 0 gives the variance of the population. It also takes true and
/// false, as torch's `unbiased`. Derivative: 2 (x - mean) / (n - correction).
///
///     Tensor a = var(tensor({1., 2., 3., 4.}));         // 1.66667
///     Tensor b = var(tensor({1., 2., 3., 4.}), {0}, 0);  // 1.25
///
/// Struct: Variance in statistics.cpp. Kernels: reduce. Test: var in rows_statistics.cpp.
Tensor var(const TensorArg& x, const Shape& dims = {}, double correction = 1, bool keepdim = false);
/// Returns sqrt(var(...)). The gradient is 0 where the result is 0.
///
/// Composed in statistics.cpp. Test: std in rows_statistics.cpp.
Tensor std(const TensorArg& x, const Shape& dims = {}, double correction = 1, bool keepdim = false);
/// Returns (sum |x|^p)^(1/p) along dims. p = 2 is the Euclidean length, infinity the largest and
/// -infinity the smallest |x|, and 0 the number of elements other than 0.
///
/// Derivative: x / norm for p = 2, 0 where the norm is 0. Throws Error if p is NaN, or without
/// elements if p is infinite.
///
///     Tensor a = norm(tensor({3., 4.}));     // 5
///     Tensor b = norm(tensor({3., 4.}), 1);  // 7
///
/// Struct: Norm in statistics.cpp. Kernels: reduce. Test: norm in rows_statistics.cpp.
Tensor norm(const TensorArg& x, double p = 2, const Shape& dims = {}, bool keepdim = false);
/// Returns x / max(norm(x, p) along dim, eps): vectors of length 1.
///
/// Composed in statistics.cpp. Test: normalize in rows_statistics.cpp.
Tensor normalize(const TensorArg& x, double p = 2, int64_t dim = 1, double eps = 1e-12);
/// Returns x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim. The operands broadcast. The
/// derivative is that of the length also where eps is larger, as in torch.
///
///     Tensor y = cosine_similarity(tensor({{1., 0.}}), tensor({{1., 1.}}));  // [0.707107]
///
/// Composed in statistics.cpp. Test: cosine_similarity in rows_statistics.cpp.
Tensor cosine_similarity(const TensorArg& x1, const Tensor& x2, int64_t dim = 1, double eps = 1e-8);

}  // namespace ebb
