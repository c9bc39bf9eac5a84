// The methods of core/tensor_methods.h that change a tensor in place. Each computes the result with
// its function, without recording, and copies it to the tensor.
#include "ebb/core/tensor_methods.h"

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/tensor_index.h"
#include "ebb/autograd/ops/views.h"

namespace ebb {

Tensor& TensorMethods::writable(const char* op) {
  Tensor& x = static_cast<Tensor&>(*this);
  check_defined(op, x);
  check_writable(op, x);
  return x;
}
Tensor& TensorMethods::become(const Tensor& result) {
  return static_cast<Tensor&>(*this).copy_(result);
}

Tensor& TensorMethods::abs_() { return become(ebb::abs(writable("abs_").detach())); }
Tensor& TensorMethods::ceil_() { return become(ebb::ceil(writable("ceil_").detach())); }
Tensor& TensorMethods::cos_() { return become(ebb::cos(writable("cos_").detach())); }
Tensor& TensorMethods::exp_() { return become(ebb::exp(writable("exp_").detach())); }
Tensor& TensorMethods::floor_() { return become(ebb::floor(writable("floor_").detach())); }
Tensor& TensorMethods::log_() { return become(ebb::log(writable("log_").detach())); }
Tensor& TensorMethods::neg_() { return become(ebb::neg(writable("neg_").detach())); }
Tensor& TensorMethods::reciprocal_() {
  return become(ebb::reciprocal(writable("reciprocal_").detach()));
}
Tensor& TensorMethods::relu_() { return become(ebb::relu(writable("relu_").detach())); }
Tensor& TensorMethods::round_() { return become(ebb::round(writable("round_").detach())); }
Tensor& TensorMethods::sigmoid_() { return become(ebb::sigmoid(writable("sigmoid_").detach())); }
Tensor& TensorMethods::sin_() { return become(ebb::sin(writable("sin_").detach())); }
Tensor& TensorMethods::sqrt_() { return become(ebb::sqrt(writable("sqrt_").detach())); }
Tensor& TensorMethods::square_() { return become(ebb::square(writable("square_").detach())); }
Tensor& TensorMethods::tanh_() { return become(ebb::tanh(writable("tanh_").detach())); }
Tensor& TensorMethods::clamp_(double min, double max) {
  return become(ebb::clamp(writable("clamp_").detach(), min, max));
}
Tensor& TensorMethods::clamp_max_(double max) {
  return become(ebb::clamp_max(writable("clamp_max_").detach(), max));
}
Tensor& TensorMethods::clamp_min_(double min) {
  return become(ebb::clamp_min(writable("clamp_min_").detach(), min));
}
Tensor& TensorMethods::pow_(double exponent) {
  return become(ebb::pow(writable("pow_").detach(), exponent));
}
Tensor& TensorMethods::masked_fill_(const Tensor& mask, Scalar value) {
  return become(ebb::masked_fill(writable("masked_fill_").detach(), mask, value));
}
Tensor& TensorMethods::index_put_(const std::vector<indexing::TensorIndex>& indices,
                                  const Tensor& value) {
  ebb::index_put_(writable("index_put_"), indices, value);
  return static_cast<Tensor&>(*this);
}
Tensor& TensorMethods::index_put_(const std::vector<indexing::TensorIndex>& indices, Scalar value) {
  ebb::index_put_(writable("index_put_"), indices, value);
  return static_cast<Tensor&>(*this);
}
Tensor& TensorMethods::uniform_(double from, double to) {
  ebb::uniform_(writable("uniform_"), from, to);
  return static_cast<Tensor&>(*this);
}
Tensor& TensorMethods::normal_(double mean, double std) {
  ebb::normal_(writable("normal_"), mean, std);
  return static_cast<Tensor&>(*this);
}
Tensor& TensorMethods::bernoulli_(double p) {
  ebb::bernoulli_(writable("bernoulli_"), p);
  return static_cast<Tensor&>(*this);
}

}  // namespace ebb
