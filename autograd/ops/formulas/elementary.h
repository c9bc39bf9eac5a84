// Formulas of trigonometry, rounding and tests for special values. autograd/ops/elementary.h
// documents the ops.
#pragma once

#include <string_view>

#include "ebb/autograd/ops/formulas/arithmetic.h"

namespace ebb::formulas {

/// sin, cos, tan, atan2 and fmod where math_trig.h has the cheaper functions (HasNear in
/// backends/cpu/pointwise_kernels.h).
struct SinNear {
  EBB_HD float operator()(float x) const { return math::sin_near(x); }
};
struct CosNear {
  EBB_HD float operator()(float x) const { return math::cos_near(x); }
};
struct TanNear {
  EBB_HD float operator()(float x) const { return math::tan_near(x); }
};
struct Atan2Near {
  EBB_HD float operator()(float y, float x) const { return math::atan2_near(y, x); }
};
struct FmodNear {
  EBB_HD float operator()(float x, float y) const { return math::fmod_near(x, y); }
};
struct FmodScalarNear {
  double y;
  EBB_HD float operator()(float x) const { return math::fmod_near(x, static_cast<float>(y)); }
};

struct Sin {
  static constexpr std::string_view name = "sin";
  template <class T> EBB_HD T operator()(T x) const { return sin(x); }
  EBB_HD static bool is_near(float x) { return std::fabs(x) < math::kNear; }
  static SinNear near() { return {}; }
};

struct Cos {
  static constexpr std::string_view name = "cos";
  template <class T> EBB_HD T operator()(T x) const { return cos(x); }
  EBB_HD static bool is_near(float x) { return std::fabs(x) < math::kNear; }
  static CosNear near() { return {}; }
};

struct Tan {
  static constexpr std::string_view name = "tan";
  template <class T> EBB_HD T operator()(T x) const { return tan(x); }
  EBB_HD static bool is_near(float x) { return std::fabs(x) < math::kNear; }
  static TanNear near() { return {}; }
};

struct Atan2 {
  static constexpr std::string_view name = "atan2";
  template <class T> EBB_HD T operator()(T y, T x) const { return atan2(y, x); }
  EBB_HD static bool is_near(float y, float x) { return math::is_near_point(y, x); }
  static Atan2Near near() { return {}; }
};

struct Fmod {
  static constexpr std::string_view name = "fmod";
  template <class T> EBB_HD T operator()(T x, T y) const { return fmod(x, y); }
  EBB_HD static bool is_near(float x, float y) { return math::is_near_quotient(x, y); }
  static FmodNear near() { return {}; }
};

struct FmodScalar {
  static constexpr std::string_view name = "fmod";
  double y;
  template <class T> EBB_HD T operator()(T x) const { return fmod(x, T(y)); }
  EBB_HD bool is_near(float x) const { return math::is_near_quotient(x, static_cast<float>(y)); }
  FmodScalarNear near() const { return {y}; }
};

struct Erfinv {
  static constexpr std::string_view name = "erfinv";
  template <class T> EBB_HD T operator()(T x) const { return erfinv(x); }
};

struct Rsqrt {
  static constexpr std::string_view name = "rsqrt";
  template <class T> EBB_HD T operator()(T x) const { return 1 / sqrt(x); }
  template <class T> EBB_HD auto gradient(T x) const {
    const T y = 1 / sqrt(x);
    return Partials<T, 1>{{T(-0.5) * (y * y * y)}};
  }
};

struct Reciprocal {
  static constexpr std::string_view name = "reciprocal";
  template <class T> EBB_HD T operator()(T x) const { return 1 / x; }
  template <class T> EBB_HD auto gradient(T x) const {
    const T y = 1 / x;
    return Partials<T, 1>{{-(y * y)}};
  }
};

struct Floor {
  static constexpr std::string_view name = "floor";
  static constexpr bool has_integers = true;
  template <class T> EBB_HD T operator()(T x) const { return floor(x); }
};

struct Ceil {
  static constexpr std::string_view name = "ceil";
  static constexpr bool has_integers = true;
  template <class T> EBB_HD T operator()(T x) const { return ceil(x); }
};

struct Round {
  static constexpr std::string_view name = "round";
  static constexpr bool has_integers = true;
  template <class T> EBB_HD T operator()(T x) const { return round(x); }
};

struct Trunc {
  static constexpr std::string_view name = "trunc";
  static constexpr bool has_integers = true;
  template <class T> EBB_HD T operator()(T x) const { return trunc(x); }
};

/// The largest integer <= x / c. It is exact, because x - fmod(x, c) is a multiple of c.
struct FloorDivide {
  static constexpr std::string_view name = "floor_divide";
  static constexpr bool no_gradient = true, has_integers = true;
  double c;
  template <class T> EBB_HD T operator()(T x) const {
    if constexpr (std::is_same_v<T, int64_t>) {
      const int64_t d = static_cast<int64_t>(c), quotient = x / d;
      return quotient - ((x % d != 0) & ((x < 0) != (d < 0)));
    } else {
      const T d = T(c), rest = fmod(x, d), quotient = (x - rest) / d;
      return round(rest != 0 && (rest < 0) != (d < 0) ? quotient - 1 : quotient);
    }
  }
};

// x - x is 0 for a finite number, else NaN.
struct IsNan : Condition {
  static constexpr std::string_view name = "isnan";
  template <class T> EBB_HD T operator()(T x) const { return where(x == x, T(0), T(1)); }
};
struct IsInf : Condition {
  static constexpr std::string_view name = "isinf";
  template <class T> EBB_HD T operator()(T x) const {
    return where(x == x, where(x - x == 0, T(0), T(1)), T(0));
  }
};
struct IsFinite : Condition {
  static constexpr std::string_view name = "isfinite";
  template <class T> EBB_HD T operator()(T x) const { return where(x - x == 0, T(1), T(0)); }
};

}  // namespace ebb::formulas
