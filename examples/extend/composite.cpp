// A composite op is a function of other ops. It needs no gradient of its own.
#include "check.h"

using ebb::Tensor;

/// Layer normalization over the last dim: (x - mean) / sqrt(variance + eps) * weight + bias.
Tensor layer_norm(const ebb::TensorArg& x, const Tensor& weight, const Tensor& bias,
                  double eps = 1e-5) {
  const ebb::CompositeScope scope(x);  // errors name layer_norm and its caller's line
  const Tensor centered = *x - ebb::mean(x, {-1}, true);
  const Tensor variance = ebb::mean(ebb::square(centered), {-1}, true);
  return centered / ebb::sqrt(variance + eps) * weight + bias;
}

int main() {
  return run([] {
    const std::vector<Tensor> in{leaf({2, 5}), leaf({5}), leaf({5})};
    const auto f = [](const std::vector<Tensor>& t) {
      return std::vector<Tensor>{layer_norm(t[0], t[1], t[2])};
    };
    ebb::gradcheck(f, in);
    ebb::gradgradcheck(f, in);
    const Tensor one = ebb::ones({5}, {.dtype = ebb::f64}),
                 zero = ebb::zeros({5}, {.dtype = ebb::f64});
    expect("the mean of each row", ebb::mean(layer_norm(in[0], one, zero), {1}),
           ebb::zeros({2}, {.dtype = ebb::f64}));
  });
}
