#include "ebb/autograd/ops/elementary.h"

#include "ebb/autograd/ops/formulas/elementary.h"
#include "ebb/autograd/ops/pointwise.h"

namespace ebb {
namespace f = formulas;

Tensor sin(const TensorArg& x) { return pointwise(f::Sin{}, x); }
Tensor cos(const TensorArg& x) { return pointwise(f::Cos{}, x); }
Tensor tan(const TensorArg& x) { return pointwise(f::Tan{}, x); }
Tensor erfinv(const TensorArg& x) { return pointwise(f::Erfinv{}, x); }
Tensor rsqrt(const TensorArg& x) { return pointwise(f::Rsqrt{}, x); }
Tensor reciprocal(const TensorArg& x) { return pointwise(f::Reciprocal{}, x); }
Tensor floor(const TensorArg& x) { return pointwise(f::Floor{}, x); }
Tensor ceil(const TensorArg& x) { return pointwise(f::Ceil{}, x); }
Tensor round(const TensorArg& x) { return pointwise(f::Round{}, x); }
Tensor trunc(const TensorArg& x) { return pointwise(f::Trunc{}, x); }
Tensor isnan(const TensorArg& x) { return pointwise(f::IsNan{}, x); }
Tensor isinf(const TensorArg& x) { return pointwise(f::IsInf{}, x); }
Tensor isfinite(const TensorArg& x) { return pointwise(f::IsFinite{}, x); }

Tensor atan2(const TensorArg& y, const Tensor& x) { return pointwise(f::Atan2{}, y, x); }
Tensor fmod(const TensorArg& x, const Tensor& y) { return pointwise(f::Fmod{}, x, y); }
Tensor fmod(const TensorArg& x, double y) { return pointwise(f::FmodScalar{y}, x); }

Tensor floor_divide(const TensorArg& x, double divisor) {
  check_defined("floor_divide", x);
  if (!is_floating(x->dtype())) {
    if (divisor == 0) fail("floor_divide", "expected a divisor other than 0 for ", x->dtype());
    Scalar(divisor).check_exact("floor_divide", DType::I64);
  }
  return pointwise(f::FloorDivide{divisor}, x);
}

}  // namespace ebb
