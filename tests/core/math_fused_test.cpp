// The functions of core/math.h with their last product fused into a subsequent operation, as
// compilers may do.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/core/math.h"

namespace ebb::test {
namespace {

template <class F> void check_fused_exp() {
  using T = typename F::Real;
  const T inf = std::numeric_limits<T>::infinity();
  const auto fused = [](T x, T minus) {
    const auto [first, second] = math::detail::exp_factors<F>(x);
    return std::fma(first, second, -minus);
  };
  EXPECT_TRUE(std::isnan(fused(inf, inf)));
  EXPECT_EQ(fused(inf, 1), inf);
  EXPECT_EQ(fused(-inf, inf), -inf);
  EXPECT_TRUE(std::isnan(fused(std::numeric_limits<T>::quiet_NaN(), 1)));
  // Finite arguments above the largest whose result is finite.
  for (const T x : {F::expm1_max, T(1.5) * F::expm1_max, F::exp_max, 2 * F::exp_max}) {
    EXPECT_EQ(fused(x, 1), inf) << x;
    EXPECT_EQ(math::exp(x), inf) << x;
  }
}

TEST(FusedMath, ExpOfInfinityLessInfinityIsNaNF32) { check_fused_exp<math::detail::F32>(); }
TEST(FusedMath, ExpOfInfinityLessInfinityIsNaNF64) { check_fused_exp<math::detail::F64>(); }

}  // namespace
}  // namespace ebb::test
