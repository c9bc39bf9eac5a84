// The functions of core/math.h for tests, each with its reference, the range in which its values
// vary, and the points near which its method changes. Used by the normal and by the exhaustive
// test.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "ebb/core/host_device.h"
#include "ebb/core/math.h"
#include "ebb/core/math_erfinv.h"
#include "ebb/core/math_trig.h"

namespace ebb::test {

struct Exp {
  static constexpr const char* name = "exp";
  static constexpr double low = -104, high = 89;
  static constexpr double critical[] = {0, 0.34657, -0.34657, 0.6931, 709.7827, -708.396, -745.13};
  template <class T> EBB_HD T operator()(T x) const { return math::exp(x); }
  template <class R> static R reference(R x) { return std::exp(x); }
};

/// Is called with -|x|, because it has no positive arguments.
struct ExpNonpositive {
  static constexpr const char* name = "exp_nonpositive";
  static constexpr double low = -104, high = 0;
  static constexpr double critical[] = {0, -0.34657, -0.6931, -708.396, -745.13};
  template <class T> EBB_HD T operator()(T x) const { return math::exp_nonpositive(-std::fabs(x)); }
  template <class R> static R reference(R x) { return std::exp(-std::fabs(x)); }
};

struct Log {
  static constexpr const char* name = "log";
  static constexpr double low = 0, high = 4;
  static constexpr double critical[] = {1, 0.75, 1.5, 0.375, 3, 2};
  template <class T> EBB_HD T operator()(T x) const { return math::log(x); }
  template <class R> static R reference(R x) { return std::log(x); }
};

struct Log1p {
  static constexpr const char* name = "log1p";
  static constexpr double low = -1, high = 3;
  static constexpr double critical[] = {0, -1, -0.25, 0.5, 1, 2};
  template <class T> EBB_HD T operator()(T x) const { return math::log1p(x); }
  template <class R> static R reference(R x) { return std::log1p(x); }
};

/// Is called with |x|, limited to 1, because it has no larger arguments.
struct Log1pUnit {
  static constexpr const char* name = "log1p_unit";
  static constexpr double low = -1, high = 1;
  static constexpr double critical[] = {0, 0.5, 1};
  template <class T> EBB_HD static T in_range(T x) {
    return std::fabs(x) > 1 ? T(1) : std::fabs(x);
  }
  template <class T> EBB_HD T operator()(T x) const { return math::log1p_unit(in_range(x)); }
  template <class R> static R reference(R x) { return std::log1p(in_range(x)); }
};

struct Expm1 {
  static constexpr const char* name = "expm1";
  static constexpr double low = -38, high = 89;
  static constexpr double critical[] = {0,       0.34657, -0.34657, 1.0397,
                                        -1.0397, 17.2,    36.8,     709.7827};
  template <class T> EBB_HD T operator()(T x) const { return math::expm1(x); }
  template <class R> static R reference(R x) { return std::expm1(x); }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr double low = -20, high = 20;
  static constexpr double critical[] = {0, 0.625, 0.8664, 1.2130, 9.1, 19.1};
  template <class T> EBB_HD T operator()(T x) const { return math::tanh(x); }
  template <class R> static R reference(R x) { return std::tanh(x); }
};

struct Erf {
  static constexpr const char* name = "erf";
  static constexpr double low = -6, high = 6;
  static constexpr double critical[] = {0, 0.9, 1111. / 1024, 1.2, 3.95, 5.95};
  template <class T> EBB_HD T operator()(T x) const { return math::erf(x); }
  template <class R> static R reference(R x) { return std::erf(x); }
};

struct Sin {
  static constexpr const char* name = "sin";
  static constexpr double low = -20, high = 20;
  template <class T> EBB_HD T operator()(T x) const { return math::sin(x); }
  template <class R> static R reference(R x) { return std::sin(x); }
};

struct Cos {
  static constexpr const char* name = "cos";
  static constexpr double low = -20, high = 20;
  template <class T> EBB_HD T operator()(T x) const { return math::cos(x); }
  template <class R> static R reference(R x) { return std::cos(x); }
};

struct Tan {
  static constexpr const char* name = "tan";
  static constexpr double low = -20, high = 20;
  template <class T> EBB_HD T operator()(T x) const { return math::tan(x); }
  template <class R> static R reference(R x) { return std::tan(x); }
};

/// The reference is the function of double, which has tests of its own.
struct Erfinv {
  static constexpr const char* name = "erfinv";
  static constexpr double low = -1, high = 1;
  template <class T> EBB_HD T operator()(T x) const { return math::erfinv(x); }
  static double reference(double x) { return math::erfinv(x); }
};

/// Computes out[i] = op(in[i]) like a kernel: vectors, then a tail.
template <class Op, class T> EBB_MULTIVERSION void apply(const T* in, T* out, size_t n) {
EBB_INDEPENDENT
  for (size_t i = 0; i < n; ++i) out[i] = Op{}(in[i]);
}

template <class T> using BitsOf = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

/// Returns the distance of neighbors in T at `value`, in the wider type R. For an infinite value
/// it is that of the largest finite number, and for zero that of the subnormals.
template <class R, class T> R spacing(T value) {
  using Limits = std::numeric_limits<T>;
  const T size = std::clamp(std::abs(value), Limits::min(), Limits::max());
  const auto power_of_two =
      std::bit_cast<BitsOf<T>>(size) & std::bit_cast<BitsOf<T>>(Limits::infinity());
  return R(std::bit_cast<T>(BitsOf<T>(power_of_two))) * R(Limits::epsilon());
}

/// Returns |got - exact| in units in the last place of the correctly rounded result, and infinity
/// if a NaN, an infinity or the sign of a zero is wrong. Infinity counts as the number after the
/// largest finite one if `exact` only overflows T.
template <class T, class R> double ulps(T got, R exact) {
  constexpr double wrong = std::numeric_limits<double>::infinity();
  if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) && std::isnan(got) ? 0 : wrong;
  if (std::isinf(exact)) return R(got) == exact ? 0 : wrong;
  const T rounded = T(exact);
  if (std::isinf(rounded) && got == rounded) return 0;
  if ((rounded == 0 || got == 0) && std::signbit(rounded) != std::signbit(got)) return wrong;
  const R past_largest =
      R(std::numeric_limits<T>::max()) + spacing<R>(std::numeric_limits<T>::max());
  const R value = std::isinf(got) ? std::copysign(past_largest, R(got)) : R(got);
  return double(std::abs(value - exact) / spacing<R>(rounded));
}

/// The largest error, and its argument.
template <class T> struct Worst {
  double error = 0;
  T at = 0;
  void see(double candidate, T x) {
    if (candidate > error) *this = {candidate, x};
  }
};

}  // namespace ebb::test
