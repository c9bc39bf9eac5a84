// Arithmetic, elementary functions, comparisons. All element-wise; operands broadcast by NumPy's rule and share a device,
// else Error. Gradients of every order.
//
// Dtypes: where an operator takes integers, an integer or bool tensor beside a tensor of another dtype is promoted as in
// torch (bool, u8, i64, floating); f32 beside f64 is an Error. A C++ number takes the tensor's dtype: Error when an integer
// tensor cannot hold it. u8 keeps the lowest 8 bits of a result.
//
// bool tensors, as in torch:
//
// | expression (b, c: bool tensors)     | result                                                       |
// |-------------------------------------|--------------------------------------------------------------|
// | b + c, b * c                        | bool: logical or, logical and; true and false count as such  |
// | maximum, minimum, where, sign       | bool                                                         |
// | comparisons, logical functions      | bool                                                         |
// | b + 2, b * 2, b < 2                 | computed in i64: true is 1                                   |
// | b + 0.5, b * 0.5, b < 0.5           | computed in f32                                              |
// | b - c, b - 2, 2 - b, -b, abs        | Error: convert with to(), or negate with logical_not()       |
// | everything else                     | Error: expected floating tensors                             |
#pragma once

#include <limits>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// a + b. Also for i64.
Tensor add(const TensorArg& a, const Tensor& b);
Tensor add(const TensorArg& a, Scalar b);
/// a - b. Also for i64.
Tensor sub(const TensorArg& a, const Tensor& b);
/// a b. Also for i64.
Tensor mul(const TensorArg& a, const Tensor& b);
Tensor mul(const TensorArg& a, Scalar b);
/// a / b.
Tensor div(const TensorArg& a, const Tensor& b);
Tensor div(const TensorArg& a, Scalar b);
/// -x. Also for i64.
Tensor neg(const TensorArg& x);

inline Tensor operator+(const TensorArg& a, const Tensor& b) { return add(a, b); }
inline Tensor operator+(const TensorArg& a, Scalar b) { return add(a, b); }
inline Tensor operator+(Scalar a, const TensorArg& b) { return add(b, a); }
inline Tensor operator-(const TensorArg& a, const Tensor& b) { return sub(a, b); }
Tensor operator-(const TensorArg& a, Scalar b);
Tensor operator-(Scalar a, const TensorArg& b);
inline Tensor operator*(const TensorArg& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator*(const TensorArg& a, Scalar b) { return mul(a, b); }
inline Tensor operator*(Scalar a, const TensorArg& b) { return mul(b, a); }
inline Tensor operator/(const TensorArg& a, const Tensor& b) { return div(a, b); }
inline Tensor operator/(const TensorArg& a, Scalar b) { return div(a, b); }
Tensor operator/(Scalar a, const TensorArg& b);
inline Tensor operator-(const TensorArg& x) { return neg(x); }

/// x^y for x > 0, or integral y. Gradient by y: x^y log x (0 where x = 0 and y >= 0).
Tensor pow(const TensorArg& x, const Tensor& y);
Tensor pow(const TensorArg& x, double exponent);
Tensor pow(double x, const TensorArg& y);
/// x^2.
Tensor square(const TensorArg& x);
/// e^x, at most 1 ulp off; likewise log, log1p, expm1, tanh, erf.
Tensor exp(const TensorArg& x);
/// Natural logarithm: -inf at 0, NaN below.
Tensor log(const TensorArg& x);
/// log(1 + x), exact near 0.
Tensor log1p(const TensorArg& x);
/// e^x - 1, exact near 0.
Tensor expm1(const TensorArg& x);
Tensor sqrt(const TensorArg& x);
/// 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.
Tensor erf(const TensorArg& x);
/// |x|, gradient 0 at 0. Also for i64.
Tensor abs(const TensorArg& x);
/// -1, 0 or 1; 0 for NaN. Gradient 0. Also for i64.
Tensor sign(const TensorArg& x);

/// The larger one; NaN when either is. Where they are equal each gets half of the gradient. Also for i64.
Tensor maximum(const TensorArg& a, const Tensor& b);
Tensor minimum(const TensorArg& a, const Tensor& b);
Tensor maximum(const TensorArg& a, Scalar b);
Tensor minimum(const TensorArg& a, Scalar b);
inline Tensor maximum(Scalar a, const TensorArg& b) { return maximum(b, a); }
inline Tensor minimum(Scalar a, const TensorArg& b) { return minimum(b, a); }
/// x clamped to [low, high]; the gradient passes at both bounds. NaN stays.
Tensor clamp(const TensorArg& x, double low, double high = std::numeric_limits<double>::infinity());
Tensor clamp_min(const TensorArg& x, double bound);
Tensor clamp_max(const TensorArg& x, double bound);
/// a where condition is true (not 0), else b. condition: any dtype, no gradient. Also for i64.
Tensor where(const TensorArg& condition, const Tensor& a, const Tensor& b);
/// A number takes the other operand's dtype, and has to be exact in it. Two numbers give f32, i64 or bool.
Tensor where(const TensorArg& condition, Scalar a, const Tensor& b);
Tensor where(const TensorArg& condition, const Tensor& a, Scalar b);
Tensor where(const TensorArg& condition, Scalar a, Scalar b);

// Comparisons give bool; operands of any one dtype, i64 included; NaN compares false, except in not_equal.
Tensor less(const TensorArg& a, const Tensor& b);
Tensor less_equal(const TensorArg& a, const Tensor& b);
Tensor greater(const TensorArg& a, const Tensor& b);
Tensor greater_equal(const TensorArg& a, const Tensor& b);
Tensor eq(const TensorArg& a, const Tensor& b);
Tensor not_equal(const TensorArg& a, const Tensor& b);
Tensor operator<(const TensorArg& a, Scalar b);
Tensor operator<=(const TensorArg& a, Scalar b);
Tensor operator>(const TensorArg& a, Scalar b);
Tensor operator>=(const TensorArg& a, Scalar b);
inline Tensor operator<(const TensorArg& a, const Tensor& b) { return less(a, b); }
inline Tensor operator<=(const TensorArg& a, const Tensor& b) { return less_equal(a, b); }
inline Tensor operator>(const TensorArg& a, const Tensor& b) { return greater(a, b); }
inline Tensor operator>=(const TensorArg& a, const Tensor& b) { return greater_equal(a, b); }
inline Tensor operator==(const TensorArg& a, const Tensor& b) { return eq(a, b); }
inline Tensor operator!=(const TensorArg& a, const Tensor& b) { return not_equal(a, b); }
Tensor operator==(const TensorArg& a, Scalar b);
Tensor operator!=(const TensorArg& a, Scalar b);
/// Of two bool (or any) tensors: true where both, either, or the one not, are other than 0.
Tensor logical_and(const TensorArg& a, const Tensor& b);
Tensor logical_or(const TensorArg& a, const Tensor& b);
Tensor logical_not(const TensorArg& a);

}  // namespace ebb
