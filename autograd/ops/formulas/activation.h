// Formulas of activations. Documented with the ops in autograd/ops/activation.h.
#pragma once

#include <string_view>

#include "ebb/core/formula.h"

namespace ebb::formulas {

/// From the output y and the upstream g.
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

/// From the output y and the upstream g.
struct SigmoidBackward {
  static constexpr std::string_view name = "sigmoid_backward";
  template <class T> EBB_HD T operator()(T y, T g) const { return g * (y * (1 - y)); }
};

struct Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  template <class T> EBB_HD T operator()(T x) const { return sigmoid(x); }
  using OutputGradient = SigmoidBackward;
};

/// From the output y and the upstream g.
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

/// log(1 + e^(beta x)) / beta, and x where beta x > threshold: torch's switch, which an infinite threshold removes.
struct Softplus {
  static constexpr std::string_view name = "softplus";
  double beta, threshold;
  template <class T> EBB_HD T operator()(T x) const {
    const T z = T(beta) * x;
    return where(z > T(threshold), x, softplus(z) / T(beta));
  }
  template <class T> EBB_HD auto gradient(T x) const {
    const T z =
        T(beta) * x;  // at the threshold torch's first order is the smooth one's, its second is 0
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
    return x * sigmoid(2 * u);  // (1 + tanh u) / 2, which would cancel for x < 0
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
    // alpha at 0, with second order 0 there, as in torch.
    return Partials<T, 1>{
        {where(x > 0, T(1), where(x == 0, T(alpha), T(alpha) * exp(clamp_max(x, T(0)))))}};
  }
};

struct Hardtanh {
  static constexpr std::string_view name = "hardtanh";
  double low, high;
  template <class T> EBB_HD T operator()(T x) const { return hardtanh(x, T(low), T(high)); }
};

}  // namespace ebb::formulas
