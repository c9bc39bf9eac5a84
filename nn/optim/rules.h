// The rules of the element-wise optimizers: the options and one formula for every device.
// options.h documents the formulas, and core/optimizer_rule.h documents rules. An Update computes
// the numbers of a step in double and rounds each of them once.
#pragma once

#include <cmath>
#include <limits>

#include "ebb/core/optimizer_rule.h"
#include "ebb/core/scalar.h"
#include "ebb/nn/optim/options.h"

namespace ebb::nn::rules {

namespace detail {
/// Returns 1 - b^t.
EBB_HD double correction(double b, int64_t t) { return 1 - std::pow(b, static_cast<double>(t)); }
}  // namespace detail

struct SgdPlain : SGDOptions {
  static constexpr std::string_view name = "SGD";
  template <class T> struct Update {
    T lr, weight_decay;
    EBB_HD Update(const SgdPlain& o, StepNumbers now)
        : lr(static_cast<T>(now.lr)), weight_decay(static_cast<T>(o.weight_decay)) {}
    EBB_HD void operator()(T& p, T g) const { p -= lr * (g + weight_decay * p); }
  };
};

struct SgdMomentum : SGDOptions {
  static constexpr std::string_view name = "SGD";
  static constexpr std::string_view buffers[] = {"momentum"};
  template <class T> struct Update {
    T lr, weight_decay, keep, add, look_ahead, by_buffer;
    EBB_HD Update(const SgdMomentum& o, StepNumbers now)
        : lr(static_cast<T>(now.lr)),
          weight_decay(static_cast<T>(o.weight_decay)),
          keep(static_cast<T>(now.step == 1 ? 0 : o.momentum)),
          add(static_cast<T>(now.step == 1 ? 1 : 1 - o.dampening)),
          look_ahead(static_cast<T>(o.nesterov ? 1 : 0)),
          by_buffer(static_cast<T>(o.nesterov ? o.momentum : 1)) {}
    EBB_HD void operator()(T& p, T g, T& buffer) const {
      const T d = g + weight_decay * p;
      buffer = keep * buffer + add * d;
      p -= lr * (look_ahead * d + by_buffer * buffer);
    }
  };
};

namespace detail {

/// The moments and the weight decay of Adam and similar rules. The rates are 1 - beta.
template <class T> struct Moments {
  T rate1, beta2, rate2, eps, l2, shrink;
  template <class O>
  EBB_HD Moments(const O& o, bool decoupled, StepNumbers now)
      : rate1(static_cast<T>(1 - o.beta1)),
        beta2(static_cast<T>(o.beta2)),
        rate2(static_cast<T>(1 - o.beta2)),
        eps(static_cast<T>(o.eps)),
        l2(static_cast<T>(decoupled ? 0 : o.weight_decay)),
        shrink(static_cast<T>(decoupled ? 1 - now.lr * o.weight_decay : 1)) {}
  EBB_HD T update(T p, T g, T& m, T& v) const {
    const T d = g + l2 * p;
    m += rate1 * (d - m);
    v = beta2 * v + rate2 * (d * d);
    return d;
  }
};

template <class T> struct AdamUpdate : Moments<T> {
  T step_size, root_correction;
  template <class O>
  EBB_HD AdamUpdate(const O& o, bool decoupled, StepNumbers now)
      : Moments<T>(o, decoupled, now),
        step_size(static_cast<T>(now.lr / correction(o.beta1, now.step))),
        root_correction(static_cast<T>(std::sqrt(correction(o.beta2, now.step)))) {}
  EBB_HD void move(T& p, T m, T v) const {
    p = p * this->shrink - step_size * m / (ebb::sqrt(v) / root_correction + this->eps);
  }
};

}  // namespace detail

/// Adam and AdamW.
struct Adam : AdamOptions {
  static constexpr std::string_view name = "Adam";
  static constexpr std::string_view buffers[] = {"exp_avg", "exp_avg_sq"};
  template <class T> struct Update : detail::AdamUpdate<T> {
    EBB_HD Update(const Adam& o, StepNumbers now)
        : detail::AdamUpdate<T>(o, o.decoupled_weight_decay, now) {}
    EBB_HD void operator()(T& p, T g, T& m, T& v) const {
      this->update(p, g, m, v);
      this->move(p, m, v);
    }
  };
};

/// Adam and AdamW with amsgrad.
struct AmsGrad : AdamOptions {
  static constexpr std::string_view name = "Adam";
  static constexpr std::string_view buffers[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  template <class T> struct Update : detail::AdamUpdate<T> {
    EBB_HD Update(const AmsGrad& o, StepNumbers now)
        : detail::AdamUpdate<T>(o, o.decoupled_weight_decay, now) {}
    EBB_HD void operator()(T& p, T g, T& m, T& v, T& largest) const {
      this->update(p, g, m, v);
      largest = maximum(largest, v);
      this->move(p, m, largest);
    }
  };
};

struct Adamax : AdamaxOptions {
  static constexpr std::string_view name = "Adamax";
  static constexpr std::string_view buffers[] = {"exp_avg", "exp_inf"};
  template <class T> struct Update {
    T step_size, rate1, beta2, eps, weight_decay;
    EBB_HD Update(const Adamax& o, StepNumbers now)
        : step_size(static_cast<T>(now.lr / detail::correction(o.beta1, now.step))),
          rate1(static_cast<T>(1 - o.beta1)),
          beta2(static_cast<T>(o.beta2)),
          eps(static_cast<T>(o.eps)),
          weight_decay(static_cast<T>(o.weight_decay)) {}
    EBB_HD void operator()(T& p, T g, T& m, T& largest) const {
      const T d = g + weight_decay * p;
      m += rate1 * (d - m);
      largest = maximum(beta2 * largest, ebb::abs(d) + eps);
      p -= step_size * m / largest;
    }
  };
};

namespace detail {

/// Returns the product of 1 - r^i / 2 for i = 1 ... t, where log_r <= 0 is the logarithm of r.
///
/// The product is a function of the step alone, so NAdam needs no state for it. Its logarithm is
/// computed by expanding log(1 - a) in powers of a and summing each power over i, which gives
/// -sum over n of 2^-n / n r^n (1 - r^(n t)) / (1 - r^n).
EBB_HD double half_product(double log_r, int64_t t) {
  const double steps = static_cast<double>(t);
  if (log_r == 0) return std::pow(0.5, steps);
  const double r = std::exp(log_r), low = -std::expm1(log_r);
  const double r_t = std::exp(log_r * steps), low_t = -std::expm1(log_r * steps);
  // 1 - r^n, r^n and (r/2)^n by recurrences whose terms are all positive.
  double below = low, below_t = low_t, power = r, power_t = r_t, half = 0.5 * r, sum = 0;
  for (int n = 1; n < 64; ++n) {
    sum += half / n * (below_t / below);
    below += power * low;
    below_t += power_t * low_t;
    power *= r;
    power_t *= r_t;
    half *= 0.5 * r;
  }
  return std::exp(-sum);
}

}  // namespace detail

struct NAdam : NAdamOptions {
  static constexpr std::string_view name = "NAdam";
  static constexpr std::string_view buffers[] = {"exp_avg", "exp_avg_sq"};
  template <class T> struct Update : detail::Moments<T> {
    T by_gradient, by_moment, root_correction;
    EBB_HD Update(const NAdam& o, StepNumbers now)
        : detail::Moments<T>(o, o.decoupled_weight_decay, now),
          root_correction(static_cast<T>(std::sqrt(detail::correction(o.beta2, now.step)))) {
      const double t = static_cast<double>(now.step);
      const double log_r = o.momentum_decay * -0.040821994520255166;  // log 0.96
      const double mu = o.beta1 * (1 - 0.5 * std::exp(log_r * t));
      const double next = o.beta1 * (1 - 0.5 * std::exp(log_r * (t + 1)));
      const double product = std::pow(o.beta1, t) * detail::half_product(log_r, now.step);
      by_gradient = static_cast<T>(now.lr * (1 - mu) / (1 - product));
      by_moment = static_cast<T>(now.lr * next / (1 - product * next));
    }
    EBB_HD void operator()(T& p, T g, T& m, T& v) const {
      const T d = this->update(p, g, m, v);
      p = p * this->shrink -
          (by_gradient * d + by_moment * m) / (ebb::sqrt(v) / root_correction + this->eps);
    }
  };
};

struct RAdam : RAdamOptions {
  static constexpr std::string_view name = "RAdam";
  static constexpr std::string_view buffers[] = {"exp_avg", "exp_avg_sq"};
  template <class T> struct Update : detail::Moments<T> {
    T step_size, rectified;  // 0 or 1
    EBB_HD Update(const RAdam& o, StepNumbers now)
        : detail::Moments<T>(o, o.decoupled_weight_decay, now) {
      const double t = static_cast<double>(now.step),
                   correction2 = detail::correction(o.beta2, now.step);
      const double limit = 2 / (1 - o.beta2) - 1;
      const double rho = limit - 2 * t * std::pow(o.beta2, t) / correction2;
      double size = now.lr / detail::correction(o.beta1, now.step);
      const bool adapts = rho > 5;
      if (adapts) {
        size *= std::sqrt(correction2) *
                std::sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho));
      }
      rectified = static_cast<T>(adapts ? 1 : 0);
      step_size = static_cast<T>(size);
    }
    EBB_HD void operator()(T& p, T g, T& m, T& v) const {
      this->update(p, g, m, v);
      // The divisor is sqrt(v) + eps, or 1. It is computed without a condition, which GCC would
      // compile to a branch.
      const T root = clamp_max(ebb::sqrt(v), std::numeric_limits<T>::max());
      const T divisor = rectified * (root + this->eps) + (1 - rectified);
      p = p * this->shrink - step_size * m / divisor;
    }
  };
};

