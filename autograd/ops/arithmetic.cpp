#include "ebb/autograd/ops/arithmetic.h"

#include <cmath>

#include "ebb/autograd/ops/formulas/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"

namespace ebb {
namespace f = formulas;

namespace {

// Returns the number if the dtype of x can represent it. A number with a fraction does not fit an
// integer tensor.
double fitted(std::string_view op, const Tensor& x, Scalar number, double low = -0x1p53,
              double high = 0x1p53) {
  check_defined(op, x);
  const double value = number.to_double();
  const auto is_whole = [&] {  // an integer above 2^53 may have been rounded
    return number.is_floating() ? value == std::trunc(value)
                                : static_cast<int64_t>(value) == number.to<int64_t>(op);
  };
  if (!is_floating(x.dtype()) && !(value >= low && value <= high && is_whole())) {
    fail(op, "the scalar ", number, " does not fit a tensor of ", x.dtype(),
         ": convert the tensor with to()");
  }
  return value;
}

// Returns x as an operand of an op with a number, as in torch. A bool tensor takes the dtype of the
// number, and a tensor of integers becomes f32 if the number is floating.
Tensor with_dtype_of(std::string_view op, const Tensor& x, Scalar number) {
  check_defined(op, x);
  if (is_floating(x.dtype())) return x;
  return x.dtype() == DType::Bool || number.is_floating() ? x.to(number.dtype()) : x;
}

// Returns f(x, number). `make` returns the formula for the number.
template <class Make>
Tensor with_number(std::string_view op, const TensorArg& arg, Scalar number, const Make& make) {
  const Tensor& x = *arg;
  if (x.defined() && is_floating(x.dtype())) return pointwise(make(number.to_double()), arg);
  const CompositeScope scope(arg, op);
  const Tensor there = with_dtype_of(op, x, number);
  return pointwise(make(fitted(op, there, number)), there);
}

void check_not_bool(std::string_view op, const Tensor& x) {
  check_defined(op, x);
  if (x.dtype() == DType::Bool) detail::refuse_bool(op, x);
}

// Returns x, or f32 of integers and bools, as in torch.
Tensor divisible(const Tensor& x) { return is_floating(x.dtype()) ? x : x.to(f32); }

// Returns the number as a tensor that x can be compared with.
Tensor number_like(std::string_view op, const Tensor& x, Scalar value) {
  if (x.dtype() == DType::U8) fitted(op, x, value, 0, 255);
  if (value.is_floating()) fitted(op, x, value);
  return full({}, value, options_like(x));
}

// Returns the number as a tensor with the dtype of x, which must represent it exactly.
Tensor exactly(std::string_view op, const Tensor& x, Scalar number) {
  check_defined(op, x);
  number.check_exact(op, x.dtype());
  return full({}, number, options_like(x));
}

template <class Compare>
Tensor compared(std::string_view op, const TensorArg& arg, Scalar number, const Compare& compare) {
  const CompositeScope scope(arg, op);
  check_defined(op, *arg);
  // Integers are compared exactly with whole numbers, whatever their type.
  const double value = number.to_double();
  const bool whole =
      arg->dtype() != DType::Bool && std::fabs(value) <= 0x1p53 && value == std::trunc(value);
  const Tensor x = whole ? *arg : with_dtype_of(op, *arg, number);
  return compare(x, number_like(op, x, number));
}

}  // namespace

void detail::refuse_bool(std::string_view op, const Tensor& x) {
  fail(op, "expected numbers, got bool of shape ", x.shape(),
       ": convert it with to(i64), or negate a mask with logical_not()");
}

Tensor add(const TensorArg& a, const Tensor& b) { return pointwise(f::Add{}, a, b); }
Tensor add(const TensorArg& a, Scalar b) {
  return with_number("add", a, b, [](double c) { return f::AddScalar{c}; });
}
Tensor sub(const TensorArg& a, const Tensor& b) { return pointwise(f::Sub{}, a, b); }
Tensor mul(const TensorArg& a, const Tensor& b) { return pointwise(f::Mul{}, a, b); }
Tensor mul(const TensorArg& a, Scalar b) {
  return with_number("mul", a, b, [](double c) { return f::MulScalar{c}; });
}
Tensor div(const TensorArg& a, const Tensor& b) {
  check_defined("div", a);
  check_defined("div", b);
  if (is_floating(a->dtype()) || is_floating(b.dtype())) return pointwise(f::Div{}, a, b);
  const CompositeScope scope(a);
  return pointwise(f::Div{}, divisible(a), divisible(b));
}
Tensor div(const TensorArg& a, Scalar b) {
  check_defined("div", a);
  if (is_floating(a->dtype())) return pointwise(f::DivScalar{b.to_double()}, a);
  const CompositeScope scope(a);
  return pointwise(f::DivScalar{b.to_double()}, divisible(a));
}
Tensor neg(const TensorArg& x) { return pointwise(f::Neg{}, x); }
Tensor operator-(const TensorArg& a, Scalar b) {
  check_not_bool("sub", a);
  if (!b.is_floating()) fitted("sub", a, b);
  return add(a, -b);
}
Tensor operator-(Scalar a, const TensorArg& b) {
  check_not_bool("sub", b);
  return with_number("sub", b, a, [](double c) { return f::ScalarSub{c}; });
}
Tensor operator/(Scalar a, const TensorArg& b) {
  check_defined("div", b);
  if (is_floating(b->dtype())) return pointwise(f::ScalarDiv{a.to_double()}, b);
  const CompositeScope scope(b, std::string_view("div"));
  return pointwise(f::ScalarDiv{a.to_double()}, divisible(b));
}

Tensor pow(const TensorArg& x, const Tensor& y) { return pointwise(f::Pow{}, x, y); }
Tensor pow(const TensorArg& x, double exponent) {
  const CompositeScope scope(x);
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

Tensor pow(double x, const TensorArg& y) {
  const CompositeScope scope(y);
  check_floating("pow", y);
  return pow(exactly("pow", y, x), y);
}
Tensor maximum(const TensorArg& a, Scalar b) {
  const CompositeScope scope(a);
  return maximum(a, exactly("maximum", a, b));
}
Tensor minimum(const TensorArg& a, Scalar b) {
  const CompositeScope scope(a);
  return minimum(a, exactly("minimum", a, b));
}
Tensor where(const TensorArg& condition, Scalar a, const Tensor& b) {
  const CompositeScope scope(condition);
  return where(condition, exactly("where", b, a), b);
}
Tensor where(const TensorArg& condition, const Tensor& a, Scalar b) {
  const CompositeScope scope(condition);
  return where(condition, a, exactly("where", a, b));
}
Tensor where(const TensorArg& condition, Scalar a, Scalar b) {
  const CompositeScope scope(condition);
  check_defined("where", condition);
  const DType dtype = a.is_floating() || b.is_floating() ? DType::F32
                      : a.is_bool() && b.is_bool()       ? DType::Bool
                                                         : DType::I64;
  const TensorOptions like{.dtype = dtype, .device = condition->device()};
  return where(condition, full({}, a, like), full({}, b, like));
}

Tensor less(const TensorArg& a, const Tensor& b) { return pointwise(f::Less{}, a, b); }
Tensor less_equal(const TensorArg& a, const Tensor& b) { return pointwise(f::LessEqual{}, a, b); }
Tensor greater(const TensorArg& a, const Tensor& b) { return pointwise(f::Greater{}, a, b); }
Tensor greater_equal(const TensorArg& a, const Tensor& b) {
  return pointwise(f::GreaterEqual{}, a, b);
}
Tensor eq(const TensorArg& a, const Tensor& b) { return pointwise(f::Equal{}, a, b); }
Tensor not_equal(const TensorArg& a, const Tensor& b) { return pointwise(f::NotEqual{}, a, b); }
Tensor operator<(const TensorArg& a, Scalar b) {
  return compared("less", a, b, [](const Tensor& x, const Tensor& y) { return less(x, y); });
}
Tensor operator<=(const TensorArg& a, Scalar b) {
  return compared("less_equal", a, b,
                  [](const Tensor& x, const Tensor& y) { return less_equal(x, y); });
}
Tensor operator>(const TensorArg& a, Scalar b) {
  return compared("greater", a, b, [](const Tensor& x, const Tensor& y) { return greater(x, y); });
}
Tensor operator>=(const TensorArg& a, Scalar b) {
  return compared("greater_equal", a, b,
                  [](const Tensor& x, const Tensor& y) { return greater_equal(x, y); });
}
Tensor operator==(const TensorArg& a, Scalar b) {
  return compared("eq", a, b, [](const Tensor& x, const Tensor& y) { return eq(x, y); });
}
Tensor operator!=(const TensorArg& a, Scalar b) {
  return compared("not_equal", a, b,
                  [](const Tensor& x, const Tensor& y) { return not_equal(x, y); });
}
Tensor logical_and(const TensorArg& a, const Tensor& b) { return pointwise(f::LogicalAnd{}, a, b); }
Tensor logical_or(const TensorArg& a, const Tensor& b) { return pointwise(f::LogicalOr{}, a, b); }
Tensor logical_not(const TensorArg& a) { return pointwise(f::LogicalNot{}, a); }

}  // namespace ebb
