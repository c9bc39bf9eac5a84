// Hooks of nodes: their arguments, what they may replace, and when they end.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/graph/node_extras.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;
using Tensors = std::vector<Tensor>;
using Gradients = std::span<const Tensor>;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

TEST(NodeHooks, AreCalledWithTheGradientsOfInputsAndOutputs) {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4});
  const Tensor y = x * w;
  int before = 0, after = 0;
  y.node()->register_prehook([&](Gradients outputs) {
    ++before;
    EXPECT_EQ(after, 0);
    EXPECT_EQ(outputs.size(), 1u);
    expect_values(outputs[0], {10, 20});
    return Tensors{};
  });
  y.node()->register_hook([&](Gradients inputs, Gradients outputs) {
    ++after;
    EXPECT_EQ(inputs.size(), 2u);
    expect_values(inputs[0], {30, 80});
    expect_values(inputs[1], {10, 40});
    expect_values(outputs[0], {10, 20});
    return Tensors{};
  });
  y.backward(tensor({10, 20}, f64));
  EXPECT_EQ(before, 1);
  EXPECT_EQ(after, 1);
  expect_values(x.grad(), {30, 80});
}

TEST(NodeHooks, ReplaceGradientsByTheirResults) {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4});
  const Tensor y = x * w;
  y.node()->register_prehook([](Gradients outputs) { return Tensors{outputs[0] * 2}; });
  // Prehooks run in order.
  y.node()->register_prehook([](Gradients outputs) { return Tensors{outputs[0] + 1}; });
  y.node()->register_hook([](Gradients inputs, Gradients) {
    return Tensors{Tensor(), inputs[1] * 100};
  });
  sum(y).backward();
  expect_values(x.grad(), {9, 12});
  expect_values(w.grad(), {300, 600});
}

// Hooks of tensors run first. grad() then takes its gradients, before the hooks of the node.
TEST(NodeHooks, RunAfterThoseOfTensors) {
  const Tensor x = leaf({2});
  Tensor y = x * x;
  y.register_hook([](const Tensor& g) { return g * 10; });
  y.node()->register_prehook([](Gradients outputs) {
    expect_values(outputs[0], {10});
    return Tensors{outputs[0] + 1};
  });
  const Tensors g = grad(y + 0, {y, x});
  expect_values(g[0], {10});
  expect_values(g[1], {44});
}

TEST(NodeHooks, SeeNoGradientThatIsNotNeeded) {
  const auto watch = [](const Tensor& y, std::vector<bool>& defined) {
    y.node()->register_hook([&defined](Gradients inputs, Gradients) {
      defined.clear();
      for (const Tensor& g : inputs) defined.push_back(g.defined());
      return Tensors{};
    });
  };
  using Flags = std::vector<bool>;
  std::vector<bool> defined;
  const Tensor x = leaf({1, 2}), c = tensor({3, 4}, f64);
  Tensor y = c * x;
  watch(y, defined);
  sum(y).backward({}, true);
  EXPECT_EQ(defined, (Flags{false, true}));
  // A fused loss, plain and under create_graph, and a call that requests only one of two inputs.
  for (const bool create_graph : {false, true}) {
    y = nn::mse_loss(c, x);
    watch(y, defined);
    grad(y, x, {.create_graph = create_graph});
    EXPECT_EQ(defined, (Flags{false, true})) << create_graph;
    const Tensor t = leaf({5, 6});
    y = nn::mse_loss(x, t);
    watch(y, defined);
    grad(y, t, {.create_graph = create_graph});
    EXPECT_EQ(defined, (Flags{false, true})) << create_graph;
  }
}

// A backward may return the broadcast shape, which the engine sums. A hook sees the shape of the
// input.
TEST(NodeHooks, SeeTheInputsShapes) {
  const Tensor x = leaf({1, 2}), w = leaf({3});
  const Tensor y = x * w;
  y.node()->register_hook([](Gradients inputs, Gradients) {
    EXPECT_EQ(to_text(inputs[1].shape()), "(1,)");
    expect_values(inputs[1], {3});
    return Tensors{Tensor(), inputs[1] * 2};
  });
  sum(y).backward();
  expect_values(w.grad(), {6});
}

