// However a check ends, its inputs have their values back, and with raise = false it is a report.
#include "ebb/autograd/check/gradcheck.h"
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
using Tensors = std::vector<Tensor>;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

class GradcheckReports : public testing::TestWithParam<bool> {
 protected:
  GradcheckOptions quiet() const { return {.raise = false, .fast = GetParam()}; }
  GradcheckOptions loud() const { return {.fast = GetParam()}; }

  // Both checkers: a report that says so, and inputs as before.
  void expect_report(const TensorFunction& f, const Tensors& inputs, const std::string& part) {
    std::vector<std::vector<double>> before;
    for (const Tensor& t : inputs)
      before.push_back(t.defined() ? t.to_vector<double>() : std::vector<double>());
    for (const bool second : {false, true}) {
      const GradcheckReport report =
          second ? gradgradcheck(f, inputs, quiet()) : gradcheck(f, inputs, quiet());
      EXPECT_FALSE(report.passed);
      EXPECT_NE(report.message.find(part), std::string::npos) << report.message;
      EXPECT_ANY_THROW(second ? gradgradcheck(f, inputs, loud()) : gradcheck(f, inputs, loud()));
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i].defined()) expect_values(inputs[i], before[i], 0, 0, "input afterwards");
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Modes, GradcheckReports, testing::Bool());

TEST_P(GradcheckReports, AFunctionThatThrowsAtAMovedInput) {
  const Tensor x = leaf({1, 2});
  const auto refuse = [](bool standard) -> TensorFunction {
    return [standard](const Tensors& in) {
      if (in[0].to_vector<double>() != std::vector<double>{1, 2}) {
        if (standard) throw std::runtime_error("not there");
        throw 5;
      }
      return Tensors{in[0] * in[0]};
    };
  };
  expect_report(refuse(true), {x}, "not there");
  expect_report(refuse(false), {x}, "not a std::exception");
  EXPECT_THROW(gradcheck(refuse(false), {x}, loud()), int);
}

TEST_P(GradcheckReports, AFunctionThatAlwaysThrows) {
  const Tensor x = leaf({1, 2});
  expect_report([](const Tensors& in) { return Tensors{in[0] * zeros({3}, {.dtype = f64})}; }, {x},
                "broadcast");
  expect_report([](const Tensors&) { return Tensors{}; }, {x}, "no output");
}

TEST_P(GradcheckReports, OutputsThatChangeTheirNumberOrShape) {
  const Tensor x = leaf({1, 2});
  const auto moved = [](const Tensors& in) {
    return in[0].to_vector<double>() != std::vector<double>{1, 2};
  };
  expect_report(
      [&](const Tensors& in) {
        const Tensor y = in[0] * in[0];
        return moved(in) ? Tensors{slice(y, 0, 0, 1)} : Tensors{y};
      },
      {x}, "for other values of");
  expect_report(
      [&](const Tensors& in) {
        const Tensor y = in[0] * in[0];
        return moved(in) ? Tensors{} : Tensors{y};
      },
      {x}, "for other values of");
}

TEST_P(GradcheckReports, InputsWhoseElementsShareMemory) {
  const auto cube = [](const Tensors& in) { return Tensors{in[0] * in[0] * in[0]}; };
  const auto product = [](const Tensors& in) { return Tensors{in[0] * in[0] * in[1] * in[1]}; };
  const Tensor half = tensor({0.5}, f64);
  expect_report(cube, {expand(half, {2}).requires_grad_()}, "elements of input 0 share memory");
  const Tensor base = tensor({1, 2, 3}, f64);
  expect_report(product,
                {slice(base, 0, 0, 2).requires_grad_(), slice(base, 0, 1, 3).requires_grad_()},
                "elements of inputs 0 and 1 share memory");
  const Tensor x = leaf({1, 2});
  expect_report(product, {x.detach(), x}, "elements of inputs 0 and 1 share memory");
  expect_report(cube, {make_view(base, {2, 2}, {1, 1}).requires_grad_()}, "share memory");
  // Every second element of one storage: nothing is shared.
  const Tensor four = tensor({1, 2, 3, 4}, f64);
  EXPECT_TRUE(gradcheck(
      product, {slice(four, 0, 0, 4, 2).requires_grad_(), slice(four, 0, 1, 4, 2).requires_grad_()},
      loud()));
}

