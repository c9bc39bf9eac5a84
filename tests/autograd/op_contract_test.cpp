// The rules that apply<Op>() checks for an op's forward and backward.
#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

Tensor leaf() { return tensor({1, 2, 3}, f64).requires_grad_(); }

struct TestPassOn {  // returns its input
  static constexpr std::string_view name = "test_pass_on";
  struct State {
    double slope;
  };
  static int shape(const Tensor&, double) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x, double slope) {
    state = {slope};
    return x.contiguous();
  }
  static Tensor backward(const State& state, const Tensor& g) { return g * state.slope; }
};

TEST(OpContract, AReturnedInputIsNotChanged) {
  const Tensor x = leaf(), y = apply<TestPassOn>(x, 5.0);
  EXPECT_TRUE(x.is_leaf());
  EXPECT_FALSE(y.is_leaf());
  sum(y).backward();
  expect_values(x.grad(), {5, 5, 5}, 0);
  const auto with = [](double slope) {
    return [slope](const std::vector<Tensor>& in) {
      return std::vector{apply<TestPassOn>(in[0], slope)};
    };
  };
  EXPECT_TRUE(gradcheck(with(1), {leaf()}));
  expect_error([&] { gradcheck(with(5), {leaf()}); }, "gradcheck", {"test_pass_on"});
  const NoGrad guard;
  EXPECT_FALSE(apply<TestPassOn>(x, 1.0).requires_grad());
}

struct TestBoth {  // returns its input and a new tensor
  static constexpr std::string_view name = "test_both";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static std::array<Tensor, 2> forward(State&, int, const Tensor& x) { return {x, x.clone()}; }
  static Tensor backward(const State&, std::span<const Tensor> g) {
    return g[0].defined() ? g[0] : g[1] * 2.0;
  }
};

TEST(OpContract, AnInputAmongSeveralOutputsIsNotChanged) {
  const Tensor x = leaf();
  const auto [first, second] = apply<TestBoth>(x);
  EXPECT_TRUE(x.is_leaf());
  expect_values(grad(sum(first), x, {.retain_graph = true}), {1, 1, 1}, 0);
  expect_values(grad(sum(second), x), {2, 2, 2}, 0);
}

struct TestNothing {
  static constexpr std::string_view name = "test_nothing";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor&) { return {}; }
};

TEST(OpContract, AForwardHasToReturnATensor) {
  expect_error([] { apply<TestNothing>(leaf()); }, "test_nothing",
               {"forward returned an undefined tensor"});
}

struct TestGradientOf {  // the identity with an arbitrary gradient
  static constexpr std::string_view name = "test_gradient_of";
  struct State {
    Tensor gradient;
  };
  static int shape(const Tensor&, std::function<Tensor()>) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x,
                        const std::function<Tensor()>& gradient) {
    state = {gradient()};
    return x.clone();
  }
  static Tensor backward(const State& state, const Tensor&) { return state.gradient; }
};

TEST(OpContract, AGradientMustFitItsInput) {
  const auto backward = [](const Tensor& gradient) {
    const Tensor x = leaf();
    sum(apply<TestGradientOf>(x, std::function<Tensor()>([&] { return gradient; }))).backward();
    return x.grad();
  };
  expect_error(
      [&] { backward(ones({2}, {.dtype = f64})); }, "backward",
      {"test_gradient_of (3,) f64", "gave for input 0 a gradient of (2,) f64, expected (3,) f64"});
  expect_error(
      [&] {
        backward(ones({3, 2}, {.dtype = f64}));
      },
      "backward", {"test_gradient_of", "(3, 2) f64"});
  expect_error([&] { backward(ones({3})); }, "backward",
               {"test_gradient_of", "(3,) f32, expected (3,) f64"});
  const Tensor y = leaf() * 2.0;
  expect_error([&] { y.backward(ones({3})); }, "backward", {"f32", "f64"});
  // A gradient in the shape that the input was broadcast to is summed.
  expect_values(backward(ones({2, 3}, {.dtype = f64})), {2, 2, 2}, 0);
}

}  // namespace
}  // namespace ebb
