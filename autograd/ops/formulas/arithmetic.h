// Formulas of arithmetic, elementary functions and comparisons, for the kernels of the CPU and of
// the GPU. autograd/ops/arithmetic.h documents the ops.
#pragma once

#include <string_view>

#include "ebb/core/formula.h"
#include "ebb/core/wrapping.h"

namespace ebb::formulas {

struct Add {
  static constexpr std::string_view name = "add";
  static constexpr bool linear = true, has_integers = true, has_bool = true;
  template <class T> EBB_HD T operator()(T a, T b) const {
    return static_cast<T>(wrapping(a) + wrapping(b));
  }
};

struct Sub {
  static constexpr std::string_view name = "sub";
  static constexpr bool linear = true, has_integers = true;
  template <class T> EBB_HD T operator()(T a, T b) const {
    return static_cast<T>(wrapping(a) - wrapping(b));
  }
};

struct Mul {
  static constexpr std::string_view name = "mul";
  static constexpr bool has_integers = true, has_bool = true;
  template <class T> EBB_HD T operator()(T a, T b) const {
    return static_cast<T>(wrapping(a) * wrapping(b));
  }
};

struct Div {
  static constexpr std::string_view name = "div";
  static constexpr bool promotes_integers = true;
  template <class T> EBB_HD T operator()(T a, T b) const { return a / b; }
};

struct Neg {
  static constexpr std::string_view name = "neg";
  static constexpr bool linear = true, has_integers = true;
  template <class T> EBB_HD T operator()(T x) const { return static_cast<T>(-wrapping(x)); }
};

/// x + c
struct AddScalar {
  static constexpr std::string_view name = "add_scalar";
  static constexpr bool linear = true, has_integers = true, has_bool = true;
  double c;
  template <class T> EBB_HD T operator()(T x) const {
    return static_cast<T>(wrapping(x) + wrapping(T(c)));
  }
};

/// c x
struct MulScalar {
  static constexpr std::string_view name = "mul_scalar";
  static constexpr bool linear = true, has_integers = true, has_bool = true;
  double c;
  template <class T> EBB_HD T operator()(T x) const {
    return static_cast<T>(wrapping(x) * wrapping(T(c)));
  }
};

/// x / c
struct DivScalar {
  static constexpr std::string_view name = "div_scalar";
  static constexpr bool linear = true;
  double c;
  template <class T> EBB_HD T operator()(T x) const { return x / T(c); }
};

/// c - x
struct ScalarSub {
  static constexpr std::string_view name = "scalar_sub";
  static constexpr bool linear = true, has_integers = true;
  double c;
  template <class T> EBB_HD T operator()(T x) const {
    return static_cast<T>(wrapping(T(c)) - wrapping(x));
  }
};

/// c / x
struct ScalarDiv {
  static constexpr std::string_view name = "scalar_div";
  double c;
  template <class T> EBB_HD T operator()(T x) const { return T(c) / x; }
};

/// a + alpha b, for add_() in place.
struct AddScaled {
  static constexpr std::string_view name = "add_scaled";
  static constexpr bool linear = true;
  double alpha;
  template <class T> EBB_HD T operator()(T a, T b) const { return a + T(alpha) * b; }
};

struct Pow {
  static constexpr std::string_view name = "pow";
  static constexpr bool promotes_integers = true;
  template <class T> EBB_HD T operator()(T x, T y) const { return pow(x, y); }
};

struct PowScalar {
  static constexpr std::string_view name = "pow_scalar";
  double exponent;
  template <class T> EBB_HD T operator()(T x) const { return pow(x, T(exponent)); }
};

struct Square {
  static constexpr std::string_view name = "square";
  template <class T> EBB_HD T operator()(T x) const { return x * x; }
};

/// Computes the gradient from the output y and the upstream gradient g.
struct ExpBackward {
  static constexpr std::string_view name = "exp_backward";
  template <class T> EBB_HD T operator()(T y, T g) const { return g * y; }
};

struct Exp {
  static constexpr std::string_view name = "exp";
  template <class T> EBB_HD T operator()(T x) const { return exp(x); }
  using OutputGradient = ExpBackward;
};

struct Log {
  static constexpr std::string_view name = "log";
  template <class T> EBB_HD T operator()(T x) const { return log(x); }
};

struct Log1p {
  static constexpr std::string_view name = "log1p";
  template <class T> EBB_HD T operator()(T x) const { return log1p(x); }
};

struct Expm1 {
  static constexpr std::string_view name = "expm1";
  template <class T> EBB_HD T operator()(T x) const { return expm1(x); }
};

struct Sqrt {
  static constexpr std::string_view name = "sqrt";
  template <class T> EBB_HD T operator()(T x) const { return sqrt(x); }
};

struct Erf {
  static constexpr std::string_view name = "erf";
  template <class T> EBB_HD T operator()(T x) const { return erf(x); }
};

struct Abs {
  static constexpr std::string_view name = "abs";
  static constexpr bool has_integers = true;
  template <class T> EBB_HD T operator()(T x) const {
    if constexpr (std::is_same_v<T, int64_t>) return x < 0 ? static_cast<T>(-wrapping(x)) : x;
    else return abs(x);
  }
};

struct Sign {
  static constexpr std::string_view name = "sign";
  static constexpr bool has_integers = true, has_bool = true;
  template <class T> EBB_HD T operator()(T x) const { return sign(x); }
};

struct Maximum {
  static constexpr std::string_view name = "maximum";
  static constexpr bool has_integers = true, has_bool = true;
  template <class T> EBB_HD T operator()(T a, T b) const { return maximum(a, b); }
};

struct Minimum {
  static constexpr std::string_view name = "minimum";
  static constexpr bool has_integers = true, has_bool = true;
  template <class T> EBB_HD T operator()(T a, T b) const { return minimum(a, b); }
};

struct ClampMin {
  static constexpr std::string_view name = "clamp_min";
  double bound;
  template <class T> EBB_HD T operator()(T x) const { return clamp_min(x, T(bound)); }
};

struct ClampMax {
  static constexpr std::string_view name = "clamp_max";
  double bound;
  template <class T> EBB_HD T operator()(T x) const { return clamp_max(x, T(bound)); }
};

/// Has derivative 1 at both bounds.
struct Clamp {
  static constexpr std::string_view name = "clamp";
  double low, high;
  template <class T> EBB_HD T operator()(T x) const {
    return clamp_max(clamp_min(x, T(low)), T(high));
  }
};

/// Returns a where the condition is not 0, else b.
struct Where {
  static constexpr std::string_view name = "where";
  static constexpr uint32_t masks = 1;
  static constexpr bool has_integers = true, has_bool = true;
  template <class T> EBB_HD T operator()(T condition, T a, T b) const {
    return where(condition != 0, a, b);
  }
};

// ---- comparisons and logic: 1 where true, stored as bool ----

struct Condition {
  static constexpr bool no_gradient = true, boolean = true, has_integers = true;
};
struct Less : Condition {
  static constexpr std::string_view name = "less";
  template <class T> EBB_HD T operator()(T a, T b) const { return where(a < b, T(1), T(0)); }
};
struct LessEqual : Condition {
  static constexpr std::string_view name = "less_equal";
  template <class T> EBB_HD T operator()(T a, T b) const { return where(a <= b, T(1), T(0)); }
};
struct Greater : Condition {
  static constexpr std::string_view name = "greater";
  template <class T> EBB_HD T operator()(T a, T b) const { return where(a > b, T(1), T(0)); }
};
struct GreaterEqual : Condition {
  static constexpr std::string_view name = "greater_equal";
  template <class T> EBB_HD T operator()(T a, T b) const { return where(a >= b, T(1), T(0)); }
};
struct Equal : Condition {
  static constexpr std::string_view name = "eq";
  template <class T> EBB_HD T operator()(T a, T b) const { return where(a == b, T(1), T(0)); }
};
struct NotEqual : Condition {
  static constexpr std::string_view name = "not_equal";
  template <class T> EBB_HD T operator()(T a, T b) const { return where(a != b, T(1), T(0)); }
};
struct LogicalAnd : Condition {
  static constexpr std::string_view name = "logical_and";
  template <class T> EBB_HD T operator()(T a, T b) const {
    return where(a != 0, where(b != 0, T(1), T(0)), T(0));
  }
};
struct LogicalOr : Condition {
  static constexpr std::string_view name = "logical_or";
  template <class T> EBB_HD T operator()(T a, T b) const {
    return where(a != 0, T(1), where(b != 0, T(1), T(0)));
  }
};
struct LogicalNot : Condition {
  static constexpr std::string_view name = "logical_not";
  template <class T> EBB_HD T operator()(T a) const { return where(a == 0, T(1), T(0)); }
};

}  // namespace ebb::formulas
