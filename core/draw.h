// Numbers of a distribution from the words of Philox, for the backends. All devices use these
// functions.
//
// Uniform and Bernoulli numbers are computed in f64 from 53 bits, and have the same bits on all
// devices. Normal numbers come from Box-Muller in the tensor's type: sqrt(-2 log(1 - u)) cos(2 pi
// v). In f32, u has 64 bits and v has 34. Because u and 1 - u keep their digits at both ends, radii
// are accurate from 3e-10 to 9.4 (an f64 radius ends at 8.6).
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "ebb/core/math.h"
#include "ebb/core/random.h"

namespace ebb {

/// Returns a uniform double in [0, 1) with 53 bits of two words.
EBB_HD double uniform_from_bits(uint32_t high, uint32_t low) {
  return static_cast<double>((static_cast<uint64_t>(high) << 32 | low) >> 11) * 0x1p-53;
}

/// Returns -log(1 - u) for u = (high, low) / 2^64. The error is at most 2 ulp for u from 2^-31 to
/// 1 - 2^-28.
EBB_HD float exponential_from_bits(uint32_t high, uint32_t low) {
  using F = math::detail::F32;
  // x is the smaller one of u and 1 - u. The last bit keeps it above 0.
  const bool above_half = high >> 31 != 0;
  const uint32_t mask = above_half ? ~0u : 0u;
  const float x =
      static_cast<float>(high ^ mask) * 0x1p-32f + static_cast<float>((low ^ mask) | 1) * 0x1p-64f;
  // 1 - u = 2^exponent (1 + f), with f in [-1/4, 1/2]. f is exact.
  const uint32_t bits = math::detail::to_bits<F>(x),
                 exponent_bits = (bits - F::three_quarters) & ~F::fraction;
  const float f = above_half  ? math::detail::from_bits<F>(bits - exponent_bits) - 1
                  : x > 0.25f ? 1 - 2 * x
                              : -x;
  const int32_t exponent = above_half  ? static_cast<int32_t>(exponent_bits)
                           : x > 0.25f ? -0x800000
                                       : 0;  // times 2^23
  return (F::log_curve(f) - f) - static_cast<float>(exponent) * (0x1.62e43p-1f * 0x1p-23f);
}

/// Returns cos(2 pi v), where v is (high, low) / 2^64 rounded down to 34 bits. The error is at most
/// 3 ulp.
EBB_HD float cosine_from_bits(uint32_t high, uint32_t low) {
  // v is a number of quarter turns and a rest d in [-1/8, 1/8].
  const bool odd = ((high + 0x20000000u) >> 30 & 1) != 0;
  const uint32_t sign = (high + 0x60000000u) & 0x80000000u;  // in quarters 1 and 2
  const float d = static_cast<float>(static_cast<int32_t>(high << 2 | low >> 30)) * 0x1p-34f,
              z = d * d;
  // cos(2 pi d) and sin(2 pi d): fits at Chebyshev nodes over z.
  const float cosine = 1 + z * (-19.739208f + z * (64.93937f + z * (-85.44883f + z * 59.424416f)));
  const float sine = d * (6.2831855f + z * (-41.341663f + z * (81.592545f + z * -75.4018f)));
  using F = math::detail::F32;
  return math::detail::from_bits<F>(math::detail::to_bits<F>(odd ? sine : cosine) ^ sign);
}

/// Returns a standard normal number.
template <class T> EBB_HD T normal_from_bits(const PhiloxBits& bits) {
  if constexpr (std::is_same_v<T, float>) {
    return std::sqrt(2 * exponential_from_bits(bits.word[0], bits.word[1])) *
           cosine_from_bits(bits.word[2], bits.word[3]);
  } else {
    const double u = uniform_from_bits(bits.word[0], bits.word[1]),
                 v = uniform_from_bits(bits.word[2], bits.word[3]);
    constexpr double two_pi = 6.283185307179586;
    return std::sqrt(-2 * std::log1p(-u)) * std::cos(two_pi * v);
  }
}

/// Returns number `number` of the stream of a seed in T: uniform in [a, b), normal with mean a and
/// standard deviation b, or 1 with probability a, else 0.
template <class T>
EBB_HD T draw_number(Distribution kind, const PhiloxKeys& keys, uint64_t number, double a,
                     double b) {
  const PhiloxBits bits = philox(keys, number);
  if (kind == Distribution::Normal)
    return static_cast<T>(a) + static_cast<T>(b) * normal_from_bits<T>(bits);
  const double u = uniform_from_bits(bits.word[0], bits.word[1]);
  if (kind == Distribution::Bernoulli) return u < a ? T(1) : T(0);
  const T value = static_cast<T>(a + u * (b - a)), end = static_cast<T>(b);
  // Rounding may reach the end of the interval, which is open.
  return value < end ? value : std::nextafter(end, static_cast<T>(a));
}

}  // namespace ebb
