// The options of the element-wise optimizers, with torch's names, order and defaults, and their
// formulas.
//
// In the formulas, p is the parameter, g its gradient (or -g with `maximize`), t the number of this
// step of the parameter, counted from 1, and d = g + weight_decay p. The other variables are
// buffers, which start as zeros.
#pragma once

namespace ebb::nn {

/// Stochastic gradient descent, as torch.optim.SGD:
///
///     b = momentum b + (1 - dampening) d,   b = d at the first step
///     p = p - lr b,                         p - lr (d + momentum b) with nesterov
///
/// Nesterov needs a momentum above 0 and no dampening.
struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;
};

/// Adam (Kingma and Ba 2015), as torch.optim.Adam:
///
///     m = beta1 m + (1 - beta1) d
///     v = beta2 v + (1 - beta2) d^2
///     p = p - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
///
/// With amsgrad, the last line uses the largest v so far.
struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;
  bool decoupled_weight_decay = false;  ///< as in AdamW
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW: d = g, and
/// p = p (1 - lr weight_decay) before the step.
struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool amsgrad = false;
  bool maximize = false;
};

/// Adam with the infinity norm, as torch.optim.Adamax:
///
///     m = beta1 m + (1 - beta1) d
///     u = max(beta2 u, |d| + eps)
///     p = p - lr / (1 - beta1^t) m / u
struct AdamaxOptions {
  double lr = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool maximize = false;
};

/// Adam with Nesterov momentum (Dozat 2016), as torch.optim.NAdam. m and v are those of Adam:
///
///     mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2),   M_t = mu_1 ... mu_t
///     u = (1 - mu_t) / (1 - M_t) d + mu_(t+1) / (1 - M_(t+1)) m
///     p = p - lr u / (sqrt(v / (1 - beta2^t)) + eps)
struct NAdamOptions {
  double lr = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;  ///< as in AdamW
  bool maximize = false;
};

/// Rectified Adam (Liu et al. 2020), as torch.optim.RAdam. m and v are those of Adam:
///
///     R = 2 / (1 - beta2) - 1,   r = R - 2 t beta2^t / (1 - beta2^t)
///     a = 1 while r <= 5, and then
///         sqrt(1 - beta2^t) / (sqrt(v) + eps) sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r))
///     p = p - lr / (1 - beta1^t) m a
struct RAdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;  ///< as in AdamW
  bool maximize = false;
};

/// RMSprop, as torch.optim.RMSprop:
///
///     v = alpha v + (1 - alpha) d^2
///     m = alpha m + (1 - alpha) d if centered, else 0
///     b = momentum b + d / (sqrt(v - m^2) + eps)
///     p = p - lr b
struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
  bool maximize = false;
};

/// Adagrad (Duchi et al. 2011), as torch.optim.Adagrad. s starts as initial_accumulator_value:
///
///     s = s + d^2
///     p = p - lr / (1 + (t - 1) lr_decay) d / (sqrt(s) + eps)
struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
};

/// Adadelta (Zeiler 2012), as torch.optim.Adadelta:
///
///     v = rho v + (1 - rho) d^2
///     u = d sqrt(a + eps) / sqrt(v + eps)
///     a = rho a + (1 - rho) u^2
///     p = p - lr u
struct AdadeltaOptions {
  double lr = 1.0;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
};

/// Resilient backpropagation, as torch.optim.Rprop: p = p - sign(g) step, where every element has
/// its own step size.
///
/// The step size starts as lr. It is multiplied by eta_plus if the sign of the gradient is that of
/// the previous step, and by eta_minus if the sign has changed, in which case the gradient counts
/// as 0. It stays within [step_size_min, step_size_max]. Gradients have to be those of the whole
/// data set.
struct RpropOptions {
  double lr = 1e-2;
  double eta_minus = 0.5;
  double eta_plus = 1.2;
  double step_size_min = 1e-6;
  double step_size_max = 50;
  bool maximize = false;
};

/// Averaged SGD (Polyak and Juditsky 1992), as torch.optim.ASGD:
///
///     eta = lr / (1 + lambd lr (t - 1))^alpha
///     p = p (1 - lambd eta) - eta d
///
/// The buffer `ax` is p until step t0 + 1, and the average of p since that step afterwards. A
/// change of lr takes effect in the next step; in torch, one step later.
struct ASGDOptions {
  double lr = 1e-2;
  double lambd = 1e-4;
  double alpha = 0.75;
  double t0 = 1e6;
  double weight_decay = 0;
  bool maximize = false;
};

/// Lion (Chen et al. 2023), which torch does not have:
///
///     p = p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g)
///     m = beta2 m + (1 - beta2) g
struct LionOptions {
  double lr = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0;
  bool maximize = false;
};

}  // namespace ebb::nn
