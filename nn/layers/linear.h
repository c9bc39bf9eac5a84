// Linear: y = x weight^T + bias.
#pragma once

#include "ebb/autograd/ops/matmul.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = DType::F32;
};

/// Computes x weight^T + bias: (..., in) -> (..., out).
///
/// Parameters: weight (out, in) and bias (out). Both are initialized uniformly in +-1 / sqrt(in),
/// as in torch (kaiming_uniform with a = sqrt(5)). Throws Error unless in >= 1 and out >= 1.
///
///     nn::Linear layer(784, 10);
///     Tensor scores = layer(images);  // (N, 784) -> (N, 10)
class Linear : public Layer {
 public:
  Linear(int64_t in_features, int64_t out_features, LinearOptions options = {});
  Tensor forward(const Tensor& x) const override { return ebb::linear(x, weight, bias); }
  Linear* operator->() { return this; }
  const Linear* operator->() const { return this; }
  std::string extra_repr() const override;

  Tensor weight;
  Tensor bias;  ///< undefined without bias
};

}  // namespace ebb::nn
