// Activations of neural networks.
//
// All except softmax and its relatives work element by element. They have gradients of every order,
// with torch's conventions at kinks. NaN stays NaN. They take f32 and f64, and throw Error for
// undefined and integer tensors. The result has the shape of x unless stated otherwise.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/random.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns max(x, 0).
///
/// Derivative: 1 where x > 0, else 0.
///
///     Tensor y = relu(tensor({-1., 0., 2.}));  // [0, 0, 2]
///
/// Formula: Relu in formulas/activation.h. Test: relu in rows_activation.cpp.
Tensor relu(const TensorArg& x);
/// Returns x where x > 0, else negative_slope x.
///
/// Derivative: 1 where x > 0, else negative_slope.
///
/// Formula: LeakyRelu in formulas/activation.h. Test: leaky_relu in rows_activation.cpp.
Tensor leaky_relu(const TensorArg& x, double negative_slope = 0.01);
/// Returns x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015).
///
/// Derivative: 1 where x > 0, else alpha e^x.
///
/// Formula: Elu in formulas/activation.h. Test: elu in rows_activation.cpp.
Tensor elu(const TensorArg& x, double alpha = 1);
/// Returns 1 / (1 + e^-x). It does not overflow.
///
/// Derivative: y (1 - y), computed from the output y.
///
///     Tensor y = sigmoid(tensor({0.}));  // [0.5]
///
/// Formula: Sigmoid in formulas/activation.h. Test: sigmoid in rows_activation.cpp.
Tensor sigmoid(const TensorArg& x);
/// Returns log(sigmoid(x)) without cancellation, for every x.
///
/// Derivative: 1 - sigmoid(x).
///
/// Formula: LogSigmoid in formulas/activation.h. Test: logsigmoid in rows_activation.cpp.
Tensor logsigmoid(const TensorArg& x);
/// Returns the hyperbolic tangent of x, with an error of at most 1 ulp.
///
/// Derivative: 1 - y^2, computed from the output y.
///
/// Formula: Tanh in formulas/activation.h. Test: tanh in rows_activation.cpp.
Tensor tanh(const TensorArg& x);
/// Returns log(1 + e^(beta x)) / beta where beta x <= threshold, else x. With an infinite threshold
/// the first form applies everywhere.
///
/// Derivative: sigmoid(beta x) where beta x <= threshold, else 1.
///
/// Formula: Softplus in formulas/activation.h. Test: softplus in rows_activation.cpp.
Tensor softplus(const TensorArg& x, double beta = 1, double threshold = 20);
enum class GeluApproximate { None, Tanh };
/// Returns x Phi(x), with the distribution function Phi of the normal distribution, or its
/// approximation by tanh (Hendrycks and Gimpel 2016).
///
/// Derivative: Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi), or that of the approximation.
///
/// Formula: Gelu, GeluTanh in formulas/activation.h. Test: gelu in rows_activation.cpp.
Tensor gelu(const TensorArg& x, GeluApproximate approximate = GeluApproximate::None);
/// Returns x sigmoid(x).
///
/// Derivative: s + x s (1 - s) with s = sigmoid(x).
///
/// Formula: Silu in formulas/activation.h. Test: silu in rows_activation.cpp.
Tensor silu(const TensorArg& x);
/// Returns x clamped to [min_val, max_val]. Throws Error unless min_val <= max_val.
///
/// Derivative: 1 between the bounds, 0 at both bounds and beyond.
///
/// Formula: Hardtanh in formulas/activation.h. Test: hardtanh in rows_activation.cpp.
Tensor hardtanh(const TensorArg& x, double min_val = -1, double max_val = 1);
/// Returns scale max(x, 0) + scale alpha (e^min(x, 0) - 1), with alpha = 1.6732632 and scale =
/// 1.0507010 (Klambauer et al. 2017).
///
/// Derivative: scale where x > 0, else scale alpha e^x.
///
/// Formula: Selu in formulas/activation.h. Test: selu in rows_activation_more.cpp.
Tensor selu(const TensorArg& x);
/// Returns max(x, 0) + alpha (e^(min(x, 0) / alpha) - 1) (Barron 2017). Throws Error if alpha is 0.
///
/// Derivative: 1 where x >= 0, else e^(x / alpha).
///
/// Formula: Celu in formulas/activation.h. Test: celu in rows_activation_more.cpp.
Tensor celu(const TensorArg& x, double alpha = 1);
/// Returns x clamped to [0, 6].
///
/// Derivative: 1 between the bounds, 0 at both bounds and beyond.
///
/// Formula: Relu6 in formulas/activation.h. Test: relu6 in rows_activation_more.cpp.
Tensor relu6(const TensorArg& x);
/// Returns x where x > 0, else weight x (He et al. 2015).
///
/// Derivatives: by x 1 where x > 0, else weight; by weight the sum of x where x <= 0. Shape: weight
/// has one element, or one per channel, which is dim 1 of x: x (N, C, ...), weight (C). Throws
/// Error for another shape.
///
///     Tensor y = prelu(tensor({-2., 4.}), tensor({0.25}));  // [-0.5, 4]
///
/// Formula: Prelu in formulas/activation.h. Test: prelu in rows_activation_more.cpp.
Tensor prelu(const TensorArg& x, const Tensor& weight);
/// Returns x tanh(softplus(x)) (Misra 2019).
///
/// Derivative: t + x (1 - t^2) sigmoid(x) with t = tanh(softplus(x)).
///
/// Formula: Mish in formulas/activation.h. Test: mish in rows_activation_more.cpp.
Tensor mish(const TensorArg& x);
/// Returns x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019).
///
/// Derivative: x / 3 + 1/2 between -3 and 3, 0 where x <= -3, 1 where x >= 3.
///
/// Formula: Hardswish in formulas/activation.h. Test: hardswish in rows_activation_more.cpp.
Tensor hardswish(const TensorArg& x);
/// Returns min(max(x + 3, 0), 6) / 6.
///
/// Derivative: 1/6 between -3 and 3, 0 at these bounds and beyond.
///
/// Formula: Hardsigmoid in formulas/activation.h. Test: hardsigmoid in rows_activation_more.cpp.
Tensor hardsigmoid(const TensorArg& x);
/// Returns x where |x| > lambd, else 0.
///
/// Derivative: 1 where |x| > lambd, else 0; 0 for NaN.
///
/// Formula: Hardshrink in formulas/activation.h. Test: hardshrink in rows_activation_more.cpp.
Tensor hardshrink(const TensorArg& x, double lambd = 0.5);
/// Returns x - lambd where x > lambd, x + lambd where x < -lambd, else 0. Throws Error if lambd <
/// 0.
///
/// Derivative: 1 where |x| > lambd, else 0.
///
/// Formula: Softshrink in formulas/activation.h. Test: softshrink in rows_activation_more.cpp.
Tensor softshrink(const TensorArg& x, double lambd = 0.5);
/// Returns x - tanh(x). It is computed in f64, because the difference cancels near 0.
///
/// Derivative: tanh(x)^2.
///
/// Formula: Tanhshrink in formulas/activation.h. Test: tanhshrink in rows_activation_more.cpp.
Tensor tanhshrink(const TensorArg& x);
/// Returns x / (1 + |x|).
///
/// Derivative: 1 / (1 + |x|)^2.
///
/// Formula: Softsign in formulas/activation.h. Test: softsign in rows_activation_more.cpp.
Tensor softsign(const TensorArg& x);
/// Returns x where x > threshold, else value.
///
/// Derivative: 1 where x > threshold, else 0.
///
/// Formula: Threshold in formulas/activation.h. Test: threshold in rows_activation_more.cpp.
Tensor threshold(const TensorArg& x, double threshold, double value);
/// Returns a sigmoid(b), with the halves a and b of x along dim (Dauphin et al. 2017).
///
/// Shape: the result has half the size along dim. Throws Error if that size is odd, or if x is 0-d.
///
/// Composed in activation.cpp. Test: glu in rows_activation_more.cpp.
Tensor glu(const TensorArg& x, int64_t dim = -1);
/// Returns softmax((logits + noise) / tau) along dim, with noise from the Gumbel distribution: a
/// differentiable sample of the classes (Jang et al. 2017).
///
/// If hard is true, it returns the one-hot vector of the largest class, with the gradient of the
/// soft result. The noise comes from `generator`, or from the generator of the thread if that is
/// null. Throws Error unless tau > 0.
///
/// Composed in activation.cpp. Kernels: random. Test: gumbel_softmax in rows_activation_more.cpp.
Tensor gumbel_softmax(const TensorArg& logits, double tau = 1, bool hard = false, int64_t dim = -1,
                      Generator* generator = nullptr);

/// Returns e^x / sum e^x along dim. The maximum is subtracted first, so it does not overflow.
///
/// Derivative: y (g - sum g y) for the upstream gradient g, computed from the output y.
///
///     Tensor y = softmax(tensor({0., 0.}), 0);  // [0.5, 0.5]
///
/// Struct: SoftmaxOp in softmax.cpp. Kernels: softmax, softmax_backward. Test: softmax in
/// rows_softmax.cpp.
Tensor softmax(const TensorArg& x, int64_t dim);
/// Returns x - log sum e^x along dim. The maximum is subtracted first, so it does not overflow.
///
/// Derivative: g - e^y sum g for the upstream gradient g, computed from the output y.
///
/// Struct: SoftmaxOp in softmax.cpp. Kernels: softmax, softmax_backward. Test: log_softmax in
/// rows_softmax.cpp.
Tensor log_softmax(const TensorArg& x, int64_t dim);
/// Returns softmax(-x, dim).
///
/// Composed in activation.cpp. Test: softmin in rows_softmax.cpp.
Tensor softmin(const TensorArg& x, int64_t dim);

}  // namespace ebb
