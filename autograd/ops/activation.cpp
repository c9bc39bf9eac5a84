#include "ebb/autograd/ops/activation.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/formulas/activation.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"

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

Tensor selu(const TensorArg& x) { return pointwise(f::Selu{}, x); }
Tensor celu(const TensorArg& x, double alpha) {
  if (alpha == 0) fail("celu", "expected an alpha other than 0");
  return pointwise(f::Celu{alpha}, x);
}
Tensor relu6(const TensorArg& x) { return pointwise(f::Relu6{}, x); }
Tensor mish(const TensorArg& x) { return pointwise(f::Mish{}, x); }
Tensor hardswish(const TensorArg& x) { return pointwise(f::Hardswish{}, x); }
Tensor hardsigmoid(const TensorArg& x) { return pointwise(f::Hardsigmoid{}, x); }
Tensor hardshrink(const TensorArg& x, double lambd) { return pointwise(f::Hardshrink{lambd}, x); }
Tensor softshrink(const TensorArg& x, double lambd) {
  if (!(lambd >= 0)) fail("softshrink", "expected lambd >= 0, got ", lambd);
  return pointwise(f::Softshrink{lambd}, x);
}
Tensor tanhshrink(const TensorArg& x) { return pointwise(f::Tanhshrink{}, x); }
Tensor softsign(const TensorArg& x) { return pointwise(f::Softsign{}, x); }
Tensor threshold(const TensorArg& x, double threshold, double value) {
  return pointwise(f::Threshold{threshold, value}, x);
}

Tensor prelu(const TensorArg& x, const Tensor& weight) {
  const CompositeScope scope(x);
  check_defined("prelu", x);
  check_defined("prelu", weight);
  if (weight.numel() == 1) return pointwise(f::Prelu{}, x, reshape(weight, {}));
  if (weight.dim() != 1 || x->dim() < 2 || x->shape()[1] != weight.numel()) {
    fail("prelu", "expected a weight of 1 element or one for each channel (dim 1 of input ",
         x->shape(), "), got ", weight.shape());
  }
  Shape channels;
  for (int i = 1; i < x->dim(); ++i) channels.push_back(i == 1 ? weight.numel() : 1);
  return pointwise(f::Prelu{}, x, reshape(weight, channels));
}

Tensor glu(const TensorArg& x, int64_t dim) {
  const CompositeScope scope(x);
  check_floating("glu", x);
  if (x->dim() == 0) fail("glu", "a 0-d tensor has no halves");
  const int d = normalize_dim("glu", dim, x->dim());
  const int64_t size = x->shape()[d];
  if (size % 2 != 0) fail("glu", "expected an even size along dim ", d, ", got shape ", x->shape());
  return mul(slice(x, d, 0, size / 2), sigmoid(slice(x, d, size / 2, size)));
}

Tensor gumbel_softmax(const TensorArg& logits, double tau, bool hard, int64_t dim,
                      Generator* generator) {
  const CompositeScope scope(logits);
  check_floating("gumbel_softmax", logits);
  if (!(tau > 0)) fail("gumbel_softmax", "expected tau > 0, got ", tau);
  const int d = normalize_dim("gumbel_softmax", dim, logits->dim());
  Tensor noise = empty(logits->shape(), {.dtype = DType::F64, .device = logits->device()});
  {
    const NoGrad guard;
    uniform_(noise, 0, 1, generator);
    // The lower bound replaces 0, which has probability 2^-53.
    const Tensor exponential = clamp_min(neg(log1p(neg(noise))), 1e-300);
    noise = neg(log(exponential)).to(logits->dtype());
  }
  const Tensor soft = softmax(div(add(logits, noise), tau), d);
  if (!hard) return soft;
  const Tensor at = soft.detach();
  const Tensor largest = argmax(at, d, true);
  Shape along;
  for (int i = 0; i < at.dim(); ++i) along.push_back(i == d ? at.shape()[i] : 1);
  const Tensor classes = at.dim() == 0
                             ? zeros_like(largest)
                             : reshape(arange(0, static_cast<double>(at.shape()[d]), 1,
                                              {.dtype = DType::I64, .device = at.device()}),
                                       along);
  return add(sub(eq(classes, largest).to(at.dtype()), at), soft);
}

}  // namespace ebb
