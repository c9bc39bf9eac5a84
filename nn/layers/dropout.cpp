#include "ebb/nn/layers/dropout.h"

#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/layers/repr.h"

namespace ebb::nn {
namespace {
void check_probability(double p) {
  if (!(p >= 0 && p <= 1)) fail("dropout", "expected a probability in [0, 1], got ", p);
}

// Returns a mask: 1 for each element or each channel (dims 0 and 1) with probability 1 - p, else 0.
Tensor kept(const Tensor& x, double p, bool channels, Generator* generator) {
  Shape shape = x.shape();
  for (int i = 2; channels && i < x.dim(); ++i) shape[i] = 1;
  Tensor keep = empty(shape, options_like(x));
  bernoulli_(keep, 1 - p, generator);
  return keep;
}

// Drops channels of a batch. An input of unbatched_dims is one element of a batch.
Tensor drop_channels(std::string_view op, const Tensor& x, double p, bool training,
                     int unbatched_dims, Generator* generator) {
  check_floating(op, x);
  check_probability(p);
  if (x.dim() < 2) fail(op, "expected an input (N, C) or (N, C, ...), got ", x.shape());
  if (!training || p == 0) return x;
  if (x.dim() == unbatched_dims)
    return squeeze(drop_channels(op, unsqueeze(x, 0), p, training, 0, generator), 0);
  const Tensor keep = kept(x, p, true, generator);
  return p == 1 ? mul(x, keep) : mul(mul(x, keep), 1 / (1 - p));
}

Tensor drop_to_alpha(std::string_view op, const Tensor& x, double p, bool training, bool channels,
                     Generator* generator) {
  check_floating(op, x);
  check_probability(p);
  if (channels && x.dim() < 2) fail(op, "expected an input (N, C) or (N, C, ...), got ", x.shape());
  if (!training || p == 0) return x;
  const Tensor keep = kept(x, p, channels, generator);
  if (p == 1) return mul(x, keep);
  constexpr double kAlpha = 1.7580993408473766;  // minus the limit of SELU
  const double a = 1 / std::sqrt((kAlpha * kAlpha * p + 1) * (1 - p));
  const Tensor shift = add(mul(keep, kAlpha * a), kAlpha * a * (p - 1));
  return add(mul(x, mul(keep, a)), shift);
}
}  // namespace

Tensor dropout1d(const TensorArg& x, double p, bool training, Generator* generator) {
  const CompositeScope scope(x);
  check_defined("dropout1d", x);
  if (x->dim() != 2 && x->dim() != 3)
    fail("dropout1d", "expected an input (C, L) or (N, C, L), got ", x->shape());
  return drop_channels("dropout1d", x, p, training, 2, generator);
}
Tensor dropout2d(const TensorArg& x, double p, bool training, Generator* generator) {
  const CompositeScope scope(x);
  return drop_channels("dropout2d", x, p, training, 0, generator);
}
Tensor alpha_dropout(const TensorArg& x, double p, bool training, Generator* generator) {
  const CompositeScope scope(x);
  return drop_to_alpha("alpha_dropout", x, p, training, false, generator);
}
Tensor feature_alpha_dropout(const TensorArg& x, double p, bool training, Generator* generator) {
  const CompositeScope scope(x);
  return drop_to_alpha("feature_alpha_dropout", x, p, training, true, generator);
}

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

std::string Dropout::extra_repr() const {
  return detail::options_text({{"p", p_}, {"inplace", false}});  // as torch, which also has inplace
}

}  // namespace ebb::nn
