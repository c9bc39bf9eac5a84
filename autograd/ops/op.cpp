#include "ebb/autograd/ops/op.h"

namespace ebb {

void check_floating(std::string_view op, const Tensor& tensor) {
  check_defined(op, tensor);
  if (!is_floating(tensor.dtype())) [[unlikely]] {
    fail(op, "expected a floating tensor, got ", tensor.dtype(), " of shape ", tensor.shape(),
         ": convert it with to()");
  }
}

void check_same_kind(std::string_view op, std::span<const Tensor* const> tensors) {
  const Tensor* first = nullptr;
  for (const Tensor* t : tensors) {
    if (!t->defined()) continue;
    if (!first) first = t;
    if (t->dtype() != first->dtype()) [[unlikely]] {
      fail(op, "dtypes differ: ", first->dtype(), " of shape ", first->shape(), " and ", t->dtype(),
           " of shape ", t->shape(), ": convert one with to()");
    }
    if (t->device() != first->device()) [[unlikely]] {
      fail(op, "devices differ: ", first->device(), " and ", t->device());
    }
  }
}

}  // namespace ebb
