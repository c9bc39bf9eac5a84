// Depth: nested backwards have a limit that is an Error, deep graphs have none.
#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/inspect/picture.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

struct TestNested {  // 2x, whose backward walks a graph with an op of its own kind in it
  static constexpr std::string_view name = "test_nested";
  struct State {
    int levels;
  };
  static int shape(const Tensor&, int) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x, int levels) {
    state = {levels};
    const NoGrad guard;
    return x * 2.0;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    if (state.levels == 0) return g * 2.0;
    const GradMode on(true);
    const Tensor x = g.detach().requires_grad_();
    return grad(apply<TestNested>(x, state.levels - 1), x, {.grad_outputs = {g}});
  }
};

TEST(Depth, NestedBackwardsHaveALimitThatAnErrorNames) {
  const Tensor x = leaf({1});
  expect_values(grad(apply<TestNested>(x, 100), x), {2});
  expect_error([&] { apply<TestNested>(x, 20'000).backward(); }, "backward",
               {"test_nested", "nested 128 levels deep", "limit is 128"});
  EXPECT_FALSE(x.grad().defined());
  expect_values(grad(apply<TestNested>(x, 100), x), {2});  // and it goes on
}

TEST(Depth, AGradientThatIsRecordedIsFreedWithoutRecursion) {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 100'000; ++i) y = y * x;
  Tensor g = grad(y, x, {.create_graph = true});
  expect_values(g, {100'001});
  y = Tensor();
  g = Tensor();
}

TEST(Depth, InspectionOfADeepGraph) {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 20'000; ++i) y = y + 1.0;
  const std::string text = graph_text(y);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 20'002);
  const auto guard = detect_anomaly();
  y.backward();
  expect_values(x.grad(), {1});
  const auto deep = [](const std::vector<Tensor>& in) {
    Tensor z = in[0];
    for (int i = 0; i < 2'000; ++i) z = z + 1.0;
    return std::vector{z};
  };
  EXPECT_TRUE(gradcheck(deep, {leaf({1})}));
}

TEST(Cycle, ALeafThatOwnsTheGraphOfItsGradientIsSaidOnce) {
  const Tensor x = leaf({3});
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) {
    x.set_grad({});
    (x * x).backward({}, false, true);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  x.set_grad({});
  // Another test of this program may have been the one that made it speak.
  EXPECT_LE(std::count(said.begin(), said.end(), '\n'), 1) << said;
  if (!said.empty()) {
    EXPECT_NE(said.find("set_grad({})"), std::string::npos) << said;
  }
  testing::internal::CaptureStderr();
  grad(x * x, x, {.create_graph = true});
  (x * x).backward();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Grad, OfNoInputsIsAnError) {
  const Tensor y = leaf({1}) * 2.0;
  expect_error([&] { grad(y, {}); }, "grad", {"expected at least one input"});
  const std::vector<Tensor> none;
  expect_error([&] { grad(y, none); }, "grad", {"expected at least one input"});
}

// ---- how backward and its companions may be called ----

TEST(Calls, BackwardTakesNamedOptions) {
  const Tensor x = leaf({2}), w = leaf({5});
  const Tensor y = x * w;
  y.backward({.retain_graph = true});
  y.backward({.gradient = tensor({10}, f64), .retain_graph = true});
  expect_values(x.grad(), {55});
  y.backward({.retain_graph = true, .inputs = {w}});
  expect_values(x.grad(), {55});
  expect_values(w.grad(), {24});
  y.backward({.create_graph = true, .inputs = {x}});
  EXPECT_TRUE(x.grad().requires_grad());
  x.set_grad({});
  y.backward({});  // no gradient, as before
  expect_values(x.grad(), {5});
  expect_error([&] { (x * w).backward({.inputs = {x * 2.0}}); }, "backward",
               {"is not a leaf that requires grad"});
  const Tensor unused = leaf({1});
  (x * w).backward({.inputs = {unused, x, x}});
  EXPECT_FALSE(unused.grad().defined());
  expect_values(x.grad(), {10});
}

TEST(Calls, BracesAndLists) {
  const Tensor x = leaf({2});
  const Tensor a = x * 3.0, b = x * x;
  backward({a, b}, {tensor({10}, f64), tensor({1}, f64)});
  expect_values(x.grad(), {34});
  backward({x * 1.0});
  expect_values(x.grad(), {35});
  const std::vector<Tensor> parameters{x};
  expect_values(grad(x * x, parameters)[0], {4});
}

TEST(Calls, HooksMayReturnNothingAndHandlesMayBeConst) {
  const Tensor x = leaf({2});
  const Tensor y = x * x;
  double seen = 0;
  y.retain_grad();
  HookHandle handle = y.register_hook([&](const Tensor& g) { seen += g.item(); });
  x.register_hook([](const Tensor& g) { return g * 10.0; });
  y.backward({.retain_graph = true});
  EXPECT_EQ(seen, 1);
  expect_values(x.grad(), {40});
  expect_values(y.grad(), {1});
  handle.remove();
  y.backward();
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace ebb
