// Matrix products.
#pragma once

#include "ebb/autograd/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// a b, torch.matmul: (n) (n) -> (); (m, k) (k, n) -> (m, n); (m, k) (k) -> (m); (k) (k, n) -> (n);
/// (..., m, k) (..., k, n) -> (..., m, n) with leading dims broadcast. f32 and f64.
Tensor matmul(const TensorArg& a, const Tensor& b);

enum class Activation { None, Relu, GeluTanh };
/// input weight^T + bias, then the activation, fused where the device can: input (..., in), weight (out, in), bias
/// (out) or undefined; result (..., out). GeluTanh is gelu in its tanh form. torch.nn.functional.linear.
Tensor linear(const TensorArg& input, const Tensor& weight, const Tensor& bias = {},
              Activation activation = Activation::None);

}  // namespace ebb