TEST_P(GradcheckReports, ArgumentsThatCannotBeChecked) {
  const auto square_of = [](const Tensors& in) { return Tensors{in[0] * in[0]}; };
  expect_report(square_of, {tensor({1., 2.}).requires_grad_()}, "need f64");
  expect_report(square_of, {leaf({1, 2}) * 2.0}, "is not a leaf");
  expect_report(square_of, {tensor({1, 2}, f64)}, "");
  expect_report(square_of, {zeros({0}, {.dtype = f64}).requires_grad_()}, "");
  expect_report(square_of, {Tensor()}, "undefined");
  expect_report(square_of, {leaf({std::nan("")})}, "");
}

struct TestThrowsBack {
  static constexpr std::string_view name = "test_throws_back";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) { return x.clone(); }
  static Tensor backward(const State&, const Tensor&) { fail(name, "cannot go back"); }
};

TEST_P(GradcheckReports, ABackwardThatThrows) {
  expect_report([](const Tensors& in) { return Tensors{apply<TestThrowsBack>(in[0])}; },
                {leaf({1, 2})}, "cannot go back");
}

// ---- derivatives that are too small to be told from none ----

struct TestTiny {  // 1e-6 x^2; the gradient with a factor
  static constexpr std::string_view name = "test_tiny";
  struct State {
    Saved x;
    double factor;
  };
  static int shape(const Tensor&, double) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x, double factor) {
    state = {Saved(x), factor};
    return x * x * 1e-6;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return state.x.get() * g * (2e-6 * state.factor);
  }
};

TEST_P(GradcheckReports, DerivativesThatAllLieBelowAtol) {
  const auto f = [](double factor) {
    return [factor](const Tensors& in) { return Tensors{apply<TestTiny>(in[0], factor)}; };
  };
  for (const double factor : {-0.5, 1.0}) {
    expect_error(
        [&] {
          gradcheck(f(factor), {leaf({1, 2})}, loud());
        },
        "gradcheck", {"every |numeric| by input 0 is below atol = 1e-05", "smaller atol"});
  }
  GradcheckOptions tight = quiet();
  tight.atol = 1e-9;
  EXPECT_TRUE(gradcheck(f(1), {leaf({1, 2})}, tight));
  EXPECT_FALSE(gradcheck(f(-0.5), {leaf({1, 2})}, tight));
  // One input with larger ones does not excuse another.
  const auto both = [](const Tensors& in) { return Tensors{in[0] * in[0] + in[1] * 1e-6}; };
  expect_error(
      [&] {
        gradcheck(both, {leaf({1, 2}), leaf({1, 2})}, loud());
      },
      "gradcheck", {"by input 1 is below atol"});
}

struct TestZero {  // 0, with gradient g
  static constexpr std::string_view name = "test_zero";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) { return x * 0.0; }
  static Tensor backward(const State&, const Tensor& g) { return g * 3.0; }
};

TEST_P(GradcheckReports, ARelativeErrorToZeroIsNotPrinted) {
  const GradcheckReport report = gradcheck(
      [](const Tensors& in) { return Tensors{apply<TestZero>(in[0])}; }, {leaf({1})}, quiet());
  EXPECT_NE(report.message.find("analytic 3, numeric 0"), std::string::npos) << report.message;
  EXPECT_EQ(report.message.find("relative error"), std::string::npos) << report.message;
  ASSERT_FALSE(report.failures.empty());
  EXPECT_TRUE(std::isinf(report.failures[0].relative_error));
}

}  // namespace
}  // namespace ebb
