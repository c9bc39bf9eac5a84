// Trigonometry, rounding, reciprocals and tests for special values, element by element.
//
// They take f32 and f64 unless stated otherwise, have gradients of every order, and throw Error for
// undefined and integer tensors.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the sine of x in radians, for every x, with an error of at most 1 ulp on the CPU and 2
/// on the GPU. NaN for infinite x.
///
/// Derivative: cos x.
///
/// Formula: Sin in formulas/elementary.h. Test: sin in rows_trigonometry.cpp.
Tensor sin(const TensorArg& x);
/// Returns the cosine of x in radians, as accurately as sin. NaN for infinite x.
///
/// Derivative: -sin x.
///
/// Formula: Cos in formulas/elementary.h. Test: cos in rows_trigonometry.cpp.
Tensor cos(const TensorArg& x);
/// Returns the tangent of x in radians, with an error of at most 1 ulp on the CPU and 4 on the GPU.
/// NaN for infinite x.
///
/// Derivative: 1 + tan^2 x.
///
/// Formula: Tan in formulas/elementary.h. Test: tan in rows_trigonometry.cpp.
Tensor tan(const TensorArg& x);
/// Returns the angle of the point (x, y) in radians, in (-pi, pi]. The operands broadcast.
///
/// Derivatives: x / (x^2 + y^2) by y, -y / (x^2 + y^2) by x, 0 at the origin.
///
/// Formula: Atan2 in formulas/elementary.h. Test: atan2 in rows_trigonometry.cpp.
Tensor atan2(const TensorArg& y, const Tensor& x);
/// Returns the exact remainder of x / y with the sign of x. NaN where y is 0 or x is infinite. The
/// operands broadcast.
///
/// Derivatives: 1 by x, -trunc(x / y) by y.
///
///     Tensor y = fmod(tensor({5., -5.}), 3);  // [2, -2]
///
/// Formula: Fmod, FmodScalar in formulas/elementary.h. Test: fmod in rows_trigonometry.cpp.
Tensor fmod(const TensorArg& x, const Tensor& y);
Tensor fmod(const TensorArg& x, double y);
/// Returns the y with erf(y) = x, with an error of at most 4 ulp in f64 and 1 in f32. Infinite at
/// -1 and 1, NaN beyond.
///
/// Derivative: sqrt(pi) / 2 e^(y^2).
///
/// Formula: Erfinv in formulas/elementary.h. Test: erfinv in rows_trigonometry.cpp.
Tensor erfinv(const TensorArg& x);
/// Returns 1 / sqrt(x).
///
/// Derivative: -1/2 x^(-3/2).
///
/// Formula: Rsqrt in formulas/elementary.h. Test: rsqrt in rows_trigonometry.cpp.
Tensor rsqrt(const TensorArg& x);
/// Returns 1 / x.
///
/// Derivative: -1 / x^2.
///
/// Formula: Reciprocal in formulas/elementary.h. Test: reciprocal in rows_trigonometry.cpp.
Tensor reciprocal(const TensorArg& x);

/// Returns the largest integer <= x. An i64 tensor is returned unchanged, here and in ceil, round
/// and trunc.
///
/// Derivative: 0.
///
/// Formula: Floor in formulas/elementary.h. Test: floor in rows_trigonometry.cpp.
Tensor floor(const TensorArg& x);
/// Returns the smallest integer >= x.
///
/// Derivative: 0.
///
/// Formula: Ceil in formulas/elementary.h. Test: ceil in rows_trigonometry.cpp.
Tensor ceil(const TensorArg& x);
/// Returns the nearest integer, and the even one of two that are equally near.
///
/// Derivative: 0.
///
///     Tensor y = round(tensor({0.5, 1.5, -2.5}));  // [0, 2, -2]
///
/// Formula: Round in formulas/elementary.h. Test: round in rows_trigonometry.cpp.
Tensor round(const TensorArg& x);
/// Returns x rounded towards 0.
///
/// Derivative: 0.
///
/// Formula: Trunc in formulas/elementary.h. Test: trunc in rows_trigonometry.cpp.
Tensor trunc(const TensorArg& x);

/// Returns the largest integer <= x / divisor in the dtype of x, also for integers. It has no
/// gradient. Throws Error if an integer tensor is divided by 0 or by a number with a fraction.
///
///     Tensor y = floor_divide(tensor({7, -7}), 2);  // [3, -4]
///
/// Formula: FloorDivide in formulas/elementary.h. Test: floor_divide in rows_numbers.cpp.
Tensor floor_divide(const TensorArg& x, double divisor);

/// Returns a bool tensor that is true where x is NaN. x can have any dtype, as in isinf and
/// isfinite.
///
/// Formula: IsNan in formulas/elementary.h. Test: isnan in rows_trigonometry.cpp.
Tensor isnan(const TensorArg& x);
/// Returns a bool tensor that is true where x is infinite.
///
/// Formula: IsInf in formulas/elementary.h. Test: isinf in rows_trigonometry.cpp.
Tensor isinf(const TensorArg& x);
/// Returns a bool tensor that is true where x is neither infinite nor NaN.
///
/// Formula: IsFinite in formulas/elementary.h. Test: isfinite in rows_trigonometry.cpp.
Tensor isfinite(const TensorArg& x);

}  // namespace ebb
