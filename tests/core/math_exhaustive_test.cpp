// Compares core/math.h with the double functions of libm (whose error is 2^-29 of a float's ulp)
// for all 2^32 floats. This takes minutes. Run it after any change of core/math*.h.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "ebb/tests/core/math_ops.h"

namespace ebb::test {
namespace {

template <class Op> class MathExhaustiveTest : public testing::Test {};

struct OpName {
  template <class Op> static std::string GetName(int) { return Op::name; }
};
using Ops = testing::Types<Exp, ExpNonpositive, Log, Log1p, Log1pUnit, Expm1, Tanh, Erf, Sin, Cos,
                           Tan, Erfinv>;
TYPED_TEST_SUITE(MathExhaustiveTest, Ops, OpName);

/// Returns the worst of `count` floats, whose bits start at `first`.
template <class Op> Worst<float> worst_of(uint32_t first, uint32_t count) {
  std::vector<float> in(count), out(count);
  for (uint32_t i = 0; i < count; ++i) in[i] = std::bit_cast<float>(first + i);
  apply<Op>(in.data(), out.data(), count);
  Worst<float> worst;
  for (uint32_t i = 0; i < count; ++i) worst.see(ulps(out[i], Op::reference(double(in[i]))), in[i]);
  return worst;
}

TYPED_TEST(MathExhaustiveTest, AllFloats) {
  constexpr uint32_t count = 1 << 16, blocks = 1 << 16;
  std::atomic<uint32_t> next{0};
  std::mutex mutex;
  Worst<float> worst;
  const auto work = [&] {
    for (uint32_t block; (block = next++) < blocks;) {
      const Worst<float> found = worst_of<TypeParam>(block * count, count);
      const std::lock_guard lock(mutex);
      worst.see(found.error, found.at);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  std::printf("%s: at most %.6f ulp, at %.9g (%a)\n", TypeParam::name, worst.error, worst.at,
              worst.at);
  EXPECT_LE(worst.error, 1);
}

}  // namespace
}  // namespace ebb::test
