// Formulas of activations. autograd/ops/activation.h documents the ops.
#pragma once

#include <string_view>

#include "ebb/core/formula.h"

namespace ebb::formulas {

/// Computes the gradient from the output y and the upstream gradient g.
struct ReluBackward {
  static constexpr std::string_view name = "relu_backward";
  template <class T> EBB_HD T operator()(T y, T g) const { return where(y <= 0, T(0), g); }
};

struct Relu {
  static constexpr std::string_view name = "relu";
  template <class T> EBB_HD T operator()(T x) const { return relu(x); }
  using OutputGradient = ReluBackward;
};

struct LeakyRelu {
  static constexpr std::string_view name = "leaky_relu";
  double slope;
  template <class T> EBB_HD T operator()(T x) const { return where(x > 0, x, T(slope) * x); }
};

/// Computes the gradient from the output y and the upstream gradient g.
struct SigmoidBackward {
  static constexpr std::string_view name = "sigmoid_backward";
  template <class T> EBB_HD T operator()(T y, T g) const { return g * (y * (1 - y)); }
};

struct Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  template <class T> EBB_HD T operator()(T x) const { return sigmoid(x); }
  using OutputGradient = SigmoidBackward;
};

/// Computes the gradient from the output y and the upstream gradient g.
struct TanhBackward {
  static constexpr std::string_view name = "tanh_backward";
  template <class T> EBB_HD T operator()(T y, T g) const { return g * (1 - y * y); }
};

struct Tanh {
  static constexpr std::string_view name = "tanh";
  template <class T> EBB_HD T operator()(T x) const { return tanh(x); }
  using OutputGradient = TanhBackward;
};

struct LogSigmoid {
  static constexpr std::string_view name = "logsigmoid";
  template <class T> EBB_HD T operator()(T x) const { return -softplus(-x); }
};

/// log(1 + e^(beta x)) / beta, or x where beta x > threshold, as in torch.
struct Softplus {
  static constexpr std::string_view name = "softplus";
  double beta, threshold;
  template <class T> EBB_HD T operator()(T x) const {
    const T z = T(beta) * x;
    return where(z > T(threshold), x, softplus(z) / T(beta));
  }
  template <class T> EBB_HD auto gradient(T x) const {
    // At the threshold, torch has the gradient of the smooth form, and second order 0.
    const T z = T(beta) * x;
    return Partials<T, 1>{
        {where(z > T(threshold), T(1), sigmoid(where(z == T(threshold), T(threshold), z)))}};
  }
};

struct Gelu {
  static constexpr std::string_view name = "gelu";
  template <class T> EBB_HD T operator()(T x) const {
    return x * (T(0.5) * (1 + erf(x * T(0.70710678118654752))));
  }
};

struct GeluTanh {
  static constexpr std::string_view name = "gelu_tanh";
  template <class T> EBB_HD T operator()(T x) const {
    const T u = T(0.79788456080286536) * (x + T(0.044715) * (x * x * x));  // sqrt(2 / pi)
    return x * sigmoid(2 * u);  // x (1 + tanh u) / 2 would cancel for x < 0
  }
};

struct Silu {
  static constexpr std::string_view name = "silu";
  template <class T> EBB_HD T operator()(T x) const { return x * sigmoid(x); }
};

struct Elu {
  static constexpr std::string_view name = "elu";
  double alpha;
  template <class T> EBB_HD T operator()(T x) const {
    return where(x > 0, x, T(alpha) * expm1(clamp_max(x, T(0))));
  }
  template <class T> EBB_HD auto gradient(T x) const {
    // At 0 the gradient is alpha and the second order 0, as in torch.
    return Partials<T, 1>{
        {where(x > 0, T(1), where(x == 0, T(alpha), T(alpha) * exp(clamp_max(x, T(0)))))}};
  }
};

struct Hardtanh {
  static constexpr std::string_view name = "hardtanh";
  double low, high;
  template <class T> EBB_HD T operator()(T x) const { return hardtanh(x, T(low), T(high)); }
};

