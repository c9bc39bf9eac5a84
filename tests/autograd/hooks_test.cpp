// Hooks of tensors, retain_grad, and anomaly detection.
#include <source_location>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

TEST(Hooks, SeeAndReplaceGradients) {
  Tensor x = leaf({2});
  Tensor y = x * x;
  std::vector<double> seen;
  y.register_hook([&](const Tensor& g) {
    seen.push_back(g.item());
    return Tensor();
  });
  y.register_hook([](const Tensor& g) { return g * 10; });
  x.register_hook([&](const Tensor& g) {
    seen.push_back(g.item());
    return g + 1;
  });
  (y * 3).backward();
  EXPECT_EQ(seen, (std::vector<double>{3, 120}));
  expect_values(x.grad(), {121});
}

TEST(Hooks, RunOnceWithTheWholeGradient) {
  Tensor x = leaf({2});
  int calls = 0;
  x.register_hook([&](const Tensor& g) {
    ++calls;
    expect_values(g, {7});
    return Tensor();
  });
  (x * 3 + x * 4).backward();
  EXPECT_EQ(calls, 1);
}

TEST(Hooks, OnTheRootChangeTheInitialGradient) {
  Tensor x = leaf({2});
  Tensor y = x * x;
  y.register_hook([](const Tensor& g) { return g * 5; });
  y.backward();
  expect_values(x.grad(), {20});
}

struct TestSquare {
  static constexpr std::string_view name = "test_square_loss";
  template <class T> EBB_HD T operator()(T a) const { return a * a; }
};

// The fused sum passes its gradient on if the upstream is known to be 1. A hook on it must not be
// skipped.
TEST(Hooks, OnAFusedLoss) {
  for (const double factor : {1.0, 5.0}) {
    Tensor x = leaf({1, 2});
    const Tensor* in[] = {&x};
    const TestSquare formula;
    Tensor loss = detail::pointwise_sum(detail::formula_op<TestSquare, 1, true>(), &formula, in,
                                        Tensor(), 0.5);
    expect_values(loss, {2.5});
    if (factor != 1) loss.register_hook([factor](const Tensor& g) { return g * factor; });
    loss.backward();
    expect_values(x.grad(), {factor, 2 * factor});
  }
}

TEST(Hooks, BadReplacementsAreRefused) {
  Tensor x = leaf({2});
  x.register_hook([](const Tensor&) { return ones({3}, {.dtype = f64}); });
  expect_error([&] { (x * x).backward(); }, "backward", {"hook", "(3,)"});
  expect_error([] { tensor({1}, f32).register_hook([](const Tensor& g) { return g; }); },
               "register_hook", {"require grad"});
}

TEST(Hooks, AreDifferentiatedUnderCreateGraph) {
  Tensor x = leaf({2});
  Tensor y = x * x;
  y.register_hook([](const Tensor& g) { return g * g; });
  const Tensor g = grad(y * x, x, {.create_graph = true});  // x^2 + x^2 2x
  expect_values(g, {4 + 16});
  expect_values(grad(g, x), {2 * 2 + 6 * 4});
}

TEST(RetainGrad, KeepsTheGradientOfAnIntermediateResult) {
  Tensor x = leaf({2});
  Tensor y = x * x;
  EXPECT_FALSE(y.grad().defined());
  y.retain_grad();
  const Tensor z = y * y + y;
  z.backward({}, true);
  expect_values(y.grad(), {9});
  expect_values(x.grad(), {36});
  z.backward();
  expect_values(y.grad(), {18});
  expect_error([] { tensor({1}, f32).retain_grad(); }, "retain_grad", {"does not require grad"});
}

// ---- anomaly detection: messages name the op and the line of this file ----

std::string here(int line) { return "hooks_test.cpp:" + std::to_string(line); }

TEST(Anomaly, NamesTheOpThatProducedIt) {
  const auto guard = detect_anomaly();
  const Tensor x = tensor({1, -1}, f64);
  const int line = std::source_location::current().line() + 1;
  expect_error([&] { log(x * 2); }, "log", {"made the first NaN", here(line), "in [-2, 2]"});
}

TEST(Anomaly, NamesTheOpWhoseGradientIsNotFinite) {
  const auto guard = detect_anomaly();
  Tensor x = leaf({0, 1});
  const int line = std::source_location::current().line() + 1;
  const Tensor root = sqrt(x);
  const Tensor loss = sum(root);
  expect_error([&] { loss.backward(); }, "backward",
               {"sqrt", here(line), "gradient of input 0", "made from gradients (2,) in [1, 1]"});
}

// The gradient of a structural op consists of ops inside of the library. The message must still
// have the user's line.
TEST(Anomaly, NamesTheUsersLineForOpsInsideABackward) {
  const auto guard = detect_anomaly();
  Tensor x = ones({2, 2}, {.dtype = f64}).requires_grad_();
  const Tensor w = full({2, 2}, 1e200, {.dtype = f64});
  const int line = std::source_location::current().line() + 1;
  const Tensor y = matmul(x, w);
  expect_error(
      [&] {
        y.backward(full({2, 2}, 1e200, {.dtype = f64}));
      },
      "", {"matmul", here(line)});
}

TEST(Anomaly, OperatorsAndCompositesKnowTheirCallSite) {
  const auto guard = detect_anomaly();
  const Tensor x = tensor({1, 0}, f64);
  const int line = std::source_location::current().line() + 1;
  expect_error([&] { x / x; }, "div", {here(line)});
  expect_error([&] { mean(zeros({0})); }, "mean", {here(line + 1)});
}

TEST(Anomaly, DoesNotReportNonFiniteInputs) {
  const auto guard = detect_anomaly();
  const Tensor y = exp(tensor({std::nan("")}, f64));
  EXPECT_TRUE(std::isnan(y.item()));
}

TEST(Anomaly, IsOffOutsideItsScope) {
  { const auto guard = detect_anomaly(); }
  EXPECT_FALSE(anomaly_detection());
  EXPECT_TRUE(std::isnan(log(tensor({-1}, f64)).item()));
}

}  // namespace
}  // namespace ebb
