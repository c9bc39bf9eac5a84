// The constants of core/math.h for double: layout, split constants, clamps, and fitted polynomials.
#pragma once

#include <cstdint>
#include <limits>

#include "ebb/core/host_device.h"
#include "ebb/core/math_polynomial.h"

namespace ebb::math::detail {

struct F64 {
  using Real = double;
  using Bits = uint64_t;
  static constexpr int mantissa = 52;
  static constexpr Bits one = 0x3ff0000000000000, three_quarters = 0x3fe8000000000000,
                        sign = 0x8000000000000000, fraction = 0x000fffffffffffff;
  static constexpr Real inf = std::numeric_limits<Real>::infinity(),
                        nan = std::numeric_limits<Real>::quiet_NaN();
  static constexpr Real min_normal = 0x1p-1022;
  static constexpr Real bias = 1023;
  // Adding an integer n < 2^52 leaves n in the low bits.
  static constexpr Real two_mantissa = 0x1p52;
  // x + rounder - rounder rounds x to an integer n. The sum has n in its low bits.
  static constexpr Real rounder = 0x1.8p52;
  static constexpr Real log2_e = 0x1.71547652b82fep0;  // 1 / ln 2
  // 42 bits: n * ln2_hi is exact for every |n| < 2^11.
  static constexpr Real ln2_hi = 0x1.62e42fefa38p-1;
  static constexpr Real ln2_lo = 0x1.ef35793c7673p-45;  // ln 2 - ln2_hi
  static constexpr Real exp_min = -746;                 // exp is 0 below
  static constexpr Real exp_max = 1418.87;  // 2047 ln 2: the second factor of exp is infinite
  static constexpr Real expm1_min = -38, expm1_max = 710;  // expm1 rounds to -1, is infinite beyond
  static constexpr Real negligible = 0x1p-54;              // expm1(x), log1p(x) round to x below
  static constexpr Real tanh_split = 0.625, tanh_max = 19.1;  // polynomial below, 1 above
  static constexpr Real erf_split = 0.9, erf_max = 5.95;      // polynomial below, 1 above

  // (e^r - 1 - r) / r^2 for |r| <= ln(2)/2. Sollya fpminimax of expm1(r)/r, relative, error 2^-61.
  EBB_HD static Real exp_tail(Real r) {
    return 0.5 + r * polynomial(r, 0.16666666666666677, 0.04166666666666661, 0.008333333333321397,
                                0.0013888888888923844, 0.00019841269886778024,
                                2.4801587237555063e-05, 2.7557243494299953e-06,
                                2.7557352676628864e-07, 2.5109306009411233e-08,
                                2.088964813056322e-09);
  }
  // 2 atanh(s)/s - 2 over z = s^2 <= 0.04. Sollya fpminimax of 2 atanh(s)/s, relative, error 2^-62.
  EBB_HD static Real log_tail(Real z) {
    return z * polynomial(z, 0.666666666666666, 0.4000000000005668, 0.2857142855582561,
                          0.22222224297030505, 0.18181665827274326, 0.15391113976604825,
                          0.13173558303931027, 0.13843359389035215);
  }
  // f - log(1 + f) for f in [-1/4, 1/2], as in fdlibm: with s = f / (2 + f), f^2/2 - s (f^2/2 +
  // R(s^2)). The division costs less than the polynomial of degree 20 that would otherwise be
  // needed.
  EBB_HD static Real log_curve(Real f) {
    const Real s = f / (2 + f), half_square = 0.5 * f * f;
    return half_square - s * (half_square + log_tail(s * s));
  }
  // tanh(x)/x - 1 over z = x^2 <= 0.625^2. Sollya fpminimax of tanh(x)/x, relative, error 2^-61.
  EBB_HD static Real tanh_tail(Real z) {
    return z * polynomial(z, -0.33333333333333315, 0.13333333333329964, -0.05396825396615075,
                          0.021869488470718415, -0.008863234338781407, 0.0035921142201778694,
                          -0.0014557271806998453, 0.0005894564396251501, -0.00023702334973117249,
                          9.157696431863556e-05, -3.0204313989010808e-05, 6.049384064551096e-06);
  }
  // erf(x)/x - 1 over w = x^2 - 1/2, x <= 0.9. Sollya fpminimax, absolute, error 2^-58.
  EBB_HD static Real erf_tail(Real w) {
    return polynomial(w, -0.03453126133013269, -0.2810721780454342, 0.07940998675593477,
                      -0.01828388448915511, 0.0034802744966752485, -0.0005611894220287791,
                      7.829649497883239e-05, -9.614810405058239e-06, 1.053647402324392e-06,
                      -1.0418704640511692e-07, 9.38754313469445e-09, -8.419846636027172e-10);
  }
  // -log(8 erfc(x)) over t = x - 1111/1024, x in [0.9, 5.95]. Sollya remez weighted by erfc(x),
  // coefficients then rounded; the error of erf is 2^-57.
  EBB_HD static Real log_8_erfc(Real t) {
    return polynomial(t, 0.00048394914203859005, 2.7831057838751625, 0.8532778416848122,
                      0.03829098496367691, -0.00921976946781758, 0.0018538123122838375,
                      -0.0002479343714440538, -1.0165206717317494e-05, 2.046044612872594e-05,
                      -7.919507645959262e-06, 1.8775738292024532e-06, -2.0550967896938062e-07,
                      -5.682449694992966e-08, 4.0392523106695036e-08, -1.308119825423049e-08,
                      2.7848771963693843e-09, -3.9537342558446535e-10, 3.410079248727689e-11,
                      -1.352204061274754e-12);
  }
};

}  // namespace ebb::math::detail
