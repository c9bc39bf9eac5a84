// Formulas of the pointwise losses, for the kernels of both devices. nn/losses/*.h documents the
// losses.
#pragma once

#include <cmath>
#include <limits>
#include <string_view>

#include "ebb/core/formula.h"

namespace ebb::formulas {

struct L1Loss {
  static constexpr std::string_view name = "l1_loss";
  template <class T> EBB_HD T operator()(T x, T t) const { return abs(x - t); }
};

struct MseLoss {
  static constexpr std::string_view name = "mse_loss";
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = x - t;
    return d * d;
  }
};

/// Returns -1, 0 or 1, and NaN for NaN: the derivative of the linear parts of smooth_l1 and huber.
template <class T> EBB_HD T slope_of_abs(const T& d) {
  return where(d > 0, T(1), where(d < 0, T(-1), d * T(0)));
}

struct SmoothL1Loss {
  static constexpr std::string_view name = "smooth_l1_loss";
  double beta;
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = x - t, a = abs(d);
    return where(a < T(beta), T(0.5) * d * d / T(beta), a - T(0.5 * beta));
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    const T d = x - t;
    const T slope = where(abs(d) < T(beta), d / T(beta), slope_of_abs(d));
    return Partials<T, 2>{{slope, -slope}};
  }
};

struct HuberLoss {
  static constexpr std::string_view name = "huber_loss";
  double delta;
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = x - t, a = abs(d);
    return where(a < T(delta), T(0.5) * d * d, T(delta) * (a - T(0.5 * delta)));
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    const T d = x - t;
    const T slope = where(abs(d) < T(delta), d, T(delta) * slope_of_abs(d));
    return Partials<T, 2>{{slope, -slope}};
  }
};

/// Takes probabilities. torch clamps each log at -100, and defines its own gradients of orders 1
/// and 2.
struct BceLoss {
  static constexpr std::string_view name = "binary_cross_entropy";
  static constexpr bool compute_in_f64 = true;
  static constexpr double kEps = static_cast<double>(1e-12f);
  template <class T> EBB_HD T operator()(T x, T t) const {
    return -(t * clamp_min(log(x), T(-100)) + (1 - t) * clamp_min(log1p(-x), T(-100)));
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    return Partials<T, 2>{{(x - t) / clamp_min(x * (1 - x), T(kEps)), log1p(-x) - log(x)}};
  }
  template <class T> EBB_HD auto second(T x, T t, T cx, T ct) const {
    const T a = x + T(kEps), b = 1 - x + T(kEps), product = x * (1 - x);
    const T xx = (x * x - 2 * x * t + t) / (a * a * b * b);
    const T by_input = where(ct == 0, xx * cx, xx * cx - ct / product);
    const T by_upstream = where(ct == 0, T(0), ct * (log1p(-x) - log(x))) + cx * (x - t) / (a * b);
    return Partials<T, 3>{{by_input, -cx / clamp_min(product, T(kEps)), by_upstream}};
  }
};

/// -t log s(x) - (1 - t) log(1 - s(x)) for logits x, computed from the less likely side: with z =
/// |x|, softplus(-z) and s(-z) are accurate for every x.
struct MultiLabelSoftMargin {
  static constexpr std::string_view name = "multilabel_soft_margin_loss";
  static constexpr bool compute_in_f64 = true;
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T z = where(x < 0, -x, x);
    return where(x < 0, t, 1 - t) * z + softplus(-z);
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    const T z = where(x < 0, -x, x), miss = sigmoid(-z);
    return Partials<T, 2>{{where(x < 0, miss - t, (1 - t) - miss), -x}};
  }
};

/// Returns NaN where torch's sum (1 - t) x + softplus(-x) is NaN, although Ebb's form is not: at x
/// = -inf unless t > 1. With a weight p on the positive term: unless t > 1 and (p - 1) t > -1.
template <class T> EBB_HD T nan_at_minus_infinity(const T& x, const T& t) {
  return where(t > 1, T(0), clamp_max(x, T(0)) * T(0));
}
template <class T> EBB_HD T nan_at_minus_infinity(const T& x, const T& t, const T& p) {
  return where((p - 1) * t > -1, nan_at_minus_infinity(x, t), clamp_max(x, T(0)) * T(0));
}

