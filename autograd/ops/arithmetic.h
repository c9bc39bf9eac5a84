// Arithmetic, elementary functions and comparisons, element by element.
//
// Operands broadcast by NumPy's rule. They must be on the same device, else Error. Gradients exist
// in every order.
//
// Dtypes: all functions take f32 and f64; "also integers" adds i64 and u8. If such a function gets
// an integer or bool tensor together with a tensor of another dtype, it promotes it as torch does,
// in the order bool, u8, i64, floating. f32 together with f64 is an Error. A C++ number takes the
// dtype of the tensor, but integers with a floating number give f32. It is an Error if an integer
// tensor cannot hold an integer. Results of u8 keep the lowest 8 bits.
//
// bool tensors behave as in torch:
//
// | expression (b, c: bool tensors)    | result                                           |
// |------------------------------------|--------------------------------------------------|
// | b + c, b * c                       | bool: logical or, logical and                    |
// | maximum, minimum, where, sign      | bool                                             |
// | comparisons, logical functions     | bool                                             |
// | b + 2, b * 2, b < 2                | computed in i64, where true is 1                 |
// | b + 0.5, b * 0.5, b < 0.5          | computed in f32                                  |
// | b / c, b / 2, 2 / b                | computed in f32                                  |
// | b - c, b - 2, 2 - b, -b, abs       | Error: use to() or logical_not()                 |
// | everything else                    | Error: expected floating tensors                 |
#pragma once

#include <limits>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns a + b, also for integers.
///
/// Derivatives: 1 by a and by b.
///
///     Tensor y = tensor({1., 2.}) + 10;  // [11, 12]
///
/// Formula: Add, AddScalar in formulas/arithmetic.h. Test: add in rows_arithmetic.cpp.
Tensor add(const TensorArg& a, const Tensor& b);
Tensor add(const TensorArg& a, Scalar b);
/// Returns a - b, also for integers.
///
/// Derivatives: 1 by a, -1 by b.
///
/// Formula: Sub, ScalarSub in formulas/arithmetic.h. Test: sub, scalar_sub in rows_arithmetic.cpp.
Tensor sub(const TensorArg& a, const Tensor& b);
/// Returns a b, also for integers.
///
/// Derivatives: b by a, a by b.
///
/// Formula: Mul, MulScalar in formulas/arithmetic.h. Test: mul in rows_arithmetic.cpp.
Tensor mul(const TensorArg& a, const Tensor& b);
Tensor mul(const TensorArg& a, Scalar b);
/// Returns a / b. Integer and bool tensors are divided in f32, as in torch. floor_divide returns
/// integers.
///
/// Derivatives: 1 / b by a, -a / b^2 by b.
///
///     Tensor y = div(tensor({1, 2}), 4);  // [0.25, 0.5]
///
/// Formula: Div, DivScalar, ScalarDiv in formulas/arithmetic.h. Test: div, scalar_div in
/// rows_arithmetic.cpp.
Tensor div(const TensorArg& a, const Tensor& b);
Tensor div(const TensorArg& a, Scalar b);
/// Returns -x, also for integers.
///
/// Derivative: -1.
///
/// Formula: Neg in formulas/arithmetic.h. Test: neg in rows_arithmetic.cpp.
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

/// Returns x^y: NaN where x < 0, unless y is an integer.
///
/// Derivatives: y x^(y - 1) by x; x^y log x by y, 0 where x = 0 and y >= 0.
///
///     Tensor y = pow(tensor({2., 3.}), 2);  // [4, 9]
///
/// Formula: Pow, PowScalar in formulas/arithmetic.h. Test: pow in rows_arithmetic.cpp.
Tensor pow(const TensorArg& x, const Tensor& y);
Tensor pow(const TensorArg& x, double exponent);
Tensor pow(double x, const TensorArg& y);
/// Returns x^2.
///
/// Derivative: 2 x.
///
/// Formula: Square in formulas/arithmetic.h. Test: square in rows_arithmetic.cpp.
Tensor square(const TensorArg& x);
/// Returns e^x, with an error of at most 1 ulp.
///
/// Derivative: y, the output.
///
/// Formula: Exp in formulas/arithmetic.h. Test: exp in rows_elementary.cpp.
Tensor exp(const TensorArg& x);
/// Returns the natural logarithm of x, with an error of at most 1 ulp: -infinity at 0, NaN below.
///
/// Derivative: 1 / x.
///
/// Formula: Log in formulas/arithmetic.h. Test: log in rows_elementary.cpp.
Tensor log(const TensorArg& x);
/// Returns log(1 + x) without cancellation near 0, with an error of at most 1 ulp.
///
/// Derivative: 1 / (1 + x).
///
/// Formula: Log1p in formulas/arithmetic.h. Test: log1p in rows_elementary.cpp.
Tensor log1p(const TensorArg& x);
/// Returns e^x - 1 without cancellation near 0, with an error of at most 1 ulp.
///
/// Derivative: e^x.
///
/// Formula: Expm1 in formulas/arithmetic.h. Test: expm1 in rows_elementary.cpp.
Tensor expm1(const TensorArg& x);
/// Returns the square root of x: NaN where x < 0.
///
/// Derivative: 1 / (2 sqrt(x)), infinite at 0.
///
/// Formula: Sqrt in formulas/arithmetic.h. Test: sqrt in rows_elementary.cpp.
Tensor sqrt(const TensorArg& x);
/// Returns 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x, with an error of at most 1 ulp.
///
/// Derivative: 2 / sqrt(pi) e^(-x^2).
///
/// Formula: Erf in formulas/arithmetic.h. Test: erf in rows_elementary.cpp.
Tensor erf(const TensorArg& x);
/// Returns |x|, also for integers.
///
/// Derivative: the sign of x, 0 at 0.
///
/// Formula: Abs in formulas/arithmetic.h. Test: abs in rows_elementary.cpp.
Tensor abs(const TensorArg& x);
/// Returns -1, 0 or 1 by the sign of x, and 0 for NaN. Also for integers.
///
/// Derivative: 0.
///
/// Formula: Sign in formulas/arithmetic.h. Test: sign in rows_elementary.cpp.
Tensor sign(const TensorArg& x);

