#include "ebb/nn/utils/convert_parameters.h"

#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"

namespace ebb::nn::utils {

Tensor parameters_to_vector(const std::vector<Tensor>& parameters) {
  constexpr const char* op = "parameters_to_vector";
  if (parameters.empty()) fail(op, "got no parameters");
  std::vector<Tensor> flat;
  for (const Tensor& p : parameters) {
    check_defined(op, p);
    flat.push_back(reshape(p, {-1}));
  }
  return cat(flat);
}

void vector_to_parameters(const Tensor& vector, const std::vector<Tensor>& parameters) {
  constexpr const char* op = "vector_to_parameters";
  check_defined(op, vector);
  int64_t count = 0;
  for (const Tensor& p : parameters) {
    check_defined(op, p);
    if (p.dtype() != vector.dtype() || p.device() != vector.device()) {
      fail(op, "a parameter is ", p.dtype(), " on ", p.device(), ", the vector is ", vector.dtype(),
           " on ", vector.device());
    }
    count = checked_add(op, count, p.numel());
  }
  if (vector.dim() != 1 || vector.numel() != count) {
    fail(op, "expected a vector of shape (", count, ",), got ", vector.shape());
  }
  const NoGrad guard;
  const Tensor values = vector.detach();
  int64_t at = 0;
  for (Tensor p : parameters) {
    p.copy_(reshape(slice(values, 0, at, at + p.numel()), p.shape()));
    at += p.numel();
  }
}

}  // namespace ebb::nn::utils
