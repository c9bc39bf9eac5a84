// The rules of LAMB, Muon and Adafactor, whose steps consist of several passes.
//
// The work between the passes is tensor ops. Everything that depends on the learning rate or on the
// number of the step is computed in these rules, so that captured steps follow both.
#pragma once

#include <cmath>

#include "ebb/core/optimizer_rule.h"
#include "ebb/core/scalar.h"
#include "ebb/nn/optim/rules.h"

namespace ebb::nn::rules {

/// p = p (1 - lr weight_decay) - lr g, where g is the result of the first passes.
struct Descend {
  double weight_decay = 0;
  static constexpr std::string_view name = "descend";
  template <class T> struct Update {
    T lr, shrink;
    EBB_HD Update(const Descend& o, StepNumbers now)
        : lr(static_cast<T>(now.lr)), shrink(static_cast<T>(1 - now.lr * o.weight_decay)) {}
    EBB_HD void operator()(T& p, T g) const { p = p * shrink - lr * g; }
  };
};

/// Updates the moments of Adam, and computes the direction
/// u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p. p keeps its value.
struct LambDirection {
  double beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  static constexpr std::string_view name = "LAMB";
  static constexpr std::string_view buffers[] = {"exp_avg", "exp_avg_sq", "direction"};
  template <class T> struct Update {
    T rate1, beta2, rate2, eps, weight_decay, correction1, root_correction;
    EBB_HD Update(const LambDirection& o, StepNumbers now)
        : rate1(static_cast<T>(1 - o.beta1)),
          beta2(static_cast<T>(o.beta2)),
          rate2(static_cast<T>(1 - o.beta2)),
          eps(static_cast<T>(o.eps)),
          weight_decay(static_cast<T>(o.weight_decay)),
          correction1(static_cast<T>(1 / detail::correction(o.beta1, now.step))),
          root_correction(static_cast<T>(std::sqrt(detail::correction(o.beta2, now.step)))) {}
    EBB_HD void operator()(T& p, T g, T& m, T& v, T& u) const {
      m += rate1 * (g - m);
      v = beta2 * v + rate2 * (g * g);
      u = correction1 * m / (ebb::sqrt(v) / root_correction + eps) + weight_decay * p;
    }
  };
};

/// buffer = momentum buffer + (1 - momentum) g; u = buffer, or (1 - momentum) g + momentum buffer
/// with nesterov.
struct MuonMomentum {
  double momentum = 0;
  bool nesterov = false;
  static constexpr std::string_view name = "Muon";
  static constexpr std::string_view buffers[] = {"update"};
  template <class T> struct Update {
    T rate, keep;
    EBB_HD Update(const MuonMomentum& o, StepNumbers)
        : rate(static_cast<T>(1 - o.momentum)), keep(static_cast<T>(o.nesterov ? o.momentum : 1)) {}
    EBB_HD void operator()(T& buffer, T g, T& u) const {
      buffer += rate * (g - buffer);
      u = g + keep * (buffer - g);
    }
  };
};

/// variance = variance + t^beta2_decay (g - variance), where g is a mean of squares.
struct AdafactorVariance {
  double beta2_decay = 0;
  static constexpr std::string_view name = "Adafactor";
  template <class T> struct Update {
    T rate;
    EBB_HD Update(const AdafactorVariance& o, StepNumbers now)
        : rate(static_cast<T>(std::pow(static_cast<double>(now.step), o.beta2_decay))) {}
    EBB_HD void operator()(T& variance, T g) const { variance += rate * (g - variance); }
  };
};

/// p = p (1 - lr weight_decay) - min(lr, 1 / sqrt(t)) g.
struct AdafactorDescend {
  double weight_decay = 0;
  static constexpr std::string_view name = "Adafactor";
  template <class T> struct Update {
    T rate, shrink;
    EBB_HD Update(const AdafactorDescend& o, StepNumbers now)
        : shrink(static_cast<T>(1 - now.lr * o.weight_decay)) {
      const double bound = 1 / std::sqrt(static_cast<double>(now.step));
      rate = static_cast<T>(now.lr < bound ? now.lr : bound);
    }
    EBB_HD void operator()(T& p, T g) const { p = p * shrink - rate * g; }
  };
};

}  // namespace ebb::nn::rules
