// Random numbers: Philox as published, independent of threads and strides, with the right moments.
#include "ebb/core/random.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <thread>

#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/draw.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

// Philox4x32-10 in its general form, as in the paper: four counter words, two key words.
std::array<uint32_t, 4> reference_philox(std::array<uint32_t, 4> x, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * x[0], b = uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<uint32_t>(b >> 32) ^ x[1] ^ k[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ x[3] ^ k[1], static_cast<uint32_t>(a)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return x;
}

TEST(Philox, KnownAnswers) {
  // kat_vectors of Random123. Ebb fixes counter words 2 and 3 at 0, so the other two vectors only
  // test the reference.
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(reference_philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(reference_philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      reference_philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
  const PhiloxBits zero = philox(0, 0);
  EXPECT_EQ((Words{zero.word[0], zero.word[1], zero.word[2], zero.word[3]}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  for (uint64_t seed : {uint64_t{1}, uint64_t{0xdeadbeefcafef00d}, ~uint64_t{0}}) {
    for (uint64_t counter : {uint64_t{1}, uint64_t{1} << 32, uint64_t{0x123456789abcdef0}}) {
      const PhiloxBits bits = philox(seed, counter);
      const Words want = reference_philox(
          {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0},
          {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
      EXPECT_EQ((Words{bits.word[0], bits.word[1], bits.word[2], bits.word[3]}), want);
    }
  }
}

TEST(Philox, UniformsFillTheUnitInterval) {
  EXPECT_EQ(uniform_from_bits(0, 0), 0);
  EXPECT_EQ(uniform_from_bits(~0u, ~0u), 1 - 0x1p-53);
  EXPECT_EQ(uniform_from_bits(0x80000000u, 0), 0.5);
}

struct Moments {
  double mean = 0, variance = 0, low = 0, high = 0;
};
Moments moments_of(const Tensor& t) {
  const std::vector<double> v = t.to_vector<double>();
  Moments m{0, 0, v[0], v[0]};
  for (double x : v) {
    m.mean += x / static_cast<double>(v.size());
    m.low = std::min(m.low, x);
    m.high = std::max(m.high, x);
  }
  for (double x : v) m.variance += (x - m.mean) * (x - m.mean) / static_cast<double>(v.size());
  return m;
}

constexpr int64_t kMany = 200'000;  // standard error of a mean: sd / 447

TEST(Random, UniformMoments) {
  for (DType dtype : {f32, f64}) {
    Generator generator{1, 0};
    const Moments m = moments_of(rand({kMany}, {.dtype = dtype}, &generator));
    EXPECT_NEAR(m.mean, 0.5, 5 * 0.2887 / 447);
    EXPECT_NEAR(m.variance, 1.0 / 12, 0.002);
    EXPECT_GE(m.low, 0);
    EXPECT_LT(m.high, 1);
    EXPECT_EQ(generator.offset, static_cast<uint64_t>(kMany));
  }
}

TEST(Random, NormalMoments) {
  for (DType dtype : {f32, f64}) {
    Generator generator{2, 0};
    const Tensor t = randn({kMany}, {.dtype = dtype}, &generator);
    const Moments m = moments_of(t);
    EXPECT_NEAR(m.mean, 0, 5.0 / 447);
    EXPECT_NEAR(m.variance, 1, 0.02);
    int64_t beyond = 0;
    for (double x : t.to_vector<double>()) {
      ASSERT_TRUE(std::isfinite(x));
      beyond += std::fabs(x) > 1.96;
    }
    EXPECT_NEAR(static_cast<double>(beyond) / kMany, 0.05, 0.003);
  }
}

// f32 evaluates the same formula. Near its zeros, an angle of 34 bits limits the digits.
TEST(Random, F32NormalsAreRoundedF64Normals) {
  Generator a{12, 1}, b{12, 1};
  expect_values(randn({kMany}, {.dtype = f32}, &a),
                randn({kMany}, {.dtype = f64}, &b).to_vector<double>(), 8e-7, 4e-9);
}

TEST(Random, F32NormalsKeepTheirDigitsAtTheEndsOfTheInterval) {
  for (int shift = 2; shift < 31; ++shift) {
    for (const uint32_t word : {0xabcdef01u, 0xffffffffu, 0x80000000u}) {
      const uint32_t small = word >> shift, low = 0x12345678;
      const double u = (small + low * 0x1p-32) * 0x1p-32;
      EXPECT_NEAR(exponential_from_bits(small, low) / -std::log1p(-u), 1, 3e-7) << small;
      EXPECT_NEAR(exponential_from_bits(~small, ~low) / -std::log(u), 1, 3e-7) << small;
      for (const uint32_t quarter : {0u, 1u, 2u, 3u}) {
        const uint32_t high = (quarter << 30) + (shift % 2 ? small >> 1 : 0u - (small >> 1));
        const double rest = static_cast<double>(static_cast<int32_t>(high - (quarter << 30)));
        const double angle = 6.283185307179586 * (rest * 0x1p-32);
        const double want = quarter % 2 ? std::sin(angle) : std::cos(angle);
        EXPECT_NEAR(cosine_from_bits(high, 0), quarter == 1 || quarter == 2 ? -want : want,
                    3e-7 * std::fabs(want));
      }
    }
  }
  EXPECT_NEAR(normal_from_bits<float>({{0, 0, 0, 0}}), 3.3e-10, 1e-11);
  EXPECT_NEAR(normal_from_bits<float>({{~0u, ~0u, 0, 0}}), 9.4193, 1e-3);
  EXPECT_NEAR(normal_from_bits<float>({{~0u, ~0u, 0x80000000u, 0}}), -9.4193, 1e-3);
}

TEST(Random, InPlaceRanges) {
  Generator generator{3, 0};
  Tensor t = empty({kMany}, {.dtype = f64});
  uniform_(t, -3, 5, &generator);
  const Moments u = moments_of(t);
  EXPECT_NEAR(u.mean, 1, 0.03);
  EXPECT_GE(u.low, -3);
  EXPECT_LT(u.high, 5);
  normal_(t, 10, 0.5, &generator);
  EXPECT_NEAR(moments_of(t).mean, 10, 0.01);
  EXPECT_NEAR(moments_of(t).variance, 0.25, 0.01);
}

// Rounding to f32 must not reach the upper bound either.
TEST(Random, UniformStaysBelowItsUpperBoundInF32) {
  Generator generator{4, 0};
  Tensor t = empty({3'000'000});
  uniform_(t, 0, 1, &generator);
  EXPECT_LT(max(t).item(), 1);
}

TEST(Random, NumbersDoNotDependOnThreads) {
  const int before = omp_get_max_threads();
  std::vector<std::vector<double>> results;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    Generator generator{5, 100};
    results.push_back(randn({3, 50'001}, {.dtype = f32}, &generator).to_vector<double>());
  }
  omp_set_num_threads(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Random, NumbersDoNotDependOnStrides) {
  Generator a{6, 0}, b{6, 0};
  Tensor view = transpose(zeros({7, 5}, {.dtype = f64}));
  uniform_(view, 0, 1, &a);
  expect_values(view, rand({5, 7}, {.dtype = f64}, &b).to_vector<double>());
}

TEST(Random, ElementsAreAFunctionOfSeedAndOffset) {
  Generator whole{7, 0}, parts{7, 0}, later{7, 60};
  const std::vector<double> all = rand({100}, {.dtype = f64}, &whole).to_vector<double>();
  std::vector<double> joined = rand({60}, {.dtype = f64}, &parts).to_vector<double>();
  EXPECT_EQ(rand({40}, {.dtype = f64}, &later).to_vector<double>(),
            std::vector<double>(all.begin() + 60, all.end()));
  for (double x : rand({40}, {.dtype = f64}, &parts).to_vector<double>()) joined.push_back(x);
  EXPECT_EQ(joined, all);
  Generator other{8, 0};
  EXPECT_NE(rand({100}, {.dtype = f64}, &other).to_vector<double>(), all);
}

TEST(Random, EachThreadHasItsOwnGenerator) {
  manual_seed(9);
  const std::vector<double> first = rand({10}).to_vector<double>();
  manual_seed(9);
  std::thread([] { rand({1000}); }).join();
  EXPECT_EQ(rand({10}).to_vector<double>(), first);
  EXPECT_NE(rand({10}).to_vector<double>(), first);
}

TEST(Random, PermutationsArePermutations) {
  Generator generator{10, 0};
  for (int64_t n : {0, 1, 2, 1000}) {
    std::vector<int64_t> p = randperm(n, &generator).to_vector<int64_t>();
    std::sort(p.begin(), p.end());
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(p[static_cast<size_t>(i)], i);
  }
  Generator a{11, 5}, b{11, 5};
  const std::vector<int64_t> once = randperm(100, &a).to_vector<int64_t>();
  EXPECT_EQ(randperm(100, &b).to_vector<int64_t>(), once);
  EXPECT_NE(randperm(100, &b).to_vector<int64_t>(), once);
  // Every element comes first about equally often.
  std::array<int, 5> firsts{};
  for (int i = 0; i < 5000; ++i)
    ++firsts[static_cast<size_t>(randperm(5, &generator).to_vector<int64_t>()[0])];
  for (int count : firsts) EXPECT_NEAR(count, 1000, 150);
}

TEST(Random, BadRequestsAreErrors) {
  Tensor integers = zeros({3}, {.dtype = i64});
  expect_error([&] { uniform_(integers, 0, 1); }, "uniform_", {"floating", "i64"});
  Tensor x = zeros({3}).requires_grad_();
  expect_error([&] { normal_(x, 0, 1); }, "normal_", {"requires grad"});
  expect_error([] { rand({2}, {.dtype = i64}); }, "rand", {"i64"});
  expect_error([] { randperm(-1); }, "randperm", {"-1"});
  Tensor undefined;
  expect_error([&] { uniform_(undefined, 0, 1); }, "uniform_", {"undefined"});
}

}  // namespace
}  // namespace ebb
