// Activations, element-wise, with gradients of every order and torch's conventions at kinks.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/random.h"
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
/// Returns scale max(x, 0) + scale alpha (e^min(x, 0) - 1), alpha = 1.6732632 and scale = 1.0507010 (Klambauer et al.
/// 2017).
///
/// Gradient scale alpha at 0.
Tensor selu(const TensorArg& x);
/// Returns max(x, 0) + alpha (e^(min(x, 0) / alpha) - 1) (Barron 2017). Gradient 1 at 0. Throws Error when alpha is 0.
Tensor celu(const TensorArg& x, double alpha = 1);
/// Returns x clamped to [0, 6]; gradient 0 at both bounds.
Tensor relu6(const TensorArg& x);
/// Returns x where x > 0, else weight x; the gradient by x is weight at 0 (He et al. 2015).
///
/// weight: one element, or one a channel, which is dim 1 of x: x (N, C, ...), weight (C). Throws Error where it is
/// neither.
///
///     prelu(tensor({-2, 4}), tensor({0.25}));  // [-0.5, 4]
Tensor prelu(const TensorArg& x, const Tensor& weight);
/// Returns x tanh(softplus(x)) (Misra 2019).
Tensor mish(const TensorArg& x);
/// Returns x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019). Derivative
/// x / 3 + 1/2 between -3 and 3; 0 at -3 and 1 at 3.
Tensor hardswish(const TensorArg& x);
/// Returns min(max(x + 3, 0), 6) / 6. Derivative 1/6 between -3 and 3, 0 at the bounds and beyond.
Tensor hardsigmoid(const TensorArg& x);
/// Returns x where |x| > lambd, else 0. Derivative 1 or 0; NaN stays, with gradient 0.
Tensor hardshrink(const TensorArg& x, double lambd = 0.5);
/// Returns x - lambd where x > lambd, x + lambd where x < -lambd, else 0; NaN stays. Throws Error when lambd < 0.
Tensor softshrink(const TensorArg& x, double lambd = 0.5);
/// Returns x - tanh(x), f32 computed in f64. Derivative: tanh^2 x.
Tensor tanhshrink(const TensorArg& x);
/// Returns x / (1 + |x|). Derivative: 1 / (1 + |x|)^2.
Tensor softsign(const TensorArg& x);
/// Returns x where x > threshold, else value; NaN stays. Derivative 1 or 0, 0 at the threshold.
Tensor threshold(const TensorArg& x, double threshold, double value);
/// Returns a sigmoid(b) with a and b the halves of x along dim (Dauphin et al. 2017): the result has half the size
/// there. Throws Error when that size is odd or x is 0-d.
Tensor glu(const TensorArg& x, int64_t dim = -1);
/// Returns softmax((logits + noise) / tau) along dim, the noise drawn from the Gumbel distribution: a differentiable
/// draw from the classes (Jang et al. 2017).
///
/// hard: gives the one-hot vector of the largest class, with the gradient of the soft result. Throws Error unless tau > 0.
/// generator: where the numbers come from; the thread's default one when null.
Tensor gumbel_softmax(const TensorArg& logits, double tau = 1, bool hard = false, int64_t dim = -1,
                      Generator* generator = nullptr);

/// e^x / sum e^x along dim, shifted by the maximum. All of an empty dim: empty.
Tensor softmax(const TensorArg& x, int64_t dim);
/// x - max - log sum e^(x - max) along dim; gradient g - softmax sum g.
Tensor log_softmax(const TensorArg& x, int64_t dim);
/// softmax(-x, dim).
Tensor softmin(const TensorArg& x, int64_t dim);

}  // namespace ebb
