// The options of the element-wise optimizers, with torch's names, order and defaults, and the
// formula of each.
//
// In the formulas g is the gradient (its negative with `maximize`), t the number of steps that the
// parameter has made, 1 at the first, and d = g + weight_decay p. Buffers start as zeros.
#pragma once

namespace ebb::nn {

/// b = momentum b + (1 - dampening) d, b = d at the first step; d = b, or d + momentum b with
/// nesterov; p = p - lr d. torch.optim.SGD. Nesterov needs a momentum above 0 and no dampening.
struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;
};

/// m = beta1 m + (1 - beta1) d; v = beta2 v + (1 - beta2) d^2; p = p - lr / (1 - beta1^t) m /
/// (sqrt(v / (1 - beta2^t)) + eps) (Kingma and Ba 2015). With amsgrad the largest v so far takes
/// the place of v in the last line. torch.optim.Adam.
struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;
  bool decoupled_weight_decay = false;  ///< as AdamW
};

/// Adam with decoupled weight decay: d = g, and p = p (1 - lr weight_decay) before the step
/// (Loshchilov and Hutter 2019). torch.optim.AdamW.
struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool amsgrad = false;
  bool maximize = false;
};

/// m = beta1 m + (1 - beta1) d; u = max(beta2 u, |d| + eps); p = p - lr / (1 - beta1^t) m / u.
/// torch.optim.Adamax.
struct AdamaxOptions {
  double lr = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool maximize = false;
};

/// Adam with Nesterov momentum (Dozat 2016): mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), M_t =
/// mu_1 ... mu_t; p = p - lr ((1 - mu_t) / (1 - M_t) d + mu_(t+1) / (1 - M_(t+1)) m) / (sqrt(v / (1
/// - beta2^t)) + eps). torch.optim.NAdam.
struct NAdamOptions {
  double lr = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;  ///< as AdamW
  bool maximize = false;
};

/// Rectified Adam (Liu et al. 2020): with R = 2 / (1 - beta2) - 1 and r = R - 2 t beta2^t / (1 -
/// beta2^t), the step is lr / (1 - beta1^t) m while r <= 5, and then that times sqrt(1 - beta2^t) /
/// (sqrt(v) + eps) sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r)). torch.optim.RAdam.
struct RAdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;  ///< as AdamW
  bool maximize = false;
};

/// v = alpha v + (1 - alpha) d^2; with centered, m = alpha m + (1 - alpha) d; u = d / (sqrt(v -
/// m^2) + eps), without m^2 unless centered; p = p - lr u, or b = momentum b + u and p = p - lr b.
/// torch.optim.RMSprop.
struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
  bool maximize = false;
};

/// s = s + d^2, from initial_accumulator_value; p = p - lr / (1 + (t - 1) lr_decay) d / (sqrt(s) +
/// eps) (Duchi et al. 2011). torch.optim.Adagrad.
struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
};

/// v = rho v + (1 - rho) d^2; u = d sqrt(a + eps) / sqrt(v + eps); a = rho a + (1 - rho) u^2; p = p
/// - lr u (Zeiler 2012). torch.optim.Adadelta.
struct AdadeltaOptions {
  double lr = 1.0;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
};

/// Each element has a step of its own, lr at the start, within [step_size_min, step_size_max]:
/// times eta_plus while its gradient keeps its sign, times eta_minus when the sign changes, and
/// then the gradient counts as 0. p = p - sign(g) step. For whole batches only. torch.optim.Rprop.
struct RpropOptions {
  double lr = 1e-2;
  double eta_minus = 0.5;
  double eta_plus = 1.2;
  double step_size_min = 1e-6;
  double step_size_max = 50;
  bool maximize = false;
};

/// Averaged SGD (Polyak and Juditsky 1992): p = p (1 - lambd eta_t) - eta_t d with eta_t = lr / (1
/// + lambd lr (t - 1))^alpha; the buffer `ax` is p until step t0 + 1, then the average of p since.
/// torch.optim.ASGD. When lr changes, this step uses it; torch uses it one step later.
struct ASGDOptions {
  double lr = 1e-2;
  double lambd = 1e-4;
  double alpha = 0.75;
  double t0 = 1e6;
  double weight_decay = 0;
  bool maximize = false;
};

/// p = p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g
/// (Chen et al. 2023).
struct LionOptions {
  double lr = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0;
  bool maximize = false;
};

}  // namespace ebb::nn
