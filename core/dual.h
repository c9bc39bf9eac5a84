// Dual<T, N>: a value with its N partial derivatives, forward-mode differentiation.
//
// A formula called with Dual<float, 2> gives its value and both partials. With Dual<Dual<float, 1>,
// 2> it also gives the second order in one direction. The mask `active` has the partials that can
// differ from zero. It is a compile-time constant after inlining, so partials of constants and of
// other inputs cost no arithmetic. It also matters for correctness: a partial that is absent is
// never multiplied, so an infinite value does not turn it into NaN.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "ebb/core/host_device.h"

namespace ebb {

template <class T, int N> struct Dual {
  T v;
  T d[N];
  uint32_t active;

  Dual() = default;
  /// Creates a constant. Explicit for floating literals, so that formulas write T(0.5), which works
  /// for every T.
  EBB_HD explicit Dual(double constant) : v(T(constant)), active(0) { clear(); }
  EBB_HD Dual(int constant) : v(T(constant)), active(0) { clear(); }
  EBB_HD explicit Dual(const T& value) requires(!std::is_same_v<T, double>) : v(value), active(0) {
    clear();
  }

  /// Returns input i of a formula, with derivative 1.
  EBB_HD static Dual input(const T& value, int i) {
    Dual x;
    x.v = value;
    x.active = 1u << i;
    x.clear();
    x.d[i] = T(1);
    return x;
  }

  /// Returns a value whose derivative is `slope`. REQUIRES N = 1.
  EBB_HD static Dual along(const T& value, const T& slope) {
    Dual x = input(value, 0);
    x.d[0] = slope;
    return x;
  }

  EBB_HD bool has(int i) const { return (active >> i & 1u) != 0; }

 private:
  EBB_HD void clear() {
    EBB_UNROLL
    for (int i = 0; i < N; ++i) d[i] = T(0);
  }
};

template <class T> inline constexpr bool is_dual = false;
template <class T, int N> inline constexpr bool is_dual<Dual<T, N>> = true;

/// Returns f(a) for a function with this value and derivative at a.
template <class T, int N>
EBB_HD Dual<T, N> chain(const Dual<T, N>& a, const T& value, const T& derivative) {
  Dual<T, N> r;
  r.v = value;
  r.active = a.active;
  EBB_UNROLL
  for (int i = 0; i < N; ++i) r.d[i] = a.has(i) ? a.d[i] * derivative : T(0);
  return r;
}

/// Returns f(a, b) for a function with this value and these derivatives.
template <class T, int N>
EBB_HD Dual<T, N> chain(const Dual<T, N>& a, const Dual<T, N>& b, const T& value, const T& da,
                        const T& db) {
  Dual<T, N> r;
  r.v = value;
  r.active = a.active | b.active;
  EBB_UNROLL
  for (int i = 0; i < N; ++i) {
    r.d[i] = a.has(i) ? (b.has(i) ? a.d[i] * da + b.d[i] * db : a.d[i] * da)
                      : (b.has(i) ? b.d[i] * db : T(0));
  }
  return r;
}

template <class T, int N> EBB_HD Dual<T, N> operator+(const Dual<T, N>& a, const Dual<T, N>& b) {
  Dual<T, N> r;
  r.v = a.v + b.v;
  r.active = a.active | b.active;
  EBB_UNROLL
  for (int i = 0; i < N; ++i) r.d[i] = a.has(i) ? (b.has(i) ? a.d[i] + b.d[i] : a.d[i]) : b.d[i];
  return r;
}
template <class T, int N> EBB_HD Dual<T, N> operator-(const Dual<T, N>& a) {
  Dual<T, N> r;
  r.v = -a.v;
  r.active = a.active;
  EBB_UNROLL
  for (int i = 0; i < N; ++i) r.d[i] = a.has(i) ? -a.d[i] : T(0);
  return r;
}
template <class T, int N> EBB_HD Dual<T, N> operator-(const Dual<T, N>& a, const Dual<T, N>& b) {
  Dual<T, N> r;
  r.v = a.v - b.v;
  r.active = a.active | b.active;
  EBB_UNROLL
  for (int i = 0; i < N; ++i) r.d[i] = b.has(i) ? (a.has(i) ? a.d[i] - b.d[i] : -b.d[i]) : a.d[i];
  return r;
}
template <class T, int N> EBB_HD Dual<T, N> operator*(const Dual<T, N>& a, const Dual<T, N>& b) {
  return chain(a, b, a.v * b.v, b.v, a.v);
}
template <class T, int N> EBB_HD Dual<T, N> operator/(const Dual<T, N>& a, const Dual<T, N>& b) {
  const T quotient = a.v / b.v, inverse = T(1) / b.v;
  return chain(a, b, quotient, inverse, -quotient * inverse);
}

// Integers in formulas: 1 - t, 2 * x.
template <class T, int N> EBB_HD Dual<T, N> operator+(int a, const Dual<T, N>& b) {
  return Dual<T, N>(a) + b;
}
template <class T, int N> EBB_HD Dual<T, N> operator+(const Dual<T, N>& a, int b) {
  return a + Dual<T, N>(b);
}
template <class T, int N> EBB_HD Dual<T, N> operator-(int a, const Dual<T, N>& b) {
  return Dual<T, N>(a) - b;
}
template <class T, int N> EBB_HD Dual<T, N> operator-(const Dual<T, N>& a, int b) {
  return a - Dual<T, N>(b);
}
template <class T, int N> EBB_HD Dual<T, N> operator*(int a, const Dual<T, N>& b) {
  return Dual<T, N>(a) * b;
}
template <class T, int N> EBB_HD Dual<T, N> operator*(const Dual<T, N>& a, int b) {
  return a * Dual<T, N>(b);
}
template <class T, int N> EBB_HD Dual<T, N> operator/(int a, const Dual<T, N>& b) {
  return Dual<T, N>(a) / b;
}
template <class T, int N> EBB_HD Dual<T, N> operator/(const Dual<T, N>& a, int b) {
  return a / Dual<T, N>(b);
}

// Comparisons compare the values only.
template <class T, int N> EBB_HD auto operator<(const Dual<T, N>& a, const Dual<T, N>& b) {
  return a.v < b.v;
}
template <class T, int N> EBB_HD auto operator<=(const Dual<T, N>& a, const Dual<T, N>& b) {
  return a.v <= b.v;
}
template <class T, int N> EBB_HD auto operator>(const Dual<T, N>& a, const Dual<T, N>& b) {
  return a.v > b.v;
}
template <class T, int N> EBB_HD auto operator>=(const Dual<T, N>& a, const Dual<T, N>& b) {
  return a.v >= b.v;
}
template <class T, int N> EBB_HD auto operator==(const Dual<T, N>& a, const Dual<T, N>& b) {
  return a.v == b.v;
}
template <class T, int N> EBB_HD auto operator!=(const Dual<T, N>& a, const Dual<T, N>& b) {
  return a.v != b.v;
}
template <class T, int N> EBB_HD auto operator<(const Dual<T, N>& a, int b) { return a.v < b; }
template <class T, int N> EBB_HD auto operator<=(const Dual<T, N>& a, int b) { return a.v <= b; }
template <class T, int N> EBB_HD auto operator>(const Dual<T, N>& a, int b) { return a.v > b; }
template <class T, int N> EBB_HD auto operator>=(const Dual<T, N>& a, int b) { return a.v >= b; }
template <class T, int N> EBB_HD auto operator==(const Dual<T, N>& a, int b) { return a.v == b; }
template <class T, int N> EBB_HD auto operator!=(const Dual<T, N>& a, int b) { return a.v != b; }

}  // namespace ebb