namespace detail {
template <class T> struct RmsUpdate {
  T lr, alpha, rate, eps, weight_decay, momentum;
  template <class O>
  EBB_HD RmsUpdate(const O& o, StepNumbers now)
      : lr(static_cast<T>(now.lr)),
        alpha(static_cast<T>(o.alpha)),
        rate(static_cast<T>(1 - o.alpha)),
        eps(static_cast<T>(o.eps)),
        weight_decay(static_cast<T>(o.weight_decay)),
        momentum(static_cast<T>(o.momentum)) {}
  EBB_HD T direction(T p, T g, T& v) const {
    const T d = g + weight_decay * p;
    v = alpha * v + rate * (d * d);
    return d / (ebb::sqrt(v) + eps);
  }
  EBB_HD T direction(T p, T g, T& v, T& mean) const {
    const T d = g + weight_decay * p;
    v = alpha * v + rate * (d * d);
    mean += rate * (d - mean);
    return d / (ebb::sqrt(v - mean * mean) + eps);
  }
  EBB_HD void move(T& p, T u) const { p -= lr * u; }
  EBB_HD void move(T& p, T u, T& b) const {
    b = momentum * b + u;
    p -= lr * b;
  }
};
}  // namespace detail

struct RmsProp : RMSpropOptions {
  static constexpr std::string_view name = "RMSprop";
  static constexpr std::string_view buffers[] = {"square_avg"};
  template <class T> struct Update : detail::RmsUpdate<T> {
    using detail::RmsUpdate<T>::RmsUpdate;
    EBB_HD void operator()(T& p, T g, T& v) const { this->move(p, this->direction(p, g, v)); }
  };
};
struct RmsPropMomentum : RMSpropOptions {
  static constexpr std::string_view name = "RMSprop";
  static constexpr std::string_view buffers[] = {"square_avg", "momentum_buffer"};
  template <class T> struct Update : detail::RmsUpdate<T> {
    using detail::RmsUpdate<T>::RmsUpdate;
    EBB_HD void operator()(T& p, T g, T& v, T& b) const {
      this->move(p, this->direction(p, g, v), b);
    }
  };
};
struct RmsPropCentered : RMSpropOptions {
  static constexpr std::string_view name = "RMSprop";
  static constexpr std::string_view buffers[] = {"square_avg", "grad_avg"};
  template <class T> struct Update : detail::RmsUpdate<T> {
    using detail::RmsUpdate<T>::RmsUpdate;
    EBB_HD void operator()(T& p, T g, T& v, T& mean) const {
      this->move(p, this->direction(p, g, v, mean));
    }
  };
};
struct RmsPropCenteredMomentum : RMSpropOptions {
  static constexpr std::string_view name = "RMSprop";
  static constexpr std::string_view buffers[] = {"square_avg", "grad_avg", "momentum_buffer"};
  template <class T> struct Update : detail::RmsUpdate<T> {
    using detail::RmsUpdate<T>::RmsUpdate;
    EBB_HD void operator()(T& p, T g, T& v, T& mean, T& b) const {
      this->move(p, this->direction(p, g, v, mean), b);
    }
  };
};

