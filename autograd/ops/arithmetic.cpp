#include "ebb/autograd/ops/arithmetic.h"

#include <cmath>

#include "ebb/autograd/ops/formulas/arithmetic.h"
#include "ebb/autograd/ops/pointwise.h"

namespace ebb {
namespace f = formulas;

namespace {

// A scalar takes the tensor's dtype. One with a fraction would be cut to another number in an integer tensor.
double fitted(std::string_view op, const Tensor& x, double value, double low = -0x1p53,
              double high = 0x1p53) {
  check_defined(op, x);
  if (!is_floating(x.dtype()) && !(value == std::trunc(value) && value >= low && value <= high)) {
    fail(op, "the scalar ", value, " does not fit a tensor of ", x.dtype(),
         ": convert the tensor with to()");
  }
  return value;
}

// The scalar as a tensor beside x, to compare with.
Tensor scalar_like(std::string_view op, const Tensor& x, double value) {
  check_defined(op, x);
  if (x.dtype() == DType::U8) fitted(op, x, value, 0, 255);
  else if (x.dtype() == DType::Bool) fitted(op, x, value, 0, 1);
  return full({}, fitted(op, x, value), {.dtype = x.dtype(), .device = x.device()});
}

}  // namespace

Tensor add(const TensorArg& a, const Tensor& b) { return pointwise(f::Add{}, a, b); }
Tensor add(const TensorArg& a, double b) { return pointwise(f::AddScalar{fitted("add", a, b)}, a); }
Tensor sub(const TensorArg& a, const Tensor& b) { return pointwise(f::Sub{}, a, b); }
Tensor mul(const TensorArg& a, const Tensor& b) { return pointwise(f::Mul{}, a, b); }
Tensor mul(const TensorArg& a, double b) { return pointwise(f::MulScalar{fitted("mul", a, b)}, a); }
Tensor div(const TensorArg& a, const Tensor& b) { return pointwise(f::Div{}, a, b); }
Tensor div(const TensorArg& a, double b) { return pointwise(f::DivScalar{b}, a); }
Tensor neg(const TensorArg& x) { return pointwise(f::Neg{}, x); }
Tensor operator-(double a, const TensorArg& b) {
  return pointwise(f::ScalarSub{fitted("sub", b, a)}, b);
}
Tensor operator/(double a, const TensorArg& b) { return pointwise(f::ScalarDiv{a}, b); }

Tensor pow(const TensorArg& x, const Tensor& y) { return pointwise(f::Pow{}, x, y); }
Tensor pow(const TensorArg& x, double exponent) {
  if (exponent == 2) return square(x);
  if (exponent == 0.5) return sqrt(x);
  return pointwise(f::PowScalar{exponent}, x);
}
Tensor square(const TensorArg& x) { return pointwise(f::Square{}, x); }
Tensor exp(const TensorArg& x) { return pointwise(f::Exp{}, x); }
Tensor log(const TensorArg& x) { return pointwise(f::Log{}, x); }
Tensor log1p(const TensorArg& x) { return pointwise(f::Log1p{}, x); }
Tensor expm1(const TensorArg& x) { return pointwise(f::Expm1{}, x); }
Tensor sqrt(const TensorArg& x) { return pointwise(f::Sqrt{}, x); }
Tensor erf(const TensorArg& x) { return pointwise(f::Erf{}, x); }
Tensor abs(const TensorArg& x) { return pointwise(f::Abs{}, x); }
Tensor sign(const TensorArg& x) { return pointwise(f::Sign{}, x); }

Tensor maximum(const TensorArg& a, const Tensor& b) { return pointwise(f::Maximum{}, a, b); }
Tensor minimum(const TensorArg& a, const Tensor& b) { return pointwise(f::Minimum{}, a, b); }
Tensor clamp(const TensorArg& x, double low, double high) {
  return pointwise(f::Clamp{low, high}, x);
}
Tensor clamp_min(const TensorArg& x, double bound) { return pointwise(f::ClampMin{bound}, x); }
Tensor clamp_max(const TensorArg& x, double bound) { return pointwise(f::ClampMax{bound}, x); }
Tensor where(const TensorArg& condition, const Tensor& a, const Tensor& b) {
  return pointwise(f::Where{}, condition, a, b);
}

Tensor less(const TensorArg& a, const Tensor& b) { return pointwise(f::Less{}, a, b); }
Tensor less_equal(const TensorArg& a, const Tensor& b) { return pointwise(f::LessEqual{}, a, b); }
Tensor greater(const TensorArg& a, const Tensor& b) { return pointwise(f::Greater{}, a, b); }
Tensor greater_equal(const TensorArg& a, const Tensor& b) {
  return pointwise(f::GreaterEqual{}, a, b);
}
Tensor eq(const TensorArg& a, const Tensor& b) { return pointwise(f::Equal{}, a, b); }
Tensor not_equal(const TensorArg& a, const Tensor& b) { return pointwise(f::NotEqual{}, a, b); }
Tensor operator<(const TensorArg& a, double b) { return less(a, scalar_like("less", a, b)); }
Tensor operator<=(const TensorArg& a, double b) {
  return less_equal(a, scalar_like("less_equal", a, b));
}
Tensor operator>(const TensorArg& a, double b) { return greater(a, scalar_like("greater", a, b)); }
Tensor operator>=(const TensorArg& a, double b) {
  return greater_equal(a, scalar_like("greater_equal", a, b));
}
Tensor operator==(const TensorArg& a, double b) { return eq(a, scalar_like("eq", a, b)); }
Tensor operator!=(const TensorArg& a, double b) {
  return not_equal(a, scalar_like("not_equal", a, b));
}
Tensor logical_and(const TensorArg& a, const Tensor& b) { return pointwise(f::LogicalAnd{}, a, b); }
Tensor logical_or(const TensorArg& a, const Tensor& b) { return pointwise(f::LogicalOr{}, a, b); }
Tensor logical_not(const TensorArg& a) { return pointwise(f::LogicalNot{}, a); }

}  // namespace ebb
