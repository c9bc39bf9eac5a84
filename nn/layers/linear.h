// Linear: y = x weight^T + bias.
#pragma once

#include "ebb/autograd/ops/matmul.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = DType::F32;
};

/// x (..., in) -> (..., out). Parameters: weight (out, in), bias (out); both start uniform in +-1 / sqrt(in), which is
/// torch's default (kaiming_uniform with a = sqrt(5)). Throws Error unless in >= 1 and out >= 1.
class Linear : public Layer {
 public:
  Linear(int64_t in_features, int64_t out_features, LinearOptions options = {});
  Tensor forward(const Tensor& x) const override { return ebb::linear(x, weight, bias); }

  Tensor weight;
  Tensor bias;  ///< undefined without bias
};

}  // namespace ebb::nn
