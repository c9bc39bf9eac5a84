// The scalar functions that pointwise formulas use.
//
// Each function is defined for plain numbers and for Dual, where it states its derivative. Value,
// gradient and second order therefore come from one formula. Several conventions are in use at
// kinks, and each has its own function: relu has gradient 0 at 0, clamp_min 1 at its bound,
// hardtanh 0 at both bounds, maximum 1/2 for each input at a tie, and abs 0 at 0. Formulas choose
// with where(condition, a, b) and never with if. where evaluates both sides, so loops are
// vectorized, and it also works for T = Expr (tensors, above the second order). Write constants of
// a formula as T(0.5), and integers as they are: 1 - t.
#pragma once

#include <cmath>

#include "ebb/core/dual.h"
#include "ebb/core/math.h"
#include "ebb/core/math_erfinv.h"
#include "ebb/core/math_trig.h"

namespace ebb {

template <class T>
concept Real = std::is_same_v<T, float> || std::is_same_v<T, double>;
/// The types that value kernels compute with: int64_t only for formulas with has_integers.
template <class T>
concept Number = Real<T> || std::is_same_v<T, int64_t>;

// ---- plain numbers ----

template <Number T> EBB_HD T where(bool condition, T a, T b) { return condition ? a : b; }

template <Real T> EBB_HD T exp(T x) { return math::exp(x); }
template <Real T> EBB_HD T log(T x) { return math::log(x); }
/// Returns log(x) - y. If they are nearly equal, it has digits that rounding the logarithm would
/// have lost.
template <Real T> EBB_HD T log_minus(T x, T y) { return math::log_minus(x, y); }
template <Real T> EBB_HD T log1p(T x) { return math::log1p(x); }
template <Real T> EBB_HD T expm1(T x) { return math::expm1(x); }
template <Real T> EBB_HD T tanh(T x) { return math::tanh(x); }
template <Real T> EBB_HD T erf(T x) { return math::erf(x); }
template <Real T> EBB_HD T sqrt(T x) { return std::sqrt(x); }
template <Real T> EBB_HD T pow(T x, T y) { return std::pow(x, y); }
// The error is at most 1 ulp on the CPU and 2 (tan 4) on the GPU, for every x. They are vectorized
// for float, and those of the C library for double.
template <Real T> EBB_HD T sin(T x) { return math::sin(x); }
template <Real T> EBB_HD T cos(T x) { return math::cos(x); }
template <Real T> EBB_HD T tan(T x) { return math::tan(x); }
/// Returns the angle of the point (x, y), in (-pi, pi].
template <Real T> EBB_HD T atan2(T y, T x) { return math::atan2(y, x); }
/// Returns the exact remainder of x / y, with the sign of x.
template <Real T> EBB_HD T fmod(T x, T y) { return std::fmod(x, y); }
template <Real T> EBB_HD T erfinv(T x) { return math::erfinv(x); }

// Rounding down, up, to the nearest (ties to even), and towards 0. The derivative is 0. Integers do
// not change.
template <Real T> EBB_HD T floor(T x) { return std::floor(x); }
template <Real T> EBB_HD T ceil(T x) { return std::ceil(x); }
template <Real T> EBB_HD T round(T x) { return std::nearbyint(x); }
template <Real T> EBB_HD T trunc(T x) { return std::trunc(x); }
EBB_HD int64_t floor(int64_t x) { return x; }
EBB_HD int64_t ceil(int64_t x) { return x; }
EBB_HD int64_t round(int64_t x) { return x; }
EBB_HD int64_t trunc(int64_t x) { return x; }

/// Returns -1, 0 or 1, and 0 for NaN.
template <Number T> EBB_HD T sign(T x) { return where(x > 0, T(1), where(x < 0, T(-1), T(0))); }
template <Real T> EBB_HD T abs(T x) { return std::fabs(x); }
EBB_HD int64_t abs(int64_t x) { return x < 0 ? -x : x; }

/// Returns max(x, 0). NaN and -0 do not change. Derivative: 1 where x > 0, else 0.
template <Number T> EBB_HD T relu(T x) { return where(x < 0, T(0), x); }
/// Returns max(x, bound). NaN does not change. Derivative: 1 where x >= bound, else 0.
template <Number T> EBB_HD T clamp_min(T x, T bound) { return where(x < bound, bound, x); }
/// Returns max(x, bound), with derivative 1 everywhere.
template <Number T> EBB_HD T clamp_min_through(T x, T bound) { return clamp_min(x, bound); }
/// Returns min(x, bound). NaN does not change. Derivative: 1 where x <= bound, else 0.
template <Number T> EBB_HD T clamp_max(T x, T bound) { return where(x > bound, bound, x); }
/// Returns x clamped to [low, high]. Derivative: 1 where low < x < high, else 0.
template <Real T> EBB_HD T hardtanh(T x, T low, T high) {
  return clamp_max(clamp_min(x, low), high);
}
/// Returns the larger of a and b, and NaN if either is NaN. At a tie each derivative is 1/2.
template <Number T> EBB_HD T maximum(T a, T b) { return where(a > b, a, where(a == a, b, a)); }
template <Number T> EBB_HD T minimum(T a, T b) { return where(a < b, a, where(a == a, b, a)); }

/// Returns 1 / (1 + e^-x), without overflow.
template <Real T> EBB_HD T sigmoid(T x) {
  const T e = math::exp_nonpositive(-abs(x));
  return where(x < 0, e, T(1)) / (1 + e);
}
/// Returns log(1 + e^x) = max(x, 0) + log1p(e^-|x|), accurate to the last bits for every x.
template <Real T> EBB_HD T softplus(T x) {
  return clamp_min(x, T(0)) + math::log1p_unit(math::exp_nonpositive(-abs(x)));
}

// ---- duals: the same functions with their derivatives ----

template <class C, class T, int N>
EBB_HD Dual<T, N> where(const C& condition, const Dual<T, N>& a, const Dual<T, N>& b) {
  Dual<T, N> r;
  r.v = where(condition, a.v, b.v);
  r.active = a.active | b.active;
  EBB_UNROLL
  for (int i = 0; i < N; ++i)
    r.d[i] = a.has(i) || b.has(i) ? where(condition, a.d[i], b.d[i]) : T(0);
  return r;
}

template <class T, int N> EBB_HD Dual<T, N> exp(const Dual<T, N>& x) {
  const T e = exp(x.v);
  return chain(x, e, e);
}
template <class T, int N> EBB_HD Dual<T, N> log(const Dual<T, N>& x) {
  return chain(x, log(x.v), 1 / x.v);
}
template <class T, int N> EBB_HD Dual<T, N> log_minus(const Dual<T, N>& x, const Dual<T, N>& y) {
  return chain(x, y, log_minus(x.v, y.v), 1 / x.v, T(-1));
}
template <class T, int N> EBB_HD Dual<T, N> log1p(const Dual<T, N>& x) {
  return chain(x, log1p(x.v), 1 / (1 + x.v));
}
template <class T, int N> EBB_HD Dual<T, N> expm1(const Dual<T, N>& x) {
  return chain(x, expm1(x.v), exp(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> sqrt(const Dual<T, N>& x) {
  const T root = sqrt(x.v);
  return chain(x, root, T(0.5) / root);
}
template <class T, int N> EBB_HD Dual<T, N> tanh(const Dual<T, N>& x) {
  const T t = tanh(x.v);
  return chain(x, t, 1 - t * t);
}
template <class T, int N> EBB_HD Dual<T, N> erf(const Dual<T, N>& x) {
  return chain(x, erf(x.v), T(1.1283791670955126) * exp(-(x.v * x.v)));  // 2 / sqrt(pi) e^(-x^2)
}
/// Returns x^y. The derivative by y is x^y log x, and 0 where x = 0 and y >= 0, as in torch.
template <class T, int N> EBB_HD Dual<T, N> pow(const Dual<T, N>& x, const Dual<T, N>& y) {
  const T p = pow(x.v, y.v);
  const T slope = y.v * pow(x.v, y.v - 1);
  // The derivative of 0^0 is 0, not 0 / 0.
  const T by_x = where(y.v == 0, where(abs(x.v) > 0, slope, T(0)), slope);
  if (y.active == 0) return chain(x, p, by_x);
  return chain(x, y, p, by_x, where(x.v == 0, where(y.v >= 0, T(0), p * log(x.v)), p * log(x.v)));
}
template <class T, int N> EBB_HD Dual<T, N> sin(const Dual<T, N>& x) {
  return chain(x, sin(x.v), cos(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> cos(const Dual<T, N>& x) {
  return chain(x, cos(x.v), -sin(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> tan(const Dual<T, N>& x) {
  const T t = tan(x.v);
  return chain(x, t, 1 + t * t);
}
/// Both derivatives are 0 at the origin, as in torch.
template <class T, int N> EBB_HD Dual<T, N> atan2(const Dual<T, N>& y, const Dual<T, N>& x) {
  const T square = y.v * y.v + x.v * x.v, inverse = where(square == 0, T(0), 1 / square);
  return chain(y, x, atan2(y.v, x.v), x.v * inverse, -y.v * inverse);
}
/// The derivative by y is -trunc(x / y), as in torch.
template <class T, int N> EBB_HD Dual<T, N> fmod(const Dual<T, N>& x, const Dual<T, N>& y) {
  if (y.active == 0) return chain(x, fmod(x.v, y.v), T(1));
  return chain(x, y, fmod(x.v, y.v), T(1), -trunc(x.v / y.v));
}
template <class T, int N> EBB_HD Dual<T, N> erfinv(const Dual<T, N>& x) {
  const T y = erfinv(x.v);
  return chain(x, y, T(0.88622692545275801) * exp(y * y));  // sqrt(pi) / 2 e^(y^2)
}
template <class T, int N> EBB_HD Dual<T, N> floor(const Dual<T, N>& x) {
  return Dual<T, N>(floor(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> ceil(const Dual<T, N>& x) {
  return Dual<T, N>(ceil(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> round(const Dual<T, N>& x) {
  return Dual<T, N>(round(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> trunc(const Dual<T, N>& x) {
  return Dual<T, N>(trunc(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> sign(const Dual<T, N>& x) {
  return Dual<T, N>(sign(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> abs(const Dual<T, N>& x) {
  return chain(x, abs(x.v), sign(x.v));
}
template <class T, int N> EBB_HD Dual<T, N> relu(const Dual<T, N>& x) {
  return chain(x, relu(x.v), where(x.v <= 0, T(0), T(1)));
}
template <class T, int N>
EBB_HD Dual<T, N> clamp_min(const Dual<T, N>& x, const Dual<T, N>& bound) {
  const T inside = where(x.v >= bound.v, T(1), T(0));
  return chain(x, bound, clamp_min(x.v, bound.v), inside, 1 - inside);
}
template <class T, int N>
EBB_HD Dual<T, N> clamp_min_through(const Dual<T, N>& x, const Dual<T, N>& bound) {
  return chain(x, clamp_min_through(x.v, bound.v), T(1));
}
template <class T, int N>
EBB_HD Dual<T, N> clamp_max(const Dual<T, N>& x, const Dual<T, N>& bound) {
  const T inside = where(x.v <= bound.v, T(1), T(0));
  return chain(x, bound, clamp_max(x.v, bound.v), inside, 1 - inside);
}
template <class T, int N>
EBB_HD Dual<T, N> hardtanh(const Dual<T, N>& x, const Dual<T, N>& low, const Dual<T, N>& high) {
  return chain(x, hardtanh(x.v, low.v, high.v),
               where(x.v > low.v, where(x.v < high.v, T(1), T(0)), T(0)));
}
template <class T, int N> EBB_HD Dual<T, N> maximum(const Dual<T, N>& a, const Dual<T, N>& b) {
  return chain(a, b, maximum(a.v, b.v), where(a.v == b.v, T(0.5), where(a.v < b.v, T(0), T(1))),
               where(a.v == b.v, T(0.5), where(a.v > b.v, T(0), T(1))));
}
template <class T, int N> EBB_HD Dual<T, N> minimum(const Dual<T, N>& a, const Dual<T, N>& b) {
  return chain(a, b, minimum(a.v, b.v), where(a.v == b.v, T(0.5), where(a.v > b.v, T(0), T(1))),
               where(a.v == b.v, T(0.5), where(a.v < b.v, T(0), T(1))));
}
template <class T, int N> EBB_HD Dual<T, N> sigmoid(const Dual<T, N>& x) {
  const T s = sigmoid(x.v);
  return chain(x, s, s * sigmoid(-x.v));  // 1 - s would cancel
}
template <class T, int N> EBB_HD Dual<T, N> softplus(const Dual<T, N>& x) {
  return chain(x, softplus(x.v), sigmoid(x.v));
}

}  // namespace ebb
