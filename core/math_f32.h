// The constants of core/math.h for float: layout, split constants, clamps, and fitted polynomials.
#pragma once

#include <cstdint>
#include <limits>

#include "ebb/core/host_device.h"
#include "ebb/core/math_polynomial.h"

namespace ebb::math::detail {

struct F32 {
  using Real = float;
  using Bits = uint32_t;
  static constexpr int mantissa = 23;
  static constexpr Bits one = 0x3f800000, three_quarters = 0x3f400000, sign = 0x80000000,
                        fraction = 0x007fffff;
  static constexpr Real inf = std::numeric_limits<Real>::infinity(),
                        nan = std::numeric_limits<Real>::quiet_NaN();
  static constexpr Real min_normal = 0x1p-126f;
  static constexpr Real bias = 127;
  // Adding an integer n < 2^23 leaves n in the low bits.
  static constexpr Real two_mantissa = 0x1p23f;
  // x + rounder - rounder rounds x to an integer n. The sum has n in its low bits.
  static constexpr Real rounder = 0x1.8p23f;
  static constexpr Real log2_e = 0x1.715476p0f;  // 1 / ln 2
  static constexpr Real ln2_hi = 0x1.62e4p-1f;   // 15 bits: n * ln2_hi is exact for every |n| < 2^9
  static constexpr Real ln2_lo = 0x1.7f7d1cp-20f;  // ln 2 - ln2_hi
  static constexpr Real exp_min = -104;            // exp is 0 below
  static constexpr Real exp_max = 176.75f;  // 255 ln 2: the second factor of exp is infinite
  static constexpr Real expm1_min = -18, expm1_max = 89;  // expm1 rounds to -1, is infinite beyond
  static constexpr Real negligible = 0x1p-25f;            // expm1(x), log1p(x) round to x below
  static constexpr Real tanh_split = 0.625f, tanh_max = 9.1f;  // polynomial below, 1 above
  static constexpr Real erf_split = 0.9f, erf_max = 3.95f;     // polynomial below, 1 above

  // (e^r - 1 - r) / r^2 for |r| <= ln(2)/2. Sollya fpminimax of expm1(r)/r, relative, error 2^-31.
  EBB_HD static Real exp_tail(Real r) {
    return 0.5f + r * polynomial(r, 0.16666666f, 0.041666478f, 0.008333567f, 0.0013933742f,
                                 0.00019743646f);
  }
  // f - log(1 + f) for f in [-1/4, 1/2], without a division. Sollya fpminimax of log(1 + f)/f,
  // relative, error 2^-27; Horner's rule, since the even and the odd powers cancel.
  EBB_HD static Real log_curve(Real f) {
    const Real tail =
        -0.3333345f +
        f * (0.25000098f +
             f * (-0.19990806f +
                  f * (0.16647165f +
                       f * (-0.1447882f +
                            f * (0.13162985f + f * (-0.104645304f + f * 0.04507361f))))));
    return f * f * (0.5f + f * tail);
  }
  // tanh(x)/x - 1 over z = x^2 <= 0.625^2. Sollya fpminimax of tanh(x)/x, relative, error 2^-32.
  EBB_HD static Real tanh_tail(Real z) {
    return z * polynomial(z, -0.3333333f, 0.13333222f, -0.053948447f, 0.021708589f, -0.008194533f,
                          0.0021570174f);
  }
  // erf(x)/x - 1 over w = x^2 - 1/2, x <= 0.9. Sollya fpminimax, absolute, error 2^-30.
  EBB_HD static Real erf_tail(Real w) {
    return polynomial(w, -0.03453126f, -0.28107217f, 0.07941004f, -0.018284114f, 0.0034789133f,
                      -0.00056055526f, 8.771419e-05f);
  }
  // -log(8 erfc(x)) over t = x - 1111/1024, x in [0.9, 3.95]. Sollya remez weighted by erfc(x),
  // repeated after rounding each coefficient; the error of erf is 2^-29.
  EBB_HD static Real log_8_erfc(Real t) {
    return polynomial(t, 0.00048396204f, 2.7831059f, 0.85327613f, 0.03829018f, -0.009183976f,
                      0.0017743078f, -0.00019809719f);
  }
};

}  // namespace ebb::math::detail
