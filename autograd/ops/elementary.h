// Trigonometry, rounding, reciprocals and tests for special values. All element by element, of f32 and f64, with
// gradients of every order; Errors for undefined and integer tensors.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the sine of x in radians, at most 1 ulp off on the CPU and 2 on the GPU, for every x.
///
/// Derivative: cos x. NaN for infinite x.
Tensor sin(const TensorArg& x);
/// Returns the cosine of x in radians, as exact as sin. Derivative: -sin x.
Tensor cos(const TensorArg& x);
/// Returns the tangent of x in radians, at most 1 ulp off on the CPU and 4 on the GPU. Derivative: 1 + tan^2 x.
Tensor tan(const TensorArg& x);
/// Returns the angle of the point (x, y) in radians, in (-pi, pi]; the operands broadcast.
///
/// Derivatives: x / (x^2 + y^2) by y, -y / (x^2 + y^2) by x; 0 at the origin.
Tensor atan2(const TensorArg& y, const Tensor& x);
/// Returns the remainder of x / y with the sign of x, exactly; NaN where y is 0 or x infinite. The operands broadcast.
///
/// Derivatives: 1 by x, -trunc(x / y) by y.
///
///     fmod(tensor({5, -5}), 3);  // [2, -2]
Tensor fmod(const TensorArg& x, const Tensor& y);
Tensor fmod(const TensorArg& x, double y);
/// Returns y with erf(y) = x, at most 4 ulp off in f64 and 1 in f32: infinite at -1 and 1, NaN beyond.
///
/// Derivative: sqrt(pi) / 2 e^(y^2).
Tensor erfinv(const TensorArg& x);
/// Returns 1 / sqrt(x). Derivative: -1/2 x^(-3/2).
Tensor rsqrt(const TensorArg& x);
/// Returns 1 / x. Derivative: -1 / x^2.
Tensor reciprocal(const TensorArg& x);

/// Returns the largest integer <= x. Gradient 0. An i64 tensor gives itself, here and in ceil, round and trunc.
Tensor floor(const TensorArg& x);
/// Returns the smallest integer >= x. Gradient 0.
Tensor ceil(const TensorArg& x);
/// Returns the nearest integer, and of two that are as near the even one. Gradient 0.
///
///     round(tensor({0.5, 1.5, -2.5}));  // [0, 2, -2]
Tensor round(const TensorArg& x);
/// Returns x without its fraction: rounded towards 0. Gradient 0.
Tensor trunc(const TensorArg& x);

/// Returns the largest integer <= x / divisor, in x's dtype. Throws Error when an integer tensor is divided by 0 or by a
/// fraction. No gradient.
///
///     floor_divide(tensor({7, -7}), 2);  // [3, -4]
Tensor floor_divide(const TensorArg& x, double divisor);

/// Returns a bool tensor: true where x is NaN. Of any dtype, as are isinf and isfinite; without gradient.
Tensor isnan(const TensorArg& x);
/// Returns true where x is infinite.
Tensor isinf(const TensorArg& x);
/// Returns true where x is neither infinite nor NaN.
Tensor isfinite(const TensorArg& x);

}  // namespace ebb
