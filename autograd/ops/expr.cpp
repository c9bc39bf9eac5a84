#include "ebb/autograd/ops/expr.h"

#include <algorithm>
#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"

namespace ebb {
namespace {

// Returns the operand as a tensor, with the dtype and device of another one.
Tensor as_tensor(const Expr& x, const Expr& beside) {
  if (!x.is_constant()) return x.tensor();
  return full({}, x.constant(),
              {.dtype = beside.tensor().dtype(), .device = beside.tensor().device()});
}

// Folds two constants with `fold`, and otherwise calls the op on tensors.
template <class Fold, class Op> Expr binary(const Expr& a, const Expr& b, Fold fold, Op op) {
  if (a.is_constant() && b.is_constant())
    return Expr(static_cast<double>(fold(a.constant(), b.constant())));
  return Expr(op(as_tensor(a, b), as_tensor(b, a)));
}

template <class Fold, class Op> Expr unary(const Expr& x, Fold fold, Op op) {
  if (x.is_constant()) return Expr(static_cast<double>(fold(x.constant())));
  return Expr(op(x.tensor()));
}

bool is(const Expr& x, double value) { return x.is_constant() && x.constant() == value; }

}  // namespace

Expr operator+(const Expr& a, const Expr& b) {
  if (is(a, 0)) return b;
  if (is(b, 0)) return a;
  if (a.is_constant() && !b.is_constant()) return Expr(add(b.tensor(), a.constant()));
  if (b.is_constant() && !a.is_constant()) return Expr(add(a.tensor(), b.constant()));
  return binary(
      a, b, [](double x, double y) { return x + y; },
      [](const Tensor& x, const Tensor& y) { return add(x, y); });
}
Expr operator-(const Expr& a, const Expr& b) {
  if (is(b, 0)) return a;
  if (a.is_constant() && !b.is_constant()) return Expr(a.constant() - TensorArg(b.tensor()));
  if (b.is_constant() && !a.is_constant()) return Expr(add(a.tensor(), -b.constant()));
  return binary(
      a, b, [](double x, double y) { return x - y; },
      [](const Tensor& x, const Tensor& y) { return sub(x, y); });
}
Expr operator*(const Expr& a, const Expr& b) {
  if (is(a, 1)) return b;
  if (is(b, 1)) return a;
  if (a.is_constant() && !b.is_constant()) return Expr(mul(b.tensor(), a.constant()));
  if (b.is_constant() && !a.is_constant()) return Expr(mul(a.tensor(), b.constant()));
  return binary(
      a, b, [](double x, double y) { return x * y; },
      [](const Tensor& x, const Tensor& y) { return mul(x, y); });
}
Expr operator/(const Expr& a, const Expr& b) {
  if (b.is_constant() && !a.is_constant()) return Expr(div(a.tensor(), b.constant()));
  if (a.is_constant() && !b.is_constant()) return Expr(a.constant() / TensorArg(b.tensor()));
  return binary(
      a, b, [](double x, double y) { return x / y; },
      [](const Tensor& x, const Tensor& y) { return div(x, y); });
}
Expr operator-(const Expr& a) {
  return unary(
      a, [](double x) { return -x; }, [](const Tensor& x) { return neg(x); });
}

// A condition is a tensor of zeros and ones with the dtype of the compared operands, from which
// where() takes its dtype.
Expr operator<(const Expr& a, const Expr& b) {
  return binary(
      a, b, [](double x, double y) { return x < y; },
      [](const Tensor& x, const Tensor& y) { return less(x, y).to(x.dtype()); });
}
Expr operator<=(const Expr& a, const Expr& b) {
  return binary(
      a, b, [](double x, double y) { return x <= y; },
      [](const Tensor& x, const Tensor& y) { return less_equal(x, y).to(x.dtype()); });
}
Expr operator>(const Expr& a, const Expr& b) { return b < a; }
Expr operator>=(const Expr& a, const Expr& b) { return b <= a; }
Expr operator==(const Expr& a, const Expr& b) {
  return binary(
      a, b, [](double x, double y) { return x == y; },
      [](const Tensor& x, const Tensor& y) { return eq(x, y).to(x.dtype()); });
}
Expr operator!=(const Expr& a, const Expr& b) {
  return binary(
      a, b, [](double x, double y) { return x != y; },
      [](const Tensor& x, const Tensor& y) { return not_equal(x, y).to(x.dtype()); });
}

Expr where(const Expr& condition, const Expr& a, const Expr& b) {
  if (condition.is_constant()) return condition.constant() != 0 ? a : b;
  if (a.is_constant() && b.is_constant()) {
    if (a.constant() == b.constant()) return a;
    return Expr(ebb::where(condition.tensor(), as_tensor(a, condition), as_tensor(b, condition)));
  }
  return Expr(ebb::where(condition.tensor(), as_tensor(a, b), as_tensor(b, a)));
}

Expr exp(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::exp(v); }, [](const Tensor& t) { return ebb::exp(t); });
}
Expr log(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::log(v); }, [](const Tensor& t) { return ebb::log(t); });
}
Expr log1p(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::log1p(v); }, [](const Tensor& t) { return ebb::log1p(t); });
}
Expr expm1(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::expm1(v); }, [](const Tensor& t) { return ebb::expm1(t); });
}
Expr tanh(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::tanh(v); }, [](const Tensor& t) { return ebb::tanh(t); });
}
Expr erf(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::erf(v); }, [](const Tensor& t) { return ebb::erf(t); });
}
Expr sqrt(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::sqrt(v); }, [](const Tensor& t) { return ebb::sqrt(t); });
}
Expr sin(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::sin(v); }, [](const Tensor& t) { return ebb::sin(t); });
}
Expr cos(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::cos(v); }, [](const Tensor& t) { return ebb::cos(t); });
}
Expr tan(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::tan(v); }, [](const Tensor& t) { return ebb::tan(t); });
}
Expr erfinv(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::erfinv(v); }, [](const Tensor& t) { return ebb::erfinv(t); });
}
Expr floor(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::floor(v); }, [](const Tensor& t) { return ebb::floor(t); });
}
Expr ceil(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::ceil(v); }, [](const Tensor& t) { return ebb::ceil(t); });
}
Expr round(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::round(v); }, [](const Tensor& t) { return ebb::round(t); });
}
Expr trunc(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::trunc(v); }, [](const Tensor& t) { return ebb::trunc(t); });
}
Expr atan2(const Expr& y, const Expr& x) {
  return binary(
      y, x, [](double a, double b) { return ebb::atan2(a, b); },
      [](const Tensor& a, const Tensor& b) { return ebb::atan2(a, b); });
}
Expr fmod(const Expr& x, const Expr& y) {
  return binary(
      x, y, [](double a, double b) { return ebb::fmod(a, b); },
      [](const Tensor& a, const Tensor& b) { return ebb::fmod(a, b); });
}
Expr sign(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::sign(v); }, [](const Tensor& t) { return ebb::sign(t); });
}
Expr abs(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::abs(v); }, [](const Tensor& t) { return ebb::abs(t); });
}
Expr relu(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::relu(v); }, [](const Tensor& t) { return ebb::relu(t); });
}
Expr sigmoid(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::sigmoid(v); }, [](const Tensor& t) { return ebb::sigmoid(t); });
}
Expr softplus(const Expr& x) {
  return unary(
      x, [](double v) { return ebb::softplus(v); },
      [](const Tensor& t) { return ebb::softplus(t, 1, std::numeric_limits<double>::infinity()); });
}
Expr pow(const Expr& x, const Expr& y) {
  if (y.is_constant() && !x.is_constant()) return Expr(ebb::pow(x.tensor(), y.constant()));
  return binary(
      x, y, [](double a, double b) { return ebb::pow(a, b); },
      [](const Tensor& a, const Tensor& b) { return ebb::pow(a, b); });
}
Expr maximum(const Expr& a, const Expr& b) {
  return binary(
      a, b, [](double x, double y) { return ebb::maximum(x, y); },
      [](const Tensor& x, const Tensor& y) { return ebb::maximum(x, y); });
}
Expr minimum(const Expr& a, const Expr& b) {
  return binary(
      a, b, [](double x, double y) { return ebb::minimum(x, y); },
      [](const Tensor& x, const Tensor& y) { return ebb::minimum(x, y); });
}
Expr clamp_min(const Expr& x, const Expr& bound) {
  if (bound.is_constant() && !x.is_constant())
    return Expr(ebb::clamp_min(x.tensor(), bound.constant()));
  return where(x < bound, bound, x);
}
Expr clamp_min_through(const Expr& x, const Expr& bound) {
  if (x.is_constant()) return Expr(std::max(x.constant(), bound.constant()));
  const Tensor at = x.tensor().detach();
  return Expr(add(x.tensor(), sub(ebb::clamp_min(at, bound.constant()), at)));
}
Expr clamp_max(const Expr& x, const Expr& bound) {
  if (bound.is_constant() && !x.is_constant())
    return Expr(ebb::clamp_max(x.tensor(), bound.constant()));
  return where(bound < x, bound, x);
}
Expr hardtanh(const Expr& x, const Expr& low, const Expr& high) {
  if (x.is_constant()) return Expr(ebb::hardtanh(x.constant(), low.constant(), high.constant()));
  return Expr(ebb::hardtanh(x.tensor(), low.constant(), high.constant()));
}

}  // namespace ebb