/// scale max(x, 0) + scale alpha expm1(min(x, 0)), with the constants that preserve mean 0 and
/// variance 1.
struct Selu {
  static constexpr std::string_view name = "selu";
  static constexpr double alpha = 1.6732632423543772, scale = 1.0507009873554805;
  template <class T> EBB_HD T operator()(T x) const {
    return where(x > 0, T(scale) * x, T(alpha * scale) * expm1(clamp_max(x, T(0))));
  }
  template <class T> EBB_HD auto gradient(T x) const {
    // At 0 the gradient is alpha scale and the second order 0, as in elu.
    return Partials<T, 1>{
        {where(x > 0, T(scale),
               where(x == 0, T(alpha * scale), T(alpha * scale) * exp(clamp_max(x, T(0)))))}};
  }
};

struct Celu {
  static constexpr std::string_view name = "celu";
  double alpha;
  template <class T> EBB_HD T operator()(T x) const {
    return where(x > 0, x, T(alpha) * expm1(z(x)));
  }
  template <class T> EBB_HD auto gradient(T x) const {
    return Partials<T, 1>{{where(x > 0, T(1), where(x == 0, T(1), exp(z(x))))}};
  }
  template <class T> EBB_HD T z(T x) const { return clamp_max(x, T(0)) / T(alpha); }
};

struct Relu6 {
  static constexpr std::string_view name = "relu6";
  template <class T> EBB_HD T operator()(T x) const { return hardtanh(x, T(0), T(6)); }
};

struct Prelu {
  static constexpr std::string_view name = "prelu";
  template <class T> EBB_HD T operator()(T x, T weight) const {
    return where(x > 0, x, weight * x);
  }
};

struct Mish {
  static constexpr std::string_view name = "mish";
  template <class T> EBB_HD T operator()(T x) const { return x * tanh(softplus(x)); }
};

struct Hardswish {
  static constexpr std::string_view name = "hardswish";
  template <class T> EBB_HD T operator()(T x) const {
    return x * hardtanh(x + 3, T(0), T(6)) / T(6);
  }
  template <class T> EBB_HD auto gradient(T x) const {
    return Partials<T, 1>{{where(x <= -3, T(0), where(x >= 3, T(1), x / T(3) + T(0.5)))}};
  }
};

struct Hardsigmoid {
  static constexpr std::string_view name = "hardsigmoid";
  template <class T> EBB_HD T operator()(T x) const { return hardtanh(x + 3, T(0), T(6)) / T(6); }
};

/// 0 in [-bound, bound], else x.
struct Hardshrink {
  static constexpr std::string_view name = "hardshrink";
  double bound;
  template <class T> EBB_HD T operator()(T x) const {
    return where(x >= T(-bound), where(x <= T(bound), T(0), x), x);
  }
  template <class T> EBB_HD auto gradient(T x) const {
    return Partials<T, 1>{{where(abs(x) > T(bound), T(1), T(0))}};
  }
};

/// 0 in [-bound, bound], else x moved towards 0 by bound.
struct Softshrink {
  static constexpr std::string_view name = "softshrink";
  double bound;
  template <class T> EBB_HD T operator()(T x) const {
    return where(x > T(bound), x - T(bound),
                 where(x < T(-bound), x + T(bound), where(x == x, T(0), x)));
  }
  template <class T> EBB_HD auto gradient(T x) const {
    return Partials<T, 1>{{where(abs(x) > T(bound), T(1), T(0))}};
  }
};

struct Tanhshrink {
  static constexpr std::string_view name = "tanhshrink";
  static constexpr bool compute_in_f64 = true;
  template <class T> EBB_HD T operator()(T x) const { return x - tanh(x); }
  template <class T> EBB_HD auto gradient(T x) const {
    const T t = tanh(x);
    return Partials<T, 1>{{t * t}};
  }
};

struct Softsign {
  static constexpr std::string_view name = "softsign";
  template <class T> EBB_HD T operator()(T x) const { return x / (1 + abs(x)); }
};

/// x where it is above the bound, else the value.
struct Threshold {
  static constexpr std::string_view name = "threshold";
  double bound, value;
  template <class T> EBB_HD T operator()(T x) const { return where(x <= T(bound), T(value), x); }
};

}  // namespace ebb::formulas