TEST(NodeHooks, GradientsThatDoNotFitAreErrors) {
  const Tensor x = leaf({1, 2}), c = tensor({3, 4}, f64);
  const auto with = [&](auto prehook, auto hook) {
    const Tensor y = x * c;
    if (prehook) y.node()->register_prehook(prehook);
    if (hook) y.node()->register_hook(hook);
    sum(y).backward();
  };
  const NodePreHook none;
  const NodeHook no;
  const auto three = [](DType dtype = f64) { return ones({3}, {.dtype = dtype}); };
  const auto before = [&](Tensors list) { return NodePreHook([list](Gradients) { return list; }); };
  const auto after = [&](Tensors list) {
    return NodeHook([list](Gradients, Gradients) { return list; });
  };
  expect_error([&] { with(before({three()}), no); }, "backward",
               {"mul (2,) f64", "output 0, (2,) f64", "(3,)"});
  expect_error([&] { with(before({ones({2})}), no); }, "backward", {"output 0", "f64", "f32"});
  expect_error(
      [&] {
        with(before({three(), three()}), no);
      },
      "backward", {"2 gradients for 1 outputs"});
  expect_error(
      [&] {
        with(none, after({three(), {}}));
      },
      "backward", {"mul (2,) f64", "input 0, (2,) f64", "(3,)"});
  expect_error([&] { with(none, after({{}, c})); }, "backward", {"input 1", "wants none"});
  expect_error([&] { with(none, after({c})); }, "backward", {"1 gradients for 2 inputs"});
  EXPECT_FALSE(x.grad().defined());
  expect_error([&] { x.node()->register_hook(no); }, "register_hook",
               {"leaf (2,) f64", "no backward"});
  expect_error([&] { x.node()->register_prehook(none); }, "register_hook",
               {"leaf (2,) f64", "no backward"});
}

// d/dx of (g(x) = 2 x h(x)): computations in hooks are part of the graph.
TEST(NodeHooks, AreDifferentiatedUnderCreateGraph) {
  const Tensor x = leaf({3});
  const Tensor y = x * x;
  // g = 2 x^2
  y.node()->register_prehook([x](Gradients outputs) { return Tensors{outputs[0] * x}; });
  const Tensor g = grad(y, x, {.create_graph = true});
  expect_values(g, {18});
  expect_values(grad(g, x), {12});
  const Tensor z = x * 5;
  // 5 x^2
  z.node()->register_hook([x](Gradients inputs, Gradients) { return Tensors{inputs[0] * x * x}; });
  const Tensor h = grad(z, x, {.create_graph = true});
  expect_values(h, {45});
  expect_values(grad(h, x), {30});
}

// x -> (2 x, 3 x)
struct TestTwoFactors {
  static constexpr std::string_view name = "test_two_factors";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static std::array<Tensor, 2> forward(State&, int, const Tensor& x) { return {x * 2, x * 3}; }
  static Tensor backward(const State&, Gradients g) {
    Tensor total;
    for (size_t i = 0; i < 2; ++i) {
      if (!g[i].defined()) continue;
      const Tensor part = g[i] * static_cast<double>(i + 2);
      total = total.defined() ? total + part : part;
    }
    return total;
  }
};

TEST(NodeHooks, OfSeveralOutputs) {
  const Tensor x = leaf({1, 2});
  const auto y = apply<TestTwoFactors>(x);
  EXPECT_EQ(y[0].node(), y[1].node());
  int calls = 0;
  y[0].node()->register_prehook([&](Gradients outputs) {
    ++calls;
    EXPECT_EQ(outputs.size(), 2u);
    EXPECT_FALSE(outputs[0].defined()) << "nothing came to it: zero";
    expect_values(outputs[1], {1, 1});
    return Tensors{ones({2}, {.dtype = f64}) * 10,
                   Tensor()};  // a gradient where there was none; the other is kept
  });
  sum(y[1]).backward();
  EXPECT_EQ(calls, 1);
  expect_values(x.grad(), {23, 23});
}

