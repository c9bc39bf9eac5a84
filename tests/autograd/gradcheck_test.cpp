// gradcheck must fail where it should, and give the reason.
#include "ebb/autograd/check/gradcheck.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

// x^2 whose backward is wrong by a factor.
struct TestWrongFactor {
  static constexpr std::string_view name = "test_wrong_factor";
  struct State {
    Saved x;
    double factor = 0;
  };
  static int shape(const Tensor&, double) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x, double factor) {
    state = {Saved(x), factor};
    return x * x;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return g * state.x.get() * state.factor;
  }
};

// x^2 with the right gradient from a detached x, so that the second order is lost.
struct TestLostSecondOrder {
  static constexpr std::string_view name = "test_lost_second_order";
  struct State {
    Saved x;
  };
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x) {
    state = {Saved(x)};
    return x * x;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return g * state.x.get().detach() * 2;
  }
};

TensorFunction squares(double factor) {
  return [factor](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{apply<TestWrongFactor>(in[0], factor)};
  };
}

template <class F> TensorFunction one(F f) {
  return [f](const std::vector<Tensor>& in) { return std::vector<Tensor>{f(in[0])}; };
}

TEST(Gradcheck, PassesCorrectGradients) {
  const Tensor x = leaf({1, -2, 3});
  const GradcheckReport report = gradcheck(squares(2), {x});
  EXPECT_TRUE(report);
  EXPECT_EQ(report.compared, 9);
  EXPECT_LT(report.max_error, 1e-8);
  EXPECT_TRUE(report.zero_inputs.empty());
  EXPECT_TRUE(gradgradcheck(squares(2), {x}));
  test::expect_values(x, {1, -2, 3});
}

TEST(Gradcheck, FailsOnAWrongFactor) {
  const Tensor x = leaf({1, -2, 3});
  const GradcheckReport report = gradcheck(squares(2.01), {x}, {.raise = false});
  EXPECT_FALSE(report);
  ASSERT_EQ(report.failures.size(), 3u);
  EXPECT_NEAR(report.failures[2].analytic, 6.03, 1e-9);
  EXPECT_NEAR(report.failures[2].numeric, 6, 1e-6);
  expect_error([&] { gradcheck(squares(2.01), {x}); }, "gradcheck",
               {"output 0 [0] by input 0 [0]", "analytic 2.01", "numeric 2", "relative error"});
  // The second order is consistent with the wrong first one, so gradgradcheck does not replace
  // gradcheck.
  EXPECT_TRUE(gradgradcheck(squares(2.01), {x}));
}

TEST(Gradcheck, FailsOnVacuousChecks) {
  const Tensor x = leaf({1, 2});
  const TensorFunction constant = one([](const Tensor& t) { return t * 0; });
  expect_error([&] { gradcheck(constant, {x}); }, "gradcheck",
               {"vacuous", "input 0", "allow_zero"});
  EXPECT_TRUE(gradcheck(constant, {x}, {.allow_zero = true}));
  const TensorFunction first = one([](const Tensor& t) { return t * t; });
  expect_error(
      [&] {
        gradcheck(first, {x, leaf({5})});
      },
      "gradcheck", {"vacuous", "by input 1 is zero"});
  expect_error([&] { gradgradcheck(one([](const Tensor& t) { return t * 3; }), {x}); },
               "gradgradcheck", {"vacuous"});
  expect_error([&] { gradcheck(first, {tensor({1}, f64)}); }, "gradcheck",
               {"nothing was compared"});
  expect_error([&] { gradgradcheck(first, {tensor({1}, f64)}); }, "gradgradcheck",
               {"nothing to check"});
  expect_error([&] { gradcheck(first, {zeros({0}, {.dtype = f64}).requires_grad_()}); },
               "gradcheck", {"empty"});
}

// The values vary, but the graph does not record it.
TEST(Gradcheck, FailsOnADetachedOutput) {
  const Tensor x = leaf({1, 2});
  expect_error([&] { gradcheck(one([](const Tensor& t) { return (t * t).detach(); }), {x}); },
               "gradcheck", {"analytic 0, numeric 2"});
}

TEST(Gradcheck, FailsOnNaN) {
  const Tensor x = leaf({-1, 2});
  expect_error([&] { gradcheck(one([](const Tensor& t) { return log(t); }), {x}); }, "gradcheck",
               {"not finite"});
}

TEST(Gradcheck, FailsAtAKink) {
  const Tensor x = leaf({0, 2});
  const TensorFunction f = one([](const Tensor& t) { return maximum(t, t * 0.5); });
  expect_error([&] { gradcheck(f, {x}); }, "gradcheck",
               {"a kink inside the step (slope 0.5 left, 1 right)"});
  const TensorFunction clamped = one([](const Tensor& t) { return clamp_min(t, 0); });
  expect_error([&] { gradcheck(clamped, {x}); }, "gradcheck", {"analytic 1, numeric 0.5", "kink"});
  // The derivative of abs at 0 is the mean of both sides. It is right by chance, so the check must
  // not pass.
  expect_error([&] { gradcheck(one([](const Tensor& t) { return abs(t); }), {x}); }, "gradcheck",
               {"kink"});
}

TEST(Gradcheck, SecondOrderIsCheckedSeparately) {
  const Tensor x = leaf({1, -2});
  const TensorFunction f = one([](const Tensor& t) { return apply<TestLostSecondOrder>(t); });
  EXPECT_TRUE(gradcheck(f, {x}));
  const GradcheckReport report = gradgradcheck(f, {x}, {.raise = false});
  EXPECT_FALSE(report);
  EXPECT_FALSE(report.failures.empty());
}

TEST(Gradcheck, RefusesFunctionsThatItCannotCheck) {
  const TensorFunction f = one([](const Tensor& t) { return t * t; });
  expect_error([&] { gradcheck(f, {ones({2}).requires_grad_()}); }, "gradcheck",
               {"input 0 is f32", "f64"});
  const Tensor x = leaf({1});
  expect_error([&] { gradcheck(f, {x * 2}); }, "gradcheck", {"not a leaf"});
  expect_error(
      [&] { gradcheck([](const std::vector<Tensor>&) { return std::vector<Tensor>(); }, {x}); },
      "gradcheck", {"no outputs"});
}

TEST(Gradcheck, TakesSeveralInputsOutputsAndConstants) {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4}), c = tensor({5, 6}, f64);
  const TensorFunction f = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{in[0] * in[1] * in[2], sum(in[0] / in[1])};
  };
  const GradcheckReport report = gradcheck(f, {a, b, c});
  EXPECT_EQ(report.compared, 2 * 2 * 2 + 2 * 2);
  EXPECT_TRUE(gradgradcheck(f, {a, b, c}));
}

TEST(Gradcheck, ReadsStridedInputsInPlace) {
  Tensor view = transpose(tensor({{1, 2, 3}, {4, 5, 6}}, f64));
  view.requires_grad_();
  const TensorFunction f = one([](const Tensor& t) { return sum(t * t * t, {1}); });
  EXPECT_TRUE(gradcheck(f, {view}));
  EXPECT_TRUE(gradgradcheck(f, {view}));
  test::expect_values(view, {1, 4, 2, 5, 3, 6});
}

TEST(Gradcheck, ShortensLongReports) {
  const Tensor x = ones({20}, {.dtype = f64}).requires_grad_();
  expect_error([&] { gradcheck(squares(3), {x}); }, "gradcheck", {"and 12 more"});
}

}  // namespace
}  // namespace ebb