/// Returns the larger of a and b, also for integers; NaN if either is NaN.
///
/// Derivatives: 1 by the larger one, 0 by the other one; 1/2 by both if they are equal.
///
///     Tensor y = maximum(tensor({-1., 2.}), 0);  // [0, 2]
///
/// Formula: Maximum in formulas/arithmetic.h. Test: maximum in rows_arithmetic.cpp.
Tensor maximum(const TensorArg& a, const Tensor& b);
Tensor maximum(const TensorArg& a, Scalar b);
/// Returns the smaller of a and b, also for integers; NaN if either is NaN.
///
/// Derivatives: 1 by the smaller one, 0 by the other one; 1/2 by both if they are equal.
///
/// Formula: Minimum in formulas/arithmetic.h. Test: minimum in rows_arithmetic.cpp.
Tensor minimum(const TensorArg& a, const Tensor& b);
Tensor minimum(const TensorArg& a, Scalar b);
inline Tensor maximum(Scalar a, const TensorArg& b) { return maximum(b, a); }
inline Tensor minimum(Scalar a, const TensorArg& b) { return minimum(b, a); }
/// Returns x clamped to [low, high]. NaN stays NaN.
///
/// Derivative: 1 between the bounds and at both bounds, else 0.
///
/// Formula: Clamp in formulas/arithmetic.h. Test: clamp in rows_arithmetic.cpp.
Tensor clamp(const TensorArg& x, double low, double high = std::numeric_limits<double>::infinity());
/// Returns max(x, bound). NaN stays NaN.
///
/// Derivative: 1 where x >= bound, else 0.
///
/// Formula: ClampMin in formulas/arithmetic.h. Test: clamp_min in rows_arithmetic.cpp.
Tensor clamp_min(const TensorArg& x, double bound);
/// Returns min(x, bound). NaN stays NaN.
///
/// Derivative: 1 where x <= bound, else 0.
///
/// Formula: ClampMax in formulas/arithmetic.h. Test: clamp_max in rows_arithmetic.cpp.
Tensor clamp_max(const TensorArg& x, double bound);
/// Returns a where the condition is true (not 0), else b. Also for integers.
///
/// Derivatives: 1 by the operand that is chosen, 0 by the other one. The condition can have any
/// dtype, and has no gradient.
///
///     Tensor y = where(tensor({1., 0.}), tensor({5., 6.}), 0);  // [5, 0]
///
/// Formula: Where in formulas/arithmetic.h. Test: where in rows_arithmetic.cpp.
Tensor where(const TensorArg& condition, const Tensor& a, const Tensor& b);
/// The same with numbers. A number takes the dtype of the other operand, which must represent it
/// exactly. The result of two numbers is f32, i64 or bool.
Tensor where(const TensorArg& condition, Scalar a, const Tensor& b);
Tensor where(const TensorArg& condition, const Tensor& a, Scalar b);
Tensor where(const TensorArg& condition, Scalar a, Scalar b);

// Comparisons return bool tensors, which have no gradient. Operands can have any dtype.

/// Returns a < b, element by element; false if either is NaN.
///
/// Formula: Less in formulas/arithmetic.h. Test: less in rows_arithmetic.cpp.
Tensor less(const TensorArg& a, const Tensor& b);
/// Returns a <= b, element by element; false if either is NaN.
///
/// Formula: LessEqual in formulas/arithmetic.h. Test: less_equal in rows_arithmetic.cpp.
Tensor less_equal(const TensorArg& a, const Tensor& b);
/// Returns a > b, element by element; false if either is NaN.
///
/// Formula: Greater in formulas/arithmetic.h. Test: greater in rows_arithmetic.cpp.
Tensor greater(const TensorArg& a, const Tensor& b);
/// Returns a >= b, element by element; false if either is NaN.
///
/// Formula: GreaterEqual in formulas/arithmetic.h. Test: greater_equal in rows_arithmetic.cpp.
Tensor greater_equal(const TensorArg& a, const Tensor& b);
/// Returns a == b, element by element; false if either is NaN.
///
/// Formula: Equal in formulas/arithmetic.h. Test: eq in rows_arithmetic.cpp.
Tensor eq(const TensorArg& a, const Tensor& b);
/// Returns a != b, element by element; true if either is NaN.
///
/// Formula: NotEqual in formulas/arithmetic.h. Test: not_equal in rows_arithmetic.cpp.
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
/// Returns true where both a and b are true (not 0).
///
/// Formula: LogicalAnd in formulas/arithmetic.h. Test: logical_and in rows_arithmetic.cpp.
Tensor logical_and(const TensorArg& a, const Tensor& b);
/// Returns true where a or b is true (not 0).
///
/// Formula: LogicalOr in formulas/arithmetic.h. Test: logical_or in rows_arithmetic.cpp.
Tensor logical_or(const TensorArg& a, const Tensor& b);
/// Returns true where a is false (0).
///
/// Formula: LogicalNot in formulas/arithmetic.h. Test: logical_not in rows_arithmetic.cpp.
Tensor logical_not(const TensorArg& a);

}  // namespace ebb
