// exp, log, log1p, expm1, tanh and erf of float and double. Both types, vectors of every width on
// the CPU, the tail of a loop and the GPU use the same branch-free code.
//
// Error: at most 1 ulp of the correctly rounded result, also for subnormal arguments and results,
// whether or not the compiler fuses multiply-adds. Float is checked on all 2^32 arguments
// (tests/core/math_exhaustive_test.cpp), double on samples against 64-bit long double
// (tests/core/math_test.cpp). Special cases are those of C: NaN gives NaN, exp overflows to inf,
// log(0) = log1p(-1) = -inf, log(< 0) = log1p(< -1) = NaN. log1p, expm1, tanh and erf keep the sign
// of zero.
//
// Fused multiply-adds do not change the error bound. Every product that must be exact is exact
// because its operands have trailing zeros, or because one is a power of two. Sums keep their
// rounding error with Dekker's fast two-sum (larger operand first), which has no product to fuse.
// The last bits may differ between instruction sets, because they fuse different products, but a
// vector and its tail fuse the same ones (tested). REQUIRES IEEE semantics (no -ffast-math); loops
// vectorize with -fno-math-errno -fno-trapping-math.
#pragma once

#include "ebb/core/host_device.h"
#include "ebb/core/math_f32.h"
#include "ebb/core/math_f64.h"

