// Bilinear: y = x1^T A x2 + b.
#pragma once

#include <string>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Returns y (..., out) with y_k = sum over i and j of x1_i weight_kij x2_j, plus bias_k.
///
/// Shape: input1 (..., in1), input2 (..., in2) with the same leading dims, weight (out, in1, in2),
/// bias (out) or undefined. Throws Error for other shapes and for dtypes that differ.
Tensor bilinear(const TensorArg& input1, const Tensor& input2, const Tensor& weight,
                const Tensor& bias = {});

struct BilinearOptions {
  bool bias = true;
  DType dtype = DType::F32;
};

/// Computes bilinear. Parameters: weight (out, in1, in2) and bias (out), initialized uniformly in
/// +-1 / sqrt(in1). Throws Error unless all sizes are at least 1.
///
///     nn::Bilinear layer(20, 30, 40);
///     Tensor y = layer(randn({128, 20}), randn({128, 30}));  // (128, 40)
class Bilinear : public Module {
 public:
  Bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features,
           BilinearOptions options = {});
  Tensor forward(const Tensor& input1, const Tensor& input2) const {
    return bilinear(input1, input2, weight, bias);
  }
  Tensor operator()(const Tensor& input1, const Tensor& input2) const {
    return forward(input1, input2);
  }
  Bilinear* operator->() { return this; }
  const Bilinear* operator->() const { return this; }
  std::string extra_repr() const override;

  Tensor weight;
  Tensor bias;  ///< undefined without bias
};

}  // namespace ebb::nn