struct BceWithLogits {
  static constexpr std::string_view name = "binary_cross_entropy_with_logits";
  template <class T> EBB_HD T operator()(T x, T t) const {
    return MultiLabelSoftMargin{}(x, t) + nan_at_minus_infinity(x, t);
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    return MultiLabelSoftMargin{}.gradient(x, t);
  }
};

/// Binary cross-entropy for logits with a weight p on the positive term.
struct BceWithLogitsPos {
  static constexpr std::string_view name = "binary_cross_entropy_with_logits_pos";
  template <class T> EBB_HD T operator()(T x, T t, T p) const {
    return (1 - t) * softplus(x) + p * t * softplus(-x) + nan_at_minus_infinity(x, t, p);
  }
  template <class T> EBB_HD auto gradient(T x, T t, T p) const {
    const T plus = softplus(x), minus = softplus(-x);
    // The form p * minus - plus would cancel.
    const T by_target = where(x < 0, (p - 1) * plus - p * x, (p - 1) * minus - x);
    return Partials<T, 3>{{(1 - t) * sigmoid(x) - p * t * sigmoid(-x), by_target, t * minus}};
  }
};

struct KlDiv {
  static constexpr std::string_view name = "kl_div";
  static constexpr bool partials_in_f64 = true;
  /// 0 log 0 = 0. The choice is a sum inside of the log: for a choice around it, g++ generates a
  /// branch and does not vectorize.
  template <class T> EBB_HD T operator()(T x, T t) const {
    return t * log_minus(t + where(t == 0, T(1), T(0)), where(t == 0, T(0), x));
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    return Partials<T, 2>{{-t, by_target(x, t)}};
  }
  template <class T> EBB_HD auto second(T x, T t, T cx, T ct) const {
    const T by_t = where(ct == 0, T(0), ct / t) - cx;
    return Partials<T, 3>{{-ct, by_t, where(ct == 0, T(0), ct * by_target(x, t)) - cx * t}};
  }
  /// log t + 1 - x: -infinity where t = 0, but 0 where x is -infinity too.
  template <class T> EBB_HD T by_target(T x, T t) const {
    const T slope = log_minus(t, where(t == 0, T(0), x)) + 1;
    return where(t == 0, where(x == T(-HUGE_VAL), T(0), slope), slope);
  }
};

struct KlDivLogTarget {
  static constexpr std::string_view name = "kl_div_log_target";
  static constexpr bool compute_in_f64 = true;
  template <class T> EBB_HD T operator()(T x, T t) const {
    return where(t == T(-HUGE_VAL), T(0), exp(t) * (t - x));
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    const T p = exp(t);
    return Partials<T, 2>{{-p, where(t == T(-HUGE_VAL), T(0), p * (t - x + 1))}};
  }
};

struct SoftMarginLoss {
  static constexpr std::string_view name = "soft_margin_loss";
  template <class T> EBB_HD T operator()(T x, T t) const { return softplus(-(t * x)); }
};

struct HingeEmbeddingLoss {
  static constexpr std::string_view name = "hinge_embedding_loss";
  static constexpr uint32_t masks = 2;
  double margin;
  template <class T> EBB_HD T operator()(T x, T t) const {
    return where(t > 0, x, clamp_min(T(margin) - x, T(0)));
  }
};

struct MarginRankingLoss {
  static constexpr std::string_view name = "margin_ranking_loss";
  double margin;
  template <class T> EBB_HD T operator()(T a, T b, T t) const {
    return clamp_min(T(margin) - t * (a - b), T(0));
  }
};

