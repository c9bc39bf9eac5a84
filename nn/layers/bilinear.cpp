#include "ebb/nn/layers/bilinear.h"

#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

// With one product for weight and x2, (out in1, in2) (in2, N), and one batched product of N rows
// with x1.
Tensor bilinear(const TensorArg& input1, const Tensor& input2, const Tensor& weight,
                const Tensor& bias) {
  const CompositeScope scope(input1);
  const Tensor& x1 = input1;
  const Tensor* all[] = {&x1, &input2, &weight, &bias};
  check_same_kind("bilinear", std::span(all, bias.defined() ? 4 : 3));
  bool fits = x1.dim() >= 1 && x1.dim() == input2.dim() && weight.dim() == 3;
  for (int i = 0; fits && i < x1.dim() - 1; ++i) fits = x1.shape()[i] == input2.shape()[i];
  fits =
      fits && x1.shape().back() == weight.shape()[1] && input2.shape().back() == weight.shape()[2];
  if (!fits || (bias.defined() && bias.shape() != Shape(weight.shape()[0]))) {
    fail("bilinear",
         "expected inputs (..., in1) and (..., in2), weight (out, in1, in2) and bias (out), got ",
         x1.shape(), ", ", input2.shape(), ", ", weight.shape(), " and ",
         bias.defined() ? to_text(bias.shape()) : "no bias");
  }
  const int64_t out = weight.shape()[0], in1 = weight.shape()[1], in2 = weight.shape()[2];
  Shape shape = x1.shape();
  shape[x1.dim() - 1] = out;
  int64_t n = 1;
  for (int i = 0; i < x1.dim() - 1; ++i) n *= x1.shape()[i];
  // (N, in2) (in2, out in1) -> (N, out, in1), then (N, out, in1) (N, in1, 1) -> (N, out, 1)
  const Tensor rows =
      matmul(reshape(input2, {n, in2}), transpose(reshape(weight, {out * in1, in2})));
  const Tensor y = matmul(reshape(rows, {n, out, in1}), reshape(x1, {n, in1, 1}));
  const Tensor shaped = reshape(y, shape);
  return bias.defined() ? add(shaped, bias) : shaped;
}

Bilinear::Bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features,
                   BilinearOptions options) {
  if (in1_features < 1 || in2_features < 1 || out_features < 1) {
    fail("Bilinear", "expected at least 1 feature everywhere, got ", in1_features, ", ",
         in2_features, " and ", out_features);
  }
  const double bound = 1 / std::sqrt(static_cast<double>(in1_features));
  Tensor w = empty({out_features, in1_features, in2_features}, {.dtype = options.dtype});
  uniform_(w, -bound, bound);
  weight = add_parameter("weight", w);
  if (!options.bias) return;
  Tensor b = empty({out_features}, {.dtype = options.dtype});
  uniform_(b, -bound, bound);
  bias = add_parameter("bias", b);
}

std::string Bilinear::extra_repr() const {
  return detail::options_text({{"in1_features", weight.size(1)},
                               {"in2_features", weight.size(2)},
                               {"out_features", weight.size(0)},
                               {"bias", bias.defined()}});
}

}  // namespace ebb::nn