struct Adagrad : AdagradOptions {
  static constexpr std::string_view name = "Adagrad";
  static constexpr std::string_view buffers[] = {"sum"};
  template <class T> struct Update {
    T lr, eps, weight_decay, start;
    EBB_HD Update(const Adagrad& o, StepNumbers now)
        : lr(static_cast<T>(now.lr / (1 + static_cast<double>(now.step - 1) * o.lr_decay))),
          eps(static_cast<T>(o.eps)),
          weight_decay(static_cast<T>(o.weight_decay)),
          start(static_cast<T>(now.step == 1 ? o.initial_accumulator_value : 0)) {}
    EBB_HD void operator()(T& p, T g, T& sum) const {
      const T d = g + weight_decay * p;
      sum = sum + start + d * d;
      p -= lr * d / (ebb::sqrt(sum) + eps);
    }
  };
};

struct Adadelta : AdadeltaOptions {
  static constexpr std::string_view name = "Adadelta";
  static constexpr std::string_view buffers[] = {"square_avg", "acc_delta"};
  template <class T> struct Update {
    T lr, rho, rate, eps, weight_decay;
    EBB_HD Update(const Adadelta& o, StepNumbers now)
        : lr(static_cast<T>(now.lr)),
          rho(static_cast<T>(o.rho)),
          rate(static_cast<T>(1 - o.rho)),
          eps(static_cast<T>(o.eps)),
          weight_decay(static_cast<T>(o.weight_decay)) {}
    EBB_HD void operator()(T& p, T g, T& v, T& deltas) const {
      const T d = g + weight_decay * p;
      v = rho * v + rate * (d * d);
      const T u = ebb::sqrt(deltas + eps) / ebb::sqrt(v + eps) * d;
      deltas = rho * deltas + rate * (u * u);
      p -= lr * u;
    }
  };
};