namespace ebb::math {
namespace detail {

// F is F32 or F64: the type, its layout, constants and polynomials.
template <class F> using Real = typename F::Real;
template <class F> using Bits = typename F::Bits;

template <class F> EBB_HD Bits<F> to_bits(Real<F> x) { return __builtin_bit_cast(Bits<F>, x); }
template <class F> EBB_HD Real<F> from_bits(Bits<F> bits) {
  return __builtin_bit_cast(Real<F>, bits);
}
template <class F> EBB_HD Real<F> magnitude(Real<F> x) {
  return from_bits<F>(to_bits<F>(x) & ~F::sign);
}
/// Returns a non-negative (or NaN) value with the sign of x.
template <class F> EBB_HD Real<F> with_sign_of(Real<F> x, Real<F> value) {
  return from_bits<F>(to_bits<F>(value) | (to_bits<F>(x) & F::sign));
}

/// Returns 2^n for n in the exponent range of normal numbers. Bits above those of an exponent are
/// ignored.
template <class F> EBB_HD Real<F> power_of_two(Bits<F> n) {
  return from_bits<F>((n << F::mantissa) + F::one);
}

/// The parts of e^x = 2^n (1 + high + (curve - low)), with high - low = x - n ln(2), |high| <=
/// ln(2)/2, and curve = e^(high - low) - 1 - (high - low). n is in two's complement in the low
/// bits, and the bits above are arbitrary, because 64-bit integer comparisons, conversions and
/// arithmetic shifts are slow before AVX-512.
template <class F> struct ReducedExp {
  Bits<F> n;
  Real<F> high, low, curve;
};

/// Reduces the argument as Cody and Waite: n ln2_hi is exact, so x - n ln2_hi is exact too. Returns
/// n + more as n.
template <class F> EBB_HD ReducedExp<F> reduce_exp(Real<F> x, Real<F> more = 0) {
  const Real<F> rounder = F::rounder + more;
  const Real<F> shifted = x * F::log2_e + rounder;
  const Real<F> n = shifted - rounder;
  const Real<F> high = x - n * F::ln2_hi;
  const Real<F> low = n * F::ln2_lo;
  const Real<F> r = high - low;
  return {to_bits<F>(shifted), high, low, r * r * F::exp_tail(r)};
}

/// Two factors whose product is e^x.
template <class F> struct ExpFactors { Real<F> first, second; };

/// Computes 2^n (1 + q) with q = r + curve. 2^n is applied in two factors, so that results may be
/// subnormal or overflow. The rounding error of r = high - low is small enough to be ignored here.
///
/// For x = inf the second factor is infinite. A compiler may fuse the product with a later
/// subtraction. An overflow caused only by the rounding of the product would then be lost, and
/// exp(inf) - inf would be -inf instead of NaN.
template <class F> EBB_HD ExpFactors<F> exp_factors(Real<F> x) {
  x = x < F::exp_min ? F::exp_min : x;
  x = x > F::exp_max ? F::exp_max : x;
  const auto [n, high, low, curve] = reduce_exp<F>(x);
  const Bits<F> half = n >> 1;  // in its low bits, floor(n / 2)
  const Real<F> q = (high - low) + curve, scale = power_of_two<F>(half);
  return {scale + scale * q, power_of_two<F>(n - half)};
}

template <class F> EBB_HD Real<F> exp(Real<F> x) {
  const auto [first, second] = exp_factors<F>(x);
  return first * second;
}

/// Computes the same for x <= 0, as softmax and softplus need it. 2^(n + 64) is a normal number for
/// every n, so one factor is enough, and multiplying by 2^-64 rounds once if the result is
/// subnormal.
template <class F> EBB_HD Real<F> exp_nonpositive(Real<F> x) {
  x = x < F::exp_min ? F::exp_min : x;
  const auto [n, high, low, curve] = reduce_exp<F>(x, 64);
  const Real<F> q = (high - low) + curve, scale = power_of_two<F>(n);
  return (scale + scale * q) * Real<F>(0x1p-64);
}

/// Computes (2^n - 1) + 2^n r. It computes halves, because 2^n may overflow. 2^n - 1 and the sum
/// keep their rounding errors.
template <class F> EBB_HD Real<F> expm1(Real<F> x) {
  Real<F> clamped = x < F::expm1_min ? F::expm1_min : x;
  clamped = clamped > F::expm1_max ? F::expm1_max : clamped;
  const auto [n, high, low, curve] = reduce_exp<F>(clamped);
  const Real<F> scale = power_of_two<F>(n - 1);
  const Real<F> whole = scale - Real<F>(0.5);
  const Real<F> scaled = scale * high;
  const Real<F> sum = whole + scaled;
  const Real<F> error = ((scale - whole) - Real<F>(0.5)) + ((whole - sum) + scaled);
  const Real<F> r = high - low;
  // low, minus the error of curve that the rounding of r caused.
  const Real<F> tiny = low - ((high - r) - low) * r;
  const Real<F> result = 2 * (sum + ((error - scale * tiny) + scale * curve));
  return magnitude<F>(x) < F::negligible ? x : result;
}

/// Returns exponent ln(2) + log(1 + f) + extra for f in [-1/4, 1/2] and a tiny extra. exponent
/// ln2_hi is exact, and its sum with f keeps the rounding error. F::log_curve computes the small
/// rest f - log(1 + f).
template <class F>
EBB_HD Real<F> log_of_reduced(Real<F> exponent, Real<F> f, Real<F> extra, Real<F> minus = 0) {
  const Real<F> whole = exponent * F::ln2_hi;
  const Real<F> sum = whole + f;
  const Real<F> error = (whole - sum) + f;
  return (sum - minus) + ((error + (exponent * F::ln2_lo + extra)) - F::log_curve(f));
}

/// A positive normal number as 2^(exponent + bias - F::bias) mantissa, mantissa in [3/4, 3/2).
template <class F> struct Split { Real<F> exponent, mantissa; };

/// Splits x. The exponent becomes a floating number by being put into the low bits of 2^mantissa.
template <class F> EBB_HD Split<F> split(Real<F> x, Real<F> bias) {
  const Bits<F> shifted = to_bits<F>(x) + (F::one - F::three_quarters);
  const Real<F> biased = from_bits<F>((shifted >> F::mantissa) | to_bits<F>(F::two_mantissa));
  return {biased - (F::two_mantissa + bias),
          from_bits<F>((shifted & F::fraction) + F::three_quarters)};
}

/// Returns log(x) - y. If they are nearly equal, the result has digits that a rounded logarithm
/// would have lost.
template <class F> EBB_HD Real<F> log_minus(Real<F> x, Real<F> y) {
  const bool subnormal = x < F::min_normal;
  const Real<F> normal = subnormal ? x * (2 * F::two_mantissa) : x;
  const Real<F> bias = subnormal ? F::bias + (F::mantissa + 1) : F::bias;
  const auto [exponent, mantissa] = split<F>(normal, bias);
  Real<F> result = log_of_reduced<F>(exponent, mantissa - 1, Real<F>(0), y);
  result = x > 0 ? result : (x == 0 ? -F::inf : F::nan) - y;
  return x < F::inf ? result : x - y;  // the logarithms of inf and NaN are inf and NaN
}

template <class F> EBB_HD Real<F> log(Real<F> x) { return log_minus<F>(x, Real<F>(0)); }

/// Computes log(u + c) = log(u) + c / u, with u = 1 + x rounded and its rounding error c. If u
/// needs no scaling, f = x is exact.
template <class F> EBB_HD Real<F> log1p(Real<F> x) {
  const Real<F> u = 1 + x;
  const Real<F> c = x > 1 ? 1 - (u - x) : x - (u - 1);
  const auto [exponent, mantissa] = split<F>(u, F::bias);
  const bool unscaled = exponent == 0;
  Real<F> result =
      log_of_reduced<F>(exponent, unscaled ? x : mantissa - 1, unscaled ? Real<F>(0) : c / u);
  result = x > -1 ? result : x == -1 ? -F::inf : F::nan;
  result = x < F::inf ? result : x;
  return magnitude<F>(x) < F::negligible ? x : result;
}

/// Computes the same for 0 <= x <= 1, as softplus needs it: 1 + x is 1 + f or 2 (1 + f) with an
/// exact f.
template <class F> EBB_HD Real<F> log1p_unit(Real<F> x) {
  const bool upper = x >= Real<F>(0.5);
  const Real<F> f = upper ? Real<F>(0.5) * x - Real<F>(0.5) : x;
  return log_of_reduced<F>(upper ? Real<F>(1) : Real<F>(0), f, Real<F>(0));
}

/// Uses an odd polynomial near 0. Elsewhere it computes 1 - q with q = 2 / (e^2x + 1), where e^2x +
/// 1 and 1 - q keep their rounding errors.
template <class F> EBB_HD Real<F> tanh(Real<F> x) {
  const Real<F> a = magnitude<F>(x);
  const Real<F> near_zero = a + a * F::tanh_tail(a * a);
  const Real<F> clamped = a > F::tanh_max ? F::tanh_max : a;
  const auto [n, high, low, curve] = reduce_exp<F>(2 * clamped);
  const Real<F> scale = power_of_two<F>(n);
  const Real<F> whole = scale + 1;
  const Real<F> scaled = scale * (high + (curve - low));
  const Real<F> sum = whole + scaled;
  const Real<F> sum_error = (whole - sum) + scaled;
  const Real<F> q = 2 / sum;
  const Real<F> rest = 1 - q;
  const Real<F> rest_error = (1 - rest) - q;
  const Real<F> elsewhere = rest + (rest_error + q * q * (Real<F>(0.5) * sum_error));
  return with_sign_of<F>(x, a < F::tanh_split ? near_zero : elsewhere);
}

/// Uses an odd polynomial near 0. Elsewhere it computes 1 - e^-p / 8 with p = -log(8 erfc(x)),
/// which is small where the result depends on it most.
template <class F> EBB_HD Real<F> erf(Real<F> x) {
  const Real<F> a = magnitude<F>(x);
  const Real<F> near_zero = a + a * F::erf_tail(a * a - Real<F>(0.5));
  const Real<F> clamped = a > F::erf_max ? F::erf_max : a;
  const auto [n, high, low, curve] =
      reduce_exp<F>(-F::log_8_erfc(clamped - Real<F>(1111.0 / 1024)));
  const Real<F> eighth = power_of_two<F>(n - 3);
  const Real<F> elsewhere = (1 - eighth) - eighth * (high + (curve - low));
  return with_sign_of<F>(x, a < F::erf_split ? near_zero : elsewhere);
}

}  // namespace detail

EBB_HD float exp(float x) { return detail::exp<detail::F32>(x); }
EBB_HD double exp(double x) { return detail::exp<detail::F64>(x); }
/// Returns exp(x) for x <= 0.
EBB_HD float exp_nonpositive(float x) { return detail::exp_nonpositive<detail::F32>(x); }
EBB_HD double exp_nonpositive(double x) { return detail::exp_nonpositive<detail::F64>(x); }
EBB_HD float log(float x) { return detail::log<detail::F32>(x); }
EBB_HD double log(double x) { return detail::log<detail::F64>(x); }
/// Returns log(x) - y.
EBB_HD float log_minus(float x, float y) { return detail::log_minus<detail::F32>(x, y); }
EBB_HD double log_minus(double x, double y) { return detail::log_minus<detail::F64>(x, y); }
EBB_HD float log1p(float x) { return detail::log1p<detail::F32>(x); }
EBB_HD double log1p(double x) { return detail::log1p<detail::F64>(x); }
/// Returns log1p(x) for x in [0, 1].
EBB_HD float log1p_unit(float x) { return detail::log1p_unit<detail::F32>(x); }
EBB_HD double log1p_unit(double x) { return detail::log1p_unit<detail::F64>(x); }
EBB_HD float expm1(float x) { return detail::expm1<detail::F32>(x); }
EBB_HD double expm1(double x) { return detail::expm1<detail::F64>(x); }
EBB_HD float tanh(float x) { return detail::tanh<detail::F32>(x); }
EBB_HD double tanh(double x) { return detail::tanh<detail::F64>(x); }
EBB_HD float erf(float x) { return detail::erf<detail::F32>(x); }
EBB_HD double erf(double x) { return detail::erf<detail::F64>(x); }

}  // namespace ebb::math
