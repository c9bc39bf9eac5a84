#include "ebb/autograd/ops/operators.h"

#include "ebb/core/grad_mode.h"

namespace ebb {
namespace {

void check_mask(std::string_view op, const Tensor& mask) {
  check_defined(op, mask);
  if (mask.dtype() != DType::Bool) {
    fail(op, "expected bool tensors, got ", mask.dtype(), " of shape ", mask.shape(),
         ": compare with 0, or use logical_and(), logical_or() or logical_not()");
  }
}

// Computes a op= b: in place, or recorded as a new tensor that `a` then refers to.
template <class InPlace, class Recorded>
Tensor& assign(std::string_view op, Tensor& a, bool operand_requires_grad, InPlace&& in_place,
               Recorded&& recorded) {
  check_defined(op, a);
  if (!grad_enabled() || !(a.requires_grad() || operand_requires_grad)) {
    in_place();
    return a;
  }
  if (a.requires_grad() && a.is_leaf()) {
    fail(op, a,
         " is a leaf that requires grad and cannot be changed: use no_grad, or write a new tensor");
  }
  Tensor result = recorded();
  if (!(result.shape() == a.shape()) || result.dtype() != a.dtype())
    fail(op, "the result ", result, " does not fit ", a);
  a = std::move(result);
  return a;
}

}  // namespace

Tensor operator&(const TensorArg& a, const Tensor& b) {
  check_mask("&", a);
  check_mask("&", b);
  return logical_and(a, b);
}
Tensor operator|(const TensorArg& a, const Tensor& b) {
  check_mask("|", a);
  check_mask("|", b);
  return logical_or(a, b);
}
Tensor operator^(const TensorArg& a, const Tensor& b) {
  check_mask("^", a);
  check_mask("^", b);
  return a != b;
}
Tensor operator!(const TensorArg& a) {
  check_mask("!", a);
  return logical_not(a);
}

Tensor& operator+=(Tensor& a, const Tensor& b) {
  check_defined("+=", b);
  return assign(
      "+=", a, b.requires_grad(), [&] { a.add_(b); }, [&] { return a + b; });
}
Tensor& operator-=(Tensor& a, const Tensor& b) {
  check_defined("-=", b);
  return assign(
      "-=", a, b.requires_grad(), [&] { a.sub_(b); }, [&] { return a - b; });
}
Tensor& operator*=(Tensor& a, const Tensor& b) {
  check_defined("*=", b);
  return assign(
      "*=", a, b.requires_grad(), [&] { a.mul_(b); }, [&] { return a * b; });
}
Tensor& operator/=(Tensor& a, const Tensor& b) {
  check_defined("/=", b);
  return assign(
      "/=", a, b.requires_grad(), [&] { a.div_(b); }, [&] { return a / b; });
}
Tensor& operator+=(Tensor& a, Scalar b) {
  return assign(
      "+=", a, false, [&] { a.add_(b); }, [&] { return a + b; });
}
Tensor& operator-=(Tensor& a, Scalar b) {
  return assign(
      "-=", a, false, [&] { a.sub_(b); }, [&] { return a - b; });
}
Tensor& operator*=(Tensor& a, Scalar b) {
  return assign(
      "*=", a, false, [&] { a.mul_(b); }, [&] { return a * b; });
}
Tensor& operator/=(Tensor& a, Scalar b) {
  return assign(
      "/=", a, false, [&] { a.div_(b); }, [&] { return a / b; });
}

}  // namespace ebb
