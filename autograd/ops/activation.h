// Activations, element-wise, with gradients of every order and torch's conventions at kinks.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// max(x, 0); gradient [x > 0]. NaN stays.
Tensor relu(const TensorArg& x);
/// x > 0: x, else negative_slope x; gradient negative_slope at 0.
Tensor leaky_relu(const TensorArg& x, double negative_slope = 0.01);
/// x > 0: x, else alpha (e^x - 1), by expm1; gradient alpha at 0 (Clevert et al. 2015).
Tensor elu(const TensorArg& x, double alpha = 1);
/// 1 / (1 + e^-x), without overflow; gradient s (1 - s) from the output.
Tensor sigmoid(const TensorArg& x);
/// log(sigmoid(x)) = -softplus(-x): exact for every x.
Tensor logsigmoid(const TensorArg& x);
/// gradient 1 - tanh^2 from the output.
Tensor tanh(const TensorArg& x);
/// log(1 + e^(beta x)) / beta; x itself where beta x > threshold, as in torch. An infinite threshold never switches.
Tensor softplus(const TensorArg& x, double beta = 1, double threshold = 20);
enum class GeluApproximate { None, Tanh };
/// x Phi(x) with the normal distribution function, or its tanh form (Hendrycks and Gimpel 2016).
Tensor gelu(const TensorArg& x, GeluApproximate approximate = GeluApproximate::None);
/// x sigmoid(x).
Tensor silu(const TensorArg& x);
/// Clamps to [min_val, max_val]; gradient 0 at both bounds. Throws Error unless min_val <= max_val.
Tensor hardtanh(const TensorArg& x, double min_val = -1, double max_val = 1);

/// e^x / sum e^x along dim, shifted by the maximum. All of an empty dim: empty.
Tensor softmax(const TensorArg& x, int64_t dim);
/// x - max - log sum e^(x - max) along dim; gradient g - softmax sum g.
Tensor log_softmax(const TensorArg& x, int64_t dim);
/// softmax(-x, dim).
Tensor softmin(const TensorArg& x, int64_t dim);

}  // namespace ebb
