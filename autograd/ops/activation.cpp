#include "ebb/autograd/ops/activation.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/formulas/activation.h"
#include "ebb/autograd/ops/pointwise.h"

namespace ebb {
namespace f = formulas;

Tensor relu(const TensorArg& x) { return pointwise(f::Relu{}, x); }
Tensor leaky_relu(const TensorArg& x, double negative_slope) {
  return pointwise(f::LeakyRelu{negative_slope}, x);
}
Tensor elu(const TensorArg& x, double alpha) { return pointwise(f::Elu{alpha}, x); }
Tensor sigmoid(const TensorArg& x) { return pointwise(f::Sigmoid{}, x); }
Tensor logsigmoid(const TensorArg& x) { return pointwise(f::LogSigmoid{}, x); }
Tensor tanh(const TensorArg& x) { return pointwise(f::Tanh{}, x); }
Tensor softplus(const TensorArg& x, double beta, double threshold) {
  return pointwise(f::Softplus{beta, threshold}, x);
}
Tensor gelu(const TensorArg& x, GeluApproximate approximate) {
  return approximate == GeluApproximate::None ? pointwise(f::Gelu{}, x)
                                              : pointwise(f::GeluTanh{}, x);
}
Tensor silu(const TensorArg& x) { return pointwise(f::Silu{}, x); }
Tensor hardtanh(const TensorArg& x, double min_val, double max_val) {
  if (!(min_val <= max_val))
    fail("hardtanh", "min_val ", min_val, " is greater than max_val ", max_val);
  return pointwise(f::Hardtanh{min_val, max_val}, x);
}
Tensor softmin(const TensorArg& x, int64_t dim) {
  const CompositeScope scope(x);
  return softmax(neg(x), dim);
}

}  // namespace ebb