/// Returns Stirling's t log t - t + log(2 pi t) / 2 for t > 1, else 0.
template <class T> EBB_HD T stirling(const T& t) {
  return where(t > 1, t * log(t) - t + T(0.5) * log(T(6.283185307179586) * t), T(0));
}
/// Returns its derivative, which is NaN for t <= 0 as in torch.
template <class T> EBB_HD T stirling_slope(const T& t) {
  return where(t > 1, log(t) + T(0.5) / t,
               where(t > 0, T(0), T(std::numeric_limits<double>::quiet_NaN())));
}

/// kFull adds Stirling's term. A template parameter, because a test inside of the loop prevents
/// vectorization.
template <bool kFull> struct PoissonNll {
  static constexpr std::string_view name = "poisson_nll_loss";
  static constexpr bool compute_in_f64 = true;
  double eps;
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T loss = x - t * log(x + T(eps));
    if constexpr (kFull) return loss + stirling(t);
    else return loss;
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    const T by_input = 1 - t / (x + T(eps)), by_target = -log(x + T(eps));
    if constexpr (kFull) return Partials<T, 2>{{by_input, by_target + stirling_slope(t)}};
    else return Partials<T, 2>{{by_input, by_target}};
  }
};

template <bool kFull> struct PoissonNllLogInput {
  static constexpr std::string_view name = "poisson_nll_loss_log_input";
  static constexpr bool compute_in_f64 = true;
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T loss = exp(x) - t * x;
    if constexpr (kFull) return loss + stirling(t);
    else return loss;
  }
  template <class T> EBB_HD auto gradient(T x, T t) const {
    if constexpr (kFull) return Partials<T, 2>{{exp(x) - t, stirling_slope(t) - x}};
    else return Partials<T, 2>{{exp(x) - t, -x}};
  }
};

struct GaussianNll {
  static constexpr std::string_view name = "gaussian_nll_loss";
  static constexpr bool compute_in_f64 = true;
  double eps;
  bool full;
  template <class T> EBB_HD T operator()(T x, T t, T var) const {
    const T u = clamp_min_through(var, T(eps)), d = x - t;
    return T(0.5) * (log(u) + d * d / u) + T(full ? 0.9189385332046727 : 0.0);  // log(2 pi) / 2
  }
};

/// Returns q^gamma for q = 1 - p_t. Returns 0 where q underflows, because the
/// factor of the result underflows too, and pow's derivatives may be NaN there.
/// kSquare: gamma is 2, known at compile time.
template <bool kSquare, class T> EBB_HD T focus(const T& q, double gamma) {
  if (kSquare || gamma == 2) return q * q;
  if (gamma == 0) return T(1);
  return where(q == 0, T(0), pow(where(q == 0, T(1), q), T(gamma)));
}

/// alpha_t (1 - p_t)^gamma times binary cross-entropy, for logits.
template <bool kSquare> struct SigmoidFocalLoss {
  static constexpr std::string_view name = "sigmoid_focal_loss";
  double positive, negative, gamma;  // alpha, 1 - alpha and gamma; or 1, 1 and gamma
  template <class T> EBB_HD T operator()(T x, T t) const {
    // Computed from the less likely side, so that all terms of a sum have the same sign. The
    // derivatives by t, -x and -tanh(x / 2), are then exact.
    const T z = where(x < 0, -x, x), wrong = where(x < 0, t, 1 - t);
    const T ce = softplus(-z) + wrong * z;
    const T miss = sigmoid(-z) + wrong * tanh(T(0.5) * z);  // 1 - p_t
    return (T(positive) * t + T(negative) * (1 - t)) * (focus<kSquare>(miss, gamma) * ce);
  }
};

/// (1 - p_t)^gamma times a term, computed from the cross-entropy c = -log p_t, so that 1 - p_t
/// keeps its digits.
struct FocalLoss {
  static constexpr std::string_view name = "focal_loss";
  double gamma;
  template <class T> EBB_HD T operator()(T c, T term) const {
    return focus<false>(-expm1(-c), gamma) * term;
  }
};

}  // namespace ebb::formulas
