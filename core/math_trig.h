// sin, cos, tan, atan2 and fmod of float, branch-free as the functions of core/math.h.
//
// They compute in double and round once, at most 0.6 ulp off (tests/core/math_exhaustive_test.cpp).
// `..._near` are for the arguments that occur, and cost less: |x| < kNear, or |x / y| <
// kNearQuotient. Where an argument may be any float, use the functions without the suffix; both
// have the same bits where both are defined.
//
// Reduction: x = n pi/2 + r, |r| <= pi/4. Near: by Cody and Waite, n pi/2 in two parts, of which
// the first is exact. Else by Payne and Hanek: x = m 2^e, and 2^e 2/pi modulo 4 is in a table,
// since multiples of 4 quarter turns do not count.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "ebb/core/host_device.h"
#include "ebb/core/math_polynomial.h"
#include "ebb/core/math_turns.h"

namespace ebb::math {

inline constexpr float kNear = 0x1p20f, kNearQuotient = 0x1p28f;

namespace detail {

EBB_HD uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }
EBB_HD uint64_t bits_of(double x) { return __builtin_bit_cast(uint64_t, x); }

/// x = n pi/2 + r; n is right in its two low bits.
struct Angle {
  double r;
  uint64_t n;
};

inline constexpr double kRoundToInteger =
    0x1.8p52;  // x + it - it is rounded, and the low bits of x + it are n

EBB_HD Angle near_angle(float x) {
  const double wide = x;
  const double shifted = wide * 0x1.45f306dc9c883p-1 + kRoundToInteger;
  const double n = shifted - kRoundToInteger;
  return {(wide - n * 0x1.921fb54p+0) - n * 0x1.10b4611a62633p-30, bits_of(shifted)};
}

/// For every x; NaN where x is infinite or NaN.
EBB_HD Angle angle_of(float x) {
  const uint64_t biased = bits_of(x) >> 23 & 255;
  const uint64_t e = (biased < 150 ? 150 : biased) - 150;
  const double m = __builtin_bit_cast(float, bits_of(x) - (static_cast<uint32_t>(e) << 23));
  const double turns = m * kTurnsHigh[e], fraction = m * kTurnsMiddle[e];
  const double shifted = (turns + fraction) + kRoundToInteger;
  const double f = ((turns - (shifted - kRoundToInteger)) + fraction) + m * kTurnsLow[e];
  const Angle near = near_angle(x);
  const bool is_near = std::fabs(x) < kNear;
  const double far = f * 0x1.921fb54442d18p+0 + (x - x);
  return {is_near ? near.r : far, is_near ? near.n : bits_of(shifted)};
}

// Chebyshev fits for |r| <= pi/4. Relative error 2^-35 and absolute error 2^-30.
EBB_HD double sin_of_small(double r) {
  const double z = r * r;
  return r +
         r * z *
             (-0.16666666663853044 + z * (0.008333331873837089 + z * (-0.00019840086263755443 +
                                                                      z * 2.7249864655139585e-06)));
}
EBB_HD double cos_of_small(double r) {
  const double z = r * r;
  return (1 - 0.5 * z) +
         z * z * (0.04166666465830042 + z * (-0.0013888302802309161 + z * 2.454789161981386e-05));
}

EBB_HD float sin_of(Angle a) {
  const double s = sin_of_small(a.r), c = cos_of_small(a.r), value = a.n & 1 ? c : s;
  return static_cast<float>(__builtin_bit_cast(double, bits_of(value) ^ (a.n & 2) << 62));
}
EBB_HD float cos_of(Angle a) { return sin_of({a.r, a.n + 1}); }
EBB_HD float tan_of(Angle a) {
  const double s = sin_of_small(a.r), c = cos_of_small(a.r);
  return static_cast<float>((a.n & 1 ? -c : s) / (a.n & 1 ? s : c));
}

/// atan(q) for 0 <= q <= 1. Chebyshev fit of atan(q) / q - 1 over q^2, relative error 2^-28.
EBB_HD double atan_of_unit(double q) {
  const double z = q * q;
  return q + q * z *
                 polynomial(z, -0.3333333308107325, 0.19999949321141888, -0.1428400379473353,
                            0.11088261628735159, -0.08931826777381315, 0.07031914250029966,
                            -0.04896051402709067, 0.026305001110062377, -0.009144629760592396,
                            0.0014886919393047597);
}

/// The angle of (x, y) from the angle of the point (larger, smaller) of the two sizes, which is in
/// [0, pi/4].
EBB_HD float mirrored(double angle, bool steep, float y, float x) {
  angle = steep ? 0x1.921fb54442d18p+0 - angle : angle;
  angle = bits_of(x) >> 31 ? 0x1.921fb54442d18p+1 - angle : angle;
  const float size = static_cast<float>(angle);
  return __builtin_bit_cast(float, bits_of(size) | (bits_of(y) & 0x80000000u));
}

}  // namespace detail

