// Scalar functions in uses that no formula of Ebb has: variable bounds, ties, integers on either
// side.
#include <cmath>

#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_values;
using Tensors = std::vector<Tensor>;

struct TestClampMin {
  static constexpr std::string_view name = "test_clamp_min";
  template <class T> EBB_HD T operator()(T x, T bound) const { return clamp_min(x, bound); }
};
struct TestClampMax {
  static constexpr std::string_view name = "test_clamp_max";
  template <class T> EBB_HD T operator()(T x, T bound) const { return clamp_max(x, bound); }
};
struct TestRelu {
  static constexpr std::string_view name = "test_relu";
  template <class T> EBB_HD T operator()(T x) const { return relu(x); }
};
struct TestIntegers {
  static constexpr std::string_view name = "test_integers";
  template <class T> EBB_HD T operator()(T x) const {
    return ((x * 3 + 2) / 5 - 7) * (4 - 2 * x) + 6 / (1 + x) - (8 + x);
  }
};
struct TestMinusFirst {
  static constexpr std::string_view name = "test_minus_first";
  template <class T> EBB_HD T operator()(T x, T) const { return -x; }
};
// Returns a times one bit for each comparison that holds.
struct TestComparisons {
  static constexpr std::string_view name = "test_comparisons";
  template <class T> EBB_HD T operator()(T a, T b) const {
    const auto count = [](const auto& c, int n) { return where(c, T(n), T(0)); };
    return a * (count(a < b, 1) + count(a <= b, 2) + count(a > b, 4) + count(a >= b, 8) +
                count(a == b, 16) + count(a != b, 32) + count(a < 2, 64) + count(a <= 2, 128) +
                count(a > 2, 256) + count(a >= 2, 512) + count(a == 2, 1024) + count(a != 2, 2048));
  }
};
// In f32 the 1 of the product loses 2^-24.
struct TestNarrow {
  static constexpr std::string_view name = "test_narrow";
  template <class T> EBB_HD T operator()(T x, T t) const { return x * x - t; }
};
struct TestWide : TestNarrow {
  static constexpr std::string_view name = "test_wide";
  static constexpr bool compute_in_f64 = true;
};
struct TestLogMinus {
  static constexpr std::string_view name = "test_log_minus";
  template <class T> EBB_HD T operator()(T x, T y) const { return log_minus(x, y); }
};

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

template <class F> Tensor fused(const F& formula, std::initializer_list<const Tensor*> in) {
  const auto& op = detail::formula_op<F, 2, true>();
  return detail::pointwise_sum(op, &formula, std::span(in.begin(), in.size()), Tensor(), 1);
}

TEST(ScalarFunctions, BoundsThatVary) {
  const Tensor x = leaf({1, 2, 3}), bound = leaf({2, 2, 2});
  for (const Tensor& y :
       {pointwise(TestClampMin{}, x, bound), pointwise(TestClampMax{}, x, bound)}) {
    const bool low = y.to_vector<double>()[0] == 2;
    expect_values(y, low ? std::vector<double>{2, 2, 3} : std::vector<double>{1, 2, 2});
    const Tensors g = grad(sum(y), {x, bound}, {.create_graph = true});
    expect_values(g[0], low ? std::vector<double>{0, 1, 1} : std::vector<double>{1, 1, 0});
    expect_values(g[1], low ? std::vector<double>{1, 0, 0} : std::vector<double>{0, 0, 1});
  }
  const Tensor nan = tensor({NAN}, f64).requires_grad_(), two = tensor({2}, f64);
  expect_values(fused(TestClampMin{}, {&nan, &two}), {NAN});
  expect_values(fused(TestClampMax{}, {&nan, &two}), {NAN});
}

TEST(ScalarFunctions, ReluAtZero) {
  const Tensor x = leaf({-1, 0, 2});
  expect_values(grad(sum(pointwise(TestRelu{}, x)), x), {0, 0, 1});
}

TEST(ScalarFunctions, IntegersOnEitherSide) {
  const TensorFunction f = [](const Tensors& in) {
    return Tensors{pointwise(TestIntegers{}, in[0])};
  };
  const Tensor x = leaf({0.5, 3});
  expect_values(f({x})[0], {(3.5 / 5 - 7) * 3 + 4 - 8.5, (11.0 / 5 - 7) * -2 + 1.5 - 11}, 1e-15);
  const GradcheckOptions strict{.atol = 1e-7, .rtol = 1e-6};
  EXPECT_TRUE(gradcheck(f, {x}, strict));
  EXPECT_TRUE(gradgradcheck(f, {x}, strict));
}

TEST(ScalarFunctions, AnInputThatIsNotUsedHasNoPartial) {
  const Tensor x = leaf({1, 2}), y = leaf({3, 4});
  const Tensors g = grad(sum(pointwise(TestMinusFirst{}, x, y)), {x, y});
  expect_values(g[0], {-1, -1});
  expect_values(g[1], {0, 0});
}

TEST(ScalarFunctions, ComparisonsOfValuesAndOfDualNumbers) {
  const Tensor a = leaf({1, 2, 2, 3}), b = leaf({2, 2, 3, 2});
  const std::vector<double> kinds{1 + 2 + 32 + 64 + 128 + 2048, 2 + 8 + 16 + 128 + 512 + 1024,
                                  1 + 2 + 32 + 128 + 512 + 1024, 4 + 8 + 32 + 256 + 512 + 2048};
  const Tensor y = pointwise(TestComparisons{}, a, b);
  expect_values(y, {kinds[0], 2 * kinds[1], 2 * kinds[2], 3 * kinds[3]});
  expect_values(grad(sum(y), a), kinds);
}

TEST(ScalarFunctions, ComputeInF64RoundsOnce) {
  const Tensor x = tensor({1 + 0x1p-12}, f32).requires_grad_(), t = tensor({1.0}, f32);
  EXPECT_EQ(pointwise(TestNarrow{}, x, t).item<double>(), 0x1p-11);
  const Tensor y = pointwise(TestWide{}, x, t);
  EXPECT_EQ(y.item<double>(), 0x1p-11 + 0x1p-24);
  EXPECT_EQ(grad(sum(y), x).item<double>(), 2 + 0x1p-11);
  EXPECT_EQ(fused(TestWide{}, {&x, &t}).item<double>(), 0x1p-11 + 0x1p-24);
}

TEST(ScalarFunctions, LogMinusKeepsDigitsWhereItCancels) {
  const Tensor x = tensor({0.3, 1e-30, 7.0, 0.0}, f32),
               y = tensor({-1.2039728, -69.07755, 1.9459101, -1.0}, f32);
  const std::vector<double> got = pointwise(TestLogMinus{}, x, y).to_vector<double>();
  const std::vector<double> a = x.to_vector<double>(), b = y.to_vector<double>();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(got[i], std::log(a[i]) - b[i], 0x1p-27 * std::fabs(b[i]));
  EXPECT_EQ(got[3], -HUGE_VAL);
  EXPECT_TRUE(gradcheck(
      [](const Tensors& in) -> Tensors { return {pointwise(TestLogMinus{}, in[0], in[1])}; },
      Tensors{leaf({0.5, 3}), leaf({1, -2})}));
}

}  // namespace
}  // namespace ebb
