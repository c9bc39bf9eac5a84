// The functions of core/math_trig.h: a sample of all floats, pairs for atan2 and fmod, special
// values, and the same bits from the functions for near arguments and for all.
#include "ebb/core/math_trig.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "ebb/tests/core/math_ops.h"

namespace ebb::test {
namespace {

template <class Op> Worst<float> worst_of(const std::vector<float>& in) {
  std::vector<float> out(in.size());
  apply<Op>(in.data(), out.data(), in.size());
  Worst<float> worst;
  for (size_t i = 0; i < in.size(); ++i)
    worst.see(ulps(out[i], Op::reference(static_cast<double>(in[i]))), in[i]);
  return worst;
}

template <class Op> class TrigTest : public testing::Test {};
using Ops = testing::Types<Sin, Cos, Tan, Erfinv>;
TYPED_TEST_SUITE(TrigTest, Ops);

TYPED_TEST(TrigTest, EveryThousandthFloatAndMultiplesOfAQuarterTurn) {
  std::vector<float> in;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 1021)
    in.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (int n = -20'000; n < 20'000; ++n) in.push_back(static_cast<float>(n * 1.5707963267948966));
  // Of all floats, those that are nearest to a multiple of a quarter turn.
  for (const float x : {0x1.0c9796p+105f, 0x1.6ac5b2p+110f, 0x1.fe107cp+59f, 0x1.f5afd8p+38f,
                        0x1.921fb6p+1f, 0x1.0fdaa2p+22f})
    in.push_back(x);
  const Worst<float> worst = worst_of<TypeParam>(in);
  EXPECT_LE(worst.error, 0.7) << TypeParam::name << " at " << worst.at;
}

// A vector, its tail and a single value, and the cheaper function where it is defined, agree.
TYPED_TEST(TrigTest, PositionsDoNotMatter) {
  std::mt19937 random(3);
  std::vector<float> in(67), out(67);
  for (int round = 0; round < 300; ++round) {
    for (float& x : in)
      x = random() % 4 ? static_cast<float>(random() * 0x1p-31 - 1) * 30
                       : std::bit_cast<float>(static_cast<uint32_t>(random()));
    apply<TypeParam>(in.data(), out.data(), in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      float alone;
      apply<TypeParam>(&in[i], &alone, 1);
      ASSERT_TRUE(alone == out[i] || (alone != alone && out[i] != out[i])) << in[i];
    }
  }
}

struct SinNearOp {
  float operator()(float x) const { return math::sin_near(x); }
};
struct CosNearOp {
  float operator()(float x) const { return math::cos_near(x); }
};
struct TanNearOp {
  float operator()(float x) const { return math::tan_near(x); }
};

template <class Near, class Op> void expect_same_near() {
  std::mt19937 random(11);
  std::vector<float> in;
  while (in.size() < 100'000) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::fabs(x) < math::kNear) in.push_back(x);
  }
  std::vector<float> near(in.size()), all(in.size());
  apply<Near>(in.data(), near.data(), in.size());
  apply<Op>(in.data(), all.data(), in.size());
  for (size_t i = 0; i < in.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(near[i]), std::bit_cast<uint32_t>(all[i])) << in[i];
}

TEST(TrigNear, HasTheBitsOfTheFunctionForAll) {
  expect_same_near<SinNearOp, Sin>();
  expect_same_near<CosNearOp, Cos>();
  expect_same_near<TanNearOp, Tan>();
}

float random_float(std::mt19937& random) {
  return std::bit_cast<float>(static_cast<uint32_t>(random()));
}

TEST(Atan2, EveryKindOfPoint) {
  std::mt19937 random(5);
  std::vector<float> values = {0.f,       -0.f,       1.f,       -1.f,    HUGE_VALF, -HUGE_VALF,
                               0x1p-149f, -0x1p-149f, 0x1p-126f, 3.4e38f, -3.4e38f,  NAN};
  const auto check = [](float y, float x) {
    const double want = std::atan2(static_cast<double>(y), static_cast<double>(x));
    ASSERT_LE(ulps(math::atan2(y, x), want), 0.6) << y << ", " << x;
    if (math::is_near_point(y, x)) {
      ASSERT_EQ(math::atan2_near(y, x), math::atan2(y, x)) << y << ", " << x;
    }
  };
  for (float y : values) {
    for (float x : values) check(y, x);
  }
  for (int i = 0; i < 200'000; ++i) {
    const float x = random_float(random), y = random_float(random);
    check(y, x);
    check(static_cast<float>(x * (random() * 0x1p-30 - 2)), x);
  }
}

TEST(FmodNear, IsTheExactRemainder) {
  std::mt19937 random(7);
  const auto check = [](float x, float y) {
    if (!math::is_near_quotient(x, y)) return;
    const float want = std::fmod(x, y), got = math::fmod_near(x, y);
    ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(want)) << x << ", " << y;
  };
  for (float x : {0.f, -0.f, 5.f, -5.f, 0x1p-149f, 3.4e38f}) {
    for (float y : {1.f, -3.f, 5.f, 0x1p-149f, 3.4e38f, HUGE_VALF}) check(x, y);
  }
  for (int i = 0; i < 300'000; ++i) {
    const float x = random_float(random);
    check(x, random_float(random));
    check(x, static_cast<float>(x * (random() * 0x1p-30)));
    // x one ulp from a multiple of y: the quotient is as near to an integer as it can be.
    const float y = std::fabs(static_cast<float>(random() * 0x1p-32) + 0.5f);
    const float multiple = y * static_cast<float>(random() >> (8 + random() % 24));
    check(multiple, y);
    check(std::nextafter(multiple, 0.f), y);
    check(std::nextafter(multiple, HUGE_VALF), y);
  }
  EXPECT_FALSE(math::is_near_quotient(HUGE_VALF, 1));
  EXPECT_FALSE(math::is_near_quotient(1, 0));
  EXPECT_FALSE(math::is_near_quotient(NAN, 1));
  EXPECT_FALSE(math::is_near_quotient(1, NAN));
}

}  // namespace
}  // namespace ebb::test
