// Checks core/math.h for special cases, a sample of all floats, random doubles, and independence of
// the position.
#include "ebb/core/math.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "ebb/tests/core/math_ops.h"

namespace ebb::test {
namespace {

template <class Op> class MathTest : public testing::Test {};

struct OpName {
  template <class Op> static std::string GetName(int) { return Op::name; }
};
using Ops = testing::Types<Exp, ExpNonpositive, Log, Log1p, Log1pUnit, Expm1, Tanh, Erf>;
TYPED_TEST_SUITE(MathTest, Ops, OpName);

template <class Op, class T> T value_alone(T x) {
  T y;
  apply<Op>(&x, &y, 1);
  return y;
}

template <class T> bool same_bits(T a, T b) {
  return std::bit_cast<BitsOf<T>>(a) == std::bit_cast<BitsOf<T>>(b);
}

template <class T> struct Special { T x, y; };

template <class Op, class T> std::vector<Special<T>> specials() {
  using Limits = std::numeric_limits<T>;
  const T inf = Limits::infinity(), nan = Limits::quiet_NaN(), tiny = Limits::denorm_min(),
          huge = Limits::max();
  if constexpr (std::same_as<Op, Exp>) {
    return {{0, 1},     {T(-0.), 1}, {tiny, 1},   {-tiny, 1},
            {inf, inf}, {-inf, 0},   {huge, inf}, {-huge, 0}};
  } else if constexpr (std::same_as<Op, ExpNonpositive>) {
    return {{0, 1}, {T(-0.), 1}, {tiny, 1}, {inf, 0}, {huge, 0}};
  } else if constexpr (std::same_as<Op, Log>) {
    return {{1, 0},       {0, -inf}, {T(-0.), -inf}, {inf, inf},
            {-tiny, nan}, {-1, nan}, {-huge, nan},   {-inf, nan}};
  } else if constexpr (std::same_as<Op, Log1p>) {
    return {{0, 0},     {T(-0.), T(-0.)}, {tiny, tiny}, {-tiny, -tiny}, {-1, -inf},
            {inf, inf}, {-2, nan},        {-huge, nan}, {-inf, nan}};
  } else if constexpr (std::same_as<Op, Log1pUnit>) {
    return {{0, 0}, {tiny, tiny}};
  } else if constexpr (std::same_as<Op, Expm1>) {
    return {{0, 0},     {T(-0.), T(-0.)}, {tiny, tiny}, {-tiny, -tiny},
            {inf, inf}, {huge, inf},      {-huge, -1},  {-inf, -1}};
  } else {  // tanh, erf
    return {{0, 0},   {T(-0.), T(-0.)}, {tiny, tiny}, {-tiny, -tiny},
            {inf, 1}, {-inf, -1},       {huge, 1},    {-huge, -1}};
  }
}

template <class Op, class T> void check_specials() {
  for (const auto [x, expected] : specials<Op, T>()) {
    const T got = value_alone<Op>(x);
    EXPECT_TRUE(std::isnan(expected) ? std::isnan(got) : same_bits(got, expected))
        << Op::name << "(" << x << ") = " << got << ", expected " << expected;
  }
  for (const auto payload : {BitsOf<T>{0}, BitsOf<T>{1}, BitsOf<T>{0x1234}}) {
    const auto nan = std::bit_cast<BitsOf<T>>(std::numeric_limits<T>::quiet_NaN()) | payload;
    EXPECT_TRUE(std::isnan(value_alone<Op>(std::bit_cast<T>(BitsOf<T>(nan)))));
    EXPECT_TRUE(std::isnan(value_alone<Op>(-std::bit_cast<T>(BitsOf<T>(nan)))));
  }
}

TYPED_TEST(MathTest, SpecialsF32) { check_specials<TypeParam, float>(); }
TYPED_TEST(MathTest, SpecialsF64) { check_specials<TypeParam, double>(); }

/// Compares the results of the loop on `in` with a reference in the wider type R.
template <class Op, class R, class T> void expect_within_one_ulp(const std::vector<T>& in) {
  std::vector<T> out(in.size());
  apply<Op>(in.data(), out.data(), in.size());
  Worst<T> worst;
  for (size_t i = 0; i < in.size(); ++i) worst.see(ulps(out[i], Op::reference(R(in[i]))), in[i]);
  EXPECT_LE(worst.error, 1) << Op::name << " at " << worst.at;
  testing::Test::RecordProperty("max_ulp", std::to_string(worst.error));
}

TYPED_TEST(MathTest, EveryThousandthFloat) {
  std::vector<float> in;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 1021)
    in.push_back(std::bit_cast<float>(uint32_t(bits)));
  expect_within_one_ulp<TypeParam, double>(in);
}

TYPED_TEST(MathTest, RandomDoubles) {
  if constexpr (std::numeric_limits<long double>::digits <= std::numeric_limits<double>::digits) {
    GTEST_SKIP() << "long double is no wider than double here: no reference";
  } else {
    std::mt19937_64 random(20240501);
    const auto uniform = [&](double low, double high) {
      return low + (high - low) * double(random() >> 11) * 0x1p-53;
    };
    std::vector<double> in;
    for (int i = 0; i < 60'000; ++i) {
      in.push_back(uniform(TypeParam::low, TypeParam::high));
      in.push_back(std::bit_cast<double>(uint64_t(random())));
      in.push_back(std::exp2(uniform(-60, 11)) * (random() % 2 ? 1 : -1));
    }
    for (const double point : TypeParam::critical) {
      for (const double width : {1e-13, 1e-9, 1e-5, 1e-2}) {
        for (int i = 0; i < 1000; ++i) in.push_back(point + width * uniform(-1, 1));
      }
    }
    expect_within_one_ulp<TypeParam, long double>(in);
  }
}

/// Checks that a value does not depend on whether it is computed in a vector, in a narrower vector
/// or in the scalar tail.
template <class Op, class T> void check_position_independence() {
  std::mt19937_64 random(7);
  std::array<T, 67> in, out;
  for (int round = 0; round < 20; ++round) {
    for (size_t n = 1; n <= in.size(); ++n) {
      for (size_t i = 0; i < n; ++i) {
        in[i] = random() % 8 ? T(Op::low + (Op::high - Op::low) * double(random() >> 11) * 0x1p-53)
                             : std::bit_cast<T>(BitsOf<T>(random()));
      }
      apply<Op>(in.data(), out.data(), n);
      for (size_t i = 0; i < n; ++i) {
        const T alone = value_alone<Op>(in[i]);
        ASSERT_TRUE(same_bits(out[i], alone) || (std::isnan(out[i]) && std::isnan(alone)))
            << Op::name << "(" << in[i] << ") is " << out[i] << " at " << i << " of " << n
            << ", alone " << alone;
      }
    }
  }
}

TYPED_TEST(MathTest, PositionIndependentF32) { check_position_independence<TypeParam, float>(); }
TYPED_TEST(MathTest, PositionIndependentF64) { check_position_independence<TypeParam, double>(); }

}  // namespace
}  // namespace ebb::test
