// Losses of regression.
//
// Shapes: input and target have the same shape and dtype. Reduction None keeps the shape; the
// others give a 0-d tensor. weight is undefined, or broadcasts to input. input, target and weight
// can have gradients. Throws Error for other shapes and for different dtypes or devices.
// docs/losses.md lists the denominators of Mean.
#pragma once

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct L1LossOptions {
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// Returns |x - t|.
///
/// Derivative: sign(x - t), 0 at x = t. Mean is the weighted mean: it divides by the sum of the
/// weights.
///
///     Tensor loss = l1_loss(tensor({1., 5.}), tensor({2., 2.}));  // 2
///
/// Formula: L1Loss in formulas.h. Test: l1_loss in rows_losses_pointwise.cpp.
Tensor l1_loss(const TensorArg& input, const Tensor& target, L1LossOptions options = {});

struct MSELossOptions {
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// Returns (x - t)^2.
///
/// Derivative: 2 (x - t). Mean is the weighted mean: it divides by the sum of the weights.
///
///     Tensor loss = mse_loss(tensor({1., 5.}), tensor({2., 2.}));  // 5
///
/// Formula: MseLoss in formulas.h. Test: mse_loss in rows_losses_pointwise.cpp.
Tensor mse_loss(const TensorArg& input, const Tensor& target, MSELossOptions options = {});

struct SmoothL1LossOptions {
  double beta = 1;
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// Returns (x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2 (Girshick 2015). beta
/// = 0 is l1_loss.
///
/// Derivative: (x - t) / beta, or sign(x - t). Throws Error if beta is negative. Mean divides by
/// the number of elements.
///
///     Tensor loss = smooth_l1_loss(tensor({1., 5.}), tensor({1.5, 2.}));  // 1.3125
///
/// Formula: SmoothL1Loss in formulas.h. Test: smooth_l1_loss in rows_losses_pointwise.cpp.
Tensor smooth_l1_loss(const TensorArg& input, const Tensor& target,
                      SmoothL1LossOptions options = {});

struct HuberLossOptions {
  double delta = 1;
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// Returns (x - t)^2 / 2 where |x - t| < delta, else delta (|x - t| - delta / 2) (Huber 1964):
/// delta times smooth_l1_loss.
///
/// Derivative: x - t, or delta sign(x - t). Throws Error unless delta > 0. Mean divides by the
/// number of elements.
///
///     Tensor loss = huber_loss(tensor({1., 5.}), tensor({1.5, 2.}), {.delta = 2});  // 2.0625
///
/// Formula: HuberLoss in formulas.h. Test: huber_loss in rows_losses_pointwise.cpp.
Tensor huber_loss(const TensorArg& input, const Tensor& target, HuberLossOptions options = {});

struct PoissonNLLLossOptions {
  bool log_input = true;
  bool full = false;  ///< adds Stirling's t log t - t + log(2 pi t) / 2 where t > 1
  double eps = 1e-8;
  Reduction reduction = Reduction::Mean;
};
/// Returns the negative log-likelihood of counts t: e^x - t x if x is the log of the rate, or x - t
/// log(x + eps) with log_input = false.
///
/// Derivative: e^x - t, or 1 - t / (x + eps).
///
///     Tensor loss = poisson_nll_loss(tensor({0., 1.}), tensor({1., 2.}));  // 0.859141
///
/// Formula: PoissonNll, PoissonNllLogInput in formulas.h. Test: poisson_nll_loss in
/// rows_losses_pointwise.cpp.
Tensor poisson_nll_loss(const TensorArg& input, const Tensor& target,
                        PoissonNLLLossOptions options = {});

struct GaussianNLLLossOptions {
  bool full = false;  ///< adds log(2 pi) / 2
  double eps = 1e-6;
  Reduction reduction = Reduction::Mean;
};
/// Returns (log u + (x - t)^2 / u) / 2 with u = max(var, eps) (Nix and Weigend 1994).
///
/// Derivative: (x - t) / u; by var (1 / u - (x - t)^2 / u^2) / 2, also below eps. var has the shape
/// of input, lacks its last dim, or has a last dim of 1. Throws Error if var is negative.
///
///     Tensor x = tensor({1., 5.}), t = tensor({2., 2.}), var = tensor({1., 4.});
///     Tensor loss = gaussian_nll_loss(x, t, var);  // 1.15907
///
/// Formula: GaussianNll in formulas.h. Test: gaussian_nll_loss in rows_losses_pointwise.cpp.
Tensor gaussian_nll_loss(const TensorArg& input, const Tensor& target, const Tensor& var,
                         GaussianNLLLossOptions options = {});
/// Computes the same with one variance for all elements.
Tensor gaussian_nll_loss(const TensorArg& input, const Tensor& target, double var,
                         GaussianNLLLossOptions options = {});

}  // namespace ebb::nn