struct TestSquares {
  static constexpr std::string_view name = "test_squares_loss";
  template <class T> EBB_HD T operator()(T a) const { return a * a; }
};

// The fused sum does not read an initial gradient that is known to be 1. With hooks it is not
// known.
TEST(NodeHooks, OnTheRootChangeTheInitialGradient) {
  Tensor x = leaf({1, 2});
  const Tensor* in[] = {&x};
  const TestSquares formula;
  const Tensor loss = detail::pointwise_sum(detail::formula_op<TestSquares, 1, true>(), &formula,
                                            in, Tensor(), 0.5);
  loss.node()->register_prehook([](Gradients outputs) { return Tensors{outputs[0] * 7}; });
  loss.node()->register_hook([](Gradients inputs, Gradients) { return Tensors{inputs[0] * 10}; });
  loss.backward();
  expect_values(x.grad(), {70, 140});
}

TEST(NodeHooks, RunOnlyIfTheNodeRuns) {
  const Tensor x = leaf({1}), w = leaf({2});
  const Tensor side = x * x, y = side * w;
  int calls = 0;
  side.node()->register_prehook([&](Gradients) {
    ++calls;
    return Tensors{};
  });
  grad(y, w, {.retain_graph = true});
  EXPECT_EQ(calls, 0);
  grad(y, x);
  EXPECT_EQ(calls, 1);
}

TEST(NodeHooks, CanBeRemoved) {
  const Tensor x = leaf({1});
  Tensor y = x * x;
  auto held = std::make_shared<int>(0);
  HookHandle of_tensor = y.register_hook([held](const Tensor& g) { return ++*held, g * 2; });
  HookHandle before =
      y.node()->register_prehook([held](Gradients g) { return ++*held, Tensors{g[0] * 3}; });
  HookHandle after = y.node()->register_hook([held](Gradients g, Gradients) {
    return ++*held, Tensors{g[0] * 5, Tensor()};
  });
  expect_values(grad(y, x, {.retain_graph = true}), {2 * 3 * (5 + 1)});
  EXPECT_EQ(*held, 3);
  for (HookHandle* handle : {&of_tensor, &before, &after, &before}) handle->remove();
  EXPECT_EQ(held.use_count(), 1) << "what a removed hook held is freed";
  expect_values(grad(y, x), {2});
  EXPECT_EQ(*held, 3);
}

TEST(NodeHooks, MayRemoveThemselvesAndRegisterOthers) {
  const Tensor x = leaf({1});
  const Tensor y = x * x;
  int first = 0, second = 0;
  HookHandle handle;
  handle = y.node()->register_prehook([&](Gradients) {
    ++first;
    handle.remove();
    for (int i = 0; i < 10; ++i) {
      y.node()->register_prehook([&](Gradients) {
        ++second;
        return Tensors{};
      });
    }
    return Tensors{};
  });
  grad(y, x, {.retain_graph = true});
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0) << "from the next walk on";
  grad(y, x);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 10);
}

TEST(NodeHooks, HandlesKeepNoGraphAlive) {
  HookHandle handle;
  std::weak_ptr<int> watched;
  {
    const Tensor x = leaf({1});
    const Tensor y = x * x;
    const auto held = std::make_shared<int>(0);
    watched = held;
    handle = y.node()->register_prehook([held](Gradients) { return Tensors{}; });
  }
  EXPECT_TRUE(watched.expired());
  handle.remove();
  HookHandle().remove();
}

// A hook that each step registers on a leaf and removes must not accumulate.
TEST(NodeHooks, RemovedOnesLeaveTheList) {
  Tensor x = leaf({1});
  for (int i = 0; i < 100; ++i) x.register_hook([](const Tensor& g) { return g; }).remove();
  EXPECT_LE(x.node()->extras().hooks.size(), 1u);
  const Tensor y = x * x;
  for (int i = 0; i < 100; ++i)
    y.node()->register_prehook([](Gradients) { return Tensors{}; }).remove();
  EXPECT_LE(y.node()->extras().prehooks.size(), 1u);
}

}  // namespace
}  // namespace ebb