/// sin, cos and tan for |x| < kNear.
EBB_HD float sin_near(float x) {
  const float y = detail::sin_of(detail::near_angle(x));
  return x == 0 ? x : y;
}
EBB_HD float cos_near(float x) { return detail::cos_of(detail::near_angle(x)); }
EBB_HD float tan_near(float x) {
  const float y = detail::tan_of(detail::near_angle(x));
  return x == 0 ? x : y;
}

/// True for finite x and y of which one is not 0.
EBB_HD bool is_near_point(float y, float x) {
  const float a = std::fabs(x), b = std::fabs(y), inf = std::numeric_limits<float>::infinity();
  return (a < inf) & (b < inf) & ((a > 0) | (b > 0));
}
/// The angle of (x, y), in [-pi, pi], for a point that is near.
EBB_HD float atan2_near(float y, float x) {
  const float a = std::fabs(x), b = std::fabs(y), large = b > a ? b : a, small = b > a ? a : b;
  const double angle =
      detail::atan_of_unit(static_cast<double>(small) / static_cast<double>(large));
  return detail::mirrored(angle, b > a, y, x);
}

#if defined(__CUDA_ARCH__)
EBB_HD float sin(float x) { return ::sinf(x); }
EBB_HD float cos(float x) { return ::cosf(x); }
EBB_HD float tan(float x) { return ::tanf(x); }
EBB_HD float atan2(float y, float x) { return ::atan2f(y, x); }
#else
EBB_HD float sin(float x) {
  const float y = detail::sin_of(detail::angle_of(x));
  return x == 0 ? x : y;
}
EBB_HD float cos(float x) { return detail::cos_of(detail::angle_of(x)); }
EBB_HD float tan(float x) {
  const float y = detail::tan_of(detail::angle_of(x));
  return x == 0 ? x : y;
}

/// atan2 for every x and y. Infinity counts as 2^600, with which the quotients of all cases are
/// right.
EBB_HD float atan2(float y, float x) {
  const double inf = std::numeric_limits<double>::infinity();
  double a = std::fabs(static_cast<double>(x)), b = std::fabs(static_cast<double>(y));
  a = a == inf ? 0x1p600 : a;
  b = b == inf ? 0x1p600 : b;
  const bool steep = b > a;
  const double large = steep ? b : a, small = steep ? a : b;
  const double angle = detail::atan_of_unit(small / (large == 0 ? 1 : large));
  const float result = detail::mirrored(angle, steep, y, x);
  return ((x != x) | (y != y)) ? x + y : result;
}
#endif

/// True if fmod_near(x, y) is the remainder.
EBB_HD bool is_near_quotient(float x, float y) {
  return std::fabs(x) < kNearQuotient * std::fabs(y);
}
/// The remainder of x / y for |x| < kNearQuotient |y|: the quotient is exact, and its product with
/// y. (Where x / y is near an integer that it does not reach, their distance is at least an ulp of
/// y through y: more than the division rounds.)
EBB_HD float fmod_near(float x, float y) {
  const double quotient = std::trunc(static_cast<double>(x) / static_cast<double>(y));
  const double rest = static_cast<double>(x) - quotient * static_cast<double>(y);
  const float size = static_cast<float>(quotient == 0 ? static_cast<double>(x) : rest);
  return __builtin_bit_cast(
      float, (detail::bits_of(size) & 0x7fffffffu) | (detail::bits_of(x) & 0x80000000u));
}

EBB_HD double sin(double x) { return std::sin(x); }
EBB_HD double cos(double x) { return std::cos(x); }
EBB_HD double tan(double x) { return std::tan(x); }
EBB_HD double atan2(double y, double x) { return std::atan2(y, x); }

}  // namespace ebb::math