struct Rprop : RpropOptions {
  static constexpr std::string_view name = "Rprop";
  static constexpr std::string_view buffers[] = {"prev", "step_size"};
  template <class T> struct Update {
    T start, minus, plus, least, most;
    EBB_HD Update(const Rprop& o, StepNumbers now)
        : start(static_cast<T>(now.step == 1 ? now.lr : 0)),
          minus(static_cast<T>(o.eta_minus)),
          plus(static_cast<T>(o.eta_plus)),
          least(static_cast<T>(o.step_size_min)),
          most(static_cast<T>(o.step_size_max)) {}
    EBB_HD void operator()(T& p, T g, T& previous, T& size) const {
      const T both = g * previous;
      const T factor = where(both > 0, plus, where(both < 0, minus, T(1)));
      size = clamp_max(clamp_min((size + start) * factor, least), most);
      const T counted = where(both < 0, T(0), g);
      p -= sign(counted) * size;
      previous = counted;
    }
  };
};

struct Asgd : ASGDOptions {
  static constexpr std::string_view name = "ASGD";
  static constexpr std::string_view buffers[] = {"ax"};
  template <class T> struct Update {
    T eta, shrink, mu, weight_decay;
    EBB_HD Update(const Asgd& o, StepNumbers now) : weight_decay(static_cast<T>(o.weight_decay)) {
      const double before = static_cast<double>(now.step - 1), late = before - o.t0;
      const double rate = now.lr / std::pow(1 + o.lambd * now.lr * before, o.alpha);
      eta = static_cast<T>(rate);
      shrink = static_cast<T>(1 - o.lambd * rate);
      mu = static_cast<T>(late > 1 ? 1 / late : 1);
    }
    EBB_HD void operator()(T& p, T g, T& average) const {
      p = p * shrink - eta * (g + weight_decay * p);
      average = where(mu == 1, p, average + mu * (p - average));
    }
  };
};

struct Lion : LionOptions {
  static constexpr std::string_view name = "Lion";
  static constexpr std::string_view buffers[] = {"exp_avg"};
  template <class T> struct Update {
    T lr, rate1, rate2, shrink;
    EBB_HD Update(const Lion& o, StepNumbers now)
        : lr(static_cast<T>(now.lr)),
          rate1(static_cast<T>(1 - o.beta1)),
          rate2(static_cast<T>(1 - o.beta2)),
          shrink(static_cast<T>(1 - now.lr * o.weight_decay)) {}
    EBB_HD void operator()(T& p, T g, T& m) const {
      p = p * shrink - lr * sign(m + rate1 * (g - m));
      m += rate2 * (g - m);
    }
  };
};

}  // namespace ebb::nn::rules
