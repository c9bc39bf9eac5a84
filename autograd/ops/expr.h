// Expr: the argument of a formula whose derivatives are computed as tensors. It is a Tensor or a
// plain constant.
//
// Formulas compute with it as with a number, and every function becomes a recorded op. Constants
// are folded, so the zeros and ones of dual numbers do not become ops.
#pragma once

#include "ebb/core/scalar.h"
#include "ebb/core/tensor.h"

namespace ebb {

class Expr {
 public:
  Expr() = default;
  explicit Expr(double constant) : constant_(constant) {}
  Expr(int constant) : constant_(constant) {}
  explicit Expr(const Tensor& tensor) : tensor_(tensor) {}

  bool is_constant() const { return !tensor_.defined(); }
  double constant() const { return constant_; }
  const Tensor& tensor() const { return tensor_; }

 private:
  Tensor tensor_;
  double constant_ = 0;
};

Expr operator+(const Expr& a, const Expr& b);
Expr operator-(const Expr& a, const Expr& b);
Expr operator*(const Expr& a, const Expr& b);
Expr operator/(const Expr& a, const Expr& b);
Expr operator-(const Expr& a);

// Comparisons return a condition for where(): a bool tensor, or 0 or 1.
Expr operator<(const Expr& a, const Expr& b);
Expr operator<=(const Expr& a, const Expr& b);
Expr operator>(const Expr& a, const Expr& b);
Expr operator>=(const Expr& a, const Expr& b);
Expr operator==(const Expr& a, const Expr& b);
Expr operator!=(const Expr& a, const Expr& b);
Expr where(const Expr& condition, const Expr& a, const Expr& b);

Expr exp(const Expr& x);
Expr log(const Expr& x);
inline Expr log_minus(const Expr& x, const Expr& y) { return log(x) - y; }
Expr log1p(const Expr& x);
Expr expm1(const Expr& x);
Expr tanh(const Expr& x);
Expr erf(const Expr& x);
Expr sqrt(const Expr& x);
Expr pow(const Expr& x, const Expr& y);
Expr sin(const Expr& x);
Expr cos(const Expr& x);
Expr tan(const Expr& x);
Expr atan2(const Expr& y, const Expr& x);
Expr fmod(const Expr& x, const Expr& y);
Expr erfinv(const Expr& x);
Expr floor(const Expr& x);
Expr ceil(const Expr& x);
Expr round(const Expr& x);
Expr trunc(const Expr& x);
Expr sign(const Expr& x);
Expr abs(const Expr& x);
Expr relu(const Expr& x);
Expr clamp_min(const Expr& x, const Expr& bound);
Expr clamp_min_through(const Expr& x, const Expr& bound);
Expr clamp_max(const Expr& x, const Expr& bound);
Expr hardtanh(const Expr& x, const Expr& low, const Expr& high);
Expr maximum(const Expr& a, const Expr& b);
Expr minimum(const Expr& a, const Expr& b);
Expr sigmoid(const Expr& x);
Expr softplus(const Expr& x);

}  // namespace ebb
