// Debug builds compare explicit gradients with the derivative of the formula. This file is compiled
// as one.
#define EBB_CHECK_GRADIENTS 1
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/nn/losses/reduction.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

struct TestRight {
  static constexpr std::string_view name = "test_right";
  template <class T> EBB_HD T operator()(T x, T y) const { return x * x * y; }
  template <class T> EBB_HD auto gradient(T x, T y) const {
    return Partials<T, 2>{{2 * x * y, x * x}};
  }
};
struct TestWrong {
  static constexpr std::string_view name = "test_wrong";
  template <class T> EBB_HD T operator()(T x, T y) const { return x * x * y; }
  template <class T> EBB_HD auto gradient(T x, T y) const {
    return Partials<T, 2>{{2 * x * y, 2 * x}};
  }
};
/// |x| with derivative 1 at 0. This is a convention and not a mistake.
struct TestConvention {
  static constexpr std::string_view name = "test_convention";
  template <class T> EBB_HD T operator()(T x) const { return ebb::abs(x); }
  template <class T> EBB_HD auto gradient(T x) const {
    return Partials<T, 1>{{where(x < 0, T(-1), T(1))}};
  }
};
struct TestRuleOfOutput {
  static constexpr std::string_view name = "test_rule_of_output";
  template <class T> EBB_HD T operator()(T y, T g) const { return g * y * T(0.5); }
};
struct TestWrongByOutput {
  static constexpr std::string_view name = "test_wrong_by_output";
  template <class T> EBB_HD T operator()(T x) const { return ebb::exp(x); }
  using OutputGradient = TestRuleOfOutput;
};

Tensor leaf(std::initializer_list<double> values, DType dtype = f64) {
  return tensor(values, dtype).requires_grad_();
}

TEST(GivenGradient, CorrectOnesPass) {
  Tensor x = leaf({1, 2}), y = leaf({3});
  sum(pointwise(TestRight{}, x, y)).backward();
  expect_values(x.grad(), {6, 12});
  expect_values(y.grad(), {5});
}

TEST(GivenGradient, WrongOnesAreNamed) {
  for (const DType dtype : {f32, f64}) {
    Tensor x = leaf({1, 3}, dtype), y = leaf({2}, dtype);
    const Tensor z = sum(pointwise(TestWrong{}, x, y));
    expect_error(
        [&] { z.backward(); }, "test_wrong",
        {"the explicit gradient of input 1 is 2 at (1, 2)", "derivative of the formula is 1"});
    EXPECT_FALSE(x.grad().defined());
  }
  Tensor x = leaf({0, 1});
  expect_error([&] { pointwise(TestWrongByOutput{}, x); }, "test_wrong_by_output",
               {"input 0 is 0.5 at (0)"});
}

TEST(GivenGradient, OfALoss) {
  const Tensor x = leaf({1, 3}), y = tensor({2, 2}, f64);
  expect_error(
      [&] {
        nn::pointwise_loss(TestWrong{}, {}, nn::Reduction::Mean, nn::MeanOver::Elements, x, y);
      },
      "test_wrong", {"derivative of the formula"});
}

TEST(GivenGradient, ConventionsAtKinksPass) {
  Tensor x = leaf({0, -1, 2});
  sum(pointwise(TestConvention{}, x)).backward();
  expect_values(x.grad(), {1, -1, 1});
}

}  // namespace
}  // namespace ebb
