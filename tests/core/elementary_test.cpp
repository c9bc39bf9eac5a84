// The scalar functions of core/scalar.h that come from the C library or are fitted, on plain
// numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ebb/core/scalar.h"

namespace ebb {
namespace {

// erfinv(erf(y)) = y as far as the rounding of erf(y) allows: x carries a relative error of 2^-53,
// which y feels dy/dx x / y times.
TEST(Erfinv, UndoesErf) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    const double y = 2.5 * (static_cast<double>(random() >> 11) * 0x1p-53 * 2 - 1);
    const double x = std::erf(y);
    const double steep = std::sqrt(M_PI) / 2 * std::exp(y * y);
    EXPECT_NEAR(erfinv(x), y, 4 * 0x1p-52 * std::fabs(y) + 0x1p-52 * std::fabs(x) * steep) << y;
  }
}

// In the tail the reference is erfc, which keeps its digits: 1 - x is exact.
TEST(Erfinv, IsExactInTheTail) {
  for (double y = 1; y < 5.8; y += 0.0137) {
    const double rest = std::erfc(y), x = 1 - rest;
    if (x == 1) break;
    const double off = (1 - x) - rest;  // what rounding x took away
    const double want = y - off * (std::sqrt(M_PI) / 2 * std::exp(y * y));
    const double second = off * off * std::exp(2 * y * y) * y;  // Newton's step is not the whole
    EXPECT_NEAR(erfinv(x), want, 8 * 0x1p-52 * y + second) << y;
    EXPECT_EQ(erfinv(-x), -erfinv(x));
  }
}

TEST(Erfinv, Limits) {
  EXPECT_EQ(erfinv(1.0), HUGE_VAL);
  EXPECT_EQ(erfinv(-1.0f), -HUGE_VALF);
  EXPECT_TRUE(std::isnan(erfinv(1.5)));
  EXPECT_TRUE(std::isnan(erfinv(-1.0001f)));
  EXPECT_TRUE(std::isnan(erfinv(std::nan(""))));
  EXPECT_EQ(erfinv(0.0), 0);
  EXPECT_LT(erfinv(1 - 0x1p-53), 6);
  EXPECT_GT(erfinv(1 - 0x1p-53), 5.8);
}

TEST(Rounding, TiesGoToTheEvenInteger) {
  EXPECT_EQ(ebb::round(0.5), 0);
  EXPECT_EQ(ebb::round(1.5), 2);
  EXPECT_EQ(ebb::round(-2.5f), -2);
  EXPECT_EQ(ebb::round(0x1p52 + 1), 0x1p52 + 1);
  EXPECT_EQ(ebb::floor(int64_t{-7}), -7);
}

// A formula of a user: the words as scalar functions, with the derivative of the text.
struct Wave {
  template <class T> EBB_HD T operator()(T x) const {
    return sin(x) * cos(x) + floor(x) + round(x);
  }
};
TEST(Words, TrigonometryInAFormula) {
  const double x = 0.7;
  const auto y = Wave{}(Dual<double, 1>::input(x, 0));
  EXPECT_NEAR(y.v, std::sin(x) * std::cos(x) + 1, 1e-15);
  EXPECT_NEAR(y.d[0], std::cos(2 * x), 1e-15);
}

}  // namespace
}  // namespace ebb
