// Losses of regression. input and target: equal shapes and dtypes. None keeps the shape; others give a 0-d tensor.
// weight: undefined, or broadcast to input; denominators of Mean: docs/losses.md. Gradients by input, target, weight.
#pragma once

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct L1LossOptions {
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// |x - t|; gradient 0 at x = t. Mean: weighted mean (over the sum of weights).
Tensor l1_loss(const TensorArg& input, const Tensor& target, L1LossOptions options = {});

struct MSELossOptions {
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// (x - t)^2. Mean: weighted mean (over the sum of weights).
Tensor mse_loss(const TensorArg& input, const Tensor& target, MSELossOptions options = {});

struct SmoothL1LossOptions {
  double beta = 1;
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// (x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2 (Girshick 2015). beta = 0 is l1_loss.
/// Throws Error for a negative beta. Mean: over the number of elements.
Tensor smooth_l1_loss(const TensorArg& input, const Tensor& target,
                      SmoothL1LossOptions options = {});

struct HuberLossOptions {
  double delta = 1;
  Reduction reduction = Reduction::Mean;
  Tensor weight = {};
};
/// (x - t)^2 / 2 where |x - t| < delta, else delta (|x - t| - delta / 2) (Huber 1964). delta times smooth_l1_loss.
/// Throws Error unless delta > 0. Mean: over the number of elements.
Tensor huber_loss(const TensorArg& input, const Tensor& target, HuberLossOptions options = {});

struct PoissonNLLLossOptions {
  bool log_input = true;
  bool full = false;  ///< adds Stirling's t log t - t + log(2 pi t) / 2 where t > 1
  double eps = 1e-8;
  Reduction reduction = Reduction::Mean;
};
/// Counts: e^x - t x for x = log rate, or x - t log(x + eps) for a rate x.
Tensor poisson_nll_loss(const TensorArg& input, const Tensor& target,
                        PoissonNLLLossOptions options = {});

struct GaussianNLLLossOptions {
  bool full = false;  ///< adds log(2 pi) / 2
  double eps = 1e-6;
  Reduction reduction = Reduction::Mean;
};
/// (log u + (x - t)^2 / u) / 2 with u = max(var, eps); the gradient of var is not cut by the clamp (Nix and Weigend
/// 1994). var: input's shape, or without the last dim, or with a last dim of 1. Throws Error when var is negative.
Tensor gaussian_nll_loss(const TensorArg& input, const Tensor& target, const Tensor& var,
                         GaussianNLLLossOptions options = {});
/// One variance for all elements.
Tensor gaussian_nll_loss(const TensorArg& input, const Tensor& target, double var,
                         GaussianNLLLossOptions options = {});

}  // namespace ebb::nn
