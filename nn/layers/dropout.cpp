#include "ebb/nn/layers/dropout.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"

namespace ebb::nn {
namespace {
void check_probability(double p) {
  if (!(p >= 0 && p <= 1)) fail("dropout", "expected a probability in [0, 1], got ", p);
}
}  // namespace

Tensor dropout(const TensorArg& x, double p, Generator* generator) {
  const CompositeScope scope(x);
  check_floating("dropout", x);
  check_probability(p);
  if (p == 0) return *x;
  Tensor keep = empty_like(x);
  bernoulli_(keep, 1 - p, generator);
  return p == 1 ? mul(x, keep) : mul(mul(x, keep), 1 / (1 - p));
}

Dropout::Dropout(double p) : p_(p) { check_probability(p); }

std::string Dropout::extra_repr() const { return "p=" + to_text(p_); }

}  // namespace ebb::nn
