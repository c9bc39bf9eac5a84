// The engine: the results of backward() and grad(), accumulation, freeing, and errors.
#include "ebb/autograd/graph/engine.h"

#include <pthread.h>

#include <climits>
#include <thread>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

// Returns x, and throws an Error in its backward.
struct TestThrows {
  static constexpr std::string_view name = "test_throws";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) { return x.clone(); }
  static Tensor backward(const State&, const Tensor&) { fail(name, "cannot go back"); }
};

// Runs body on a thread with a small stack. Recursion over a million ops would need a hundred times
// as much. (Threads with a smaller stack do not start if a library, such as CUDA's, has much
// thread-local memory.)
void on_small_stack(void (*body)()) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  const size_t bytes = std::max<size_t>(512 * 1024, static_cast<size_t>(PTHREAD_STACK_MIN));
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, bytes), 0);
  pthread_t thread;
  const auto run = [](void* f) -> void* {
    reinterpret_cast<void (*)()>(f)();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, reinterpret_cast<void*>(body)), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST(Engine, MillionOpsInASmallStack) {
  on_small_stack([] {
    Tensor x = leaf({1});
    {
      Tensor y = x;
      for (int i = 0; i < 500'000; ++i) y = (y * 1.0000001) * x;  // 1,000,000 ops; saves its inputs
      y.backward(ones_like(y), true);
      EXPECT_NEAR(x.grad().item(), 500'001 * y.item(), 1e-3);
    }  // freed with its saved tensors
    {
      Tensor y = x;
      for (int i = 0; i < 200'000; ++i) y = sigmoid(y);  // saves its outputs
    }                                                    // freed without backward
    {
      Tensor y = x;
      for (int i = 0; i < 200'000; ++i) y = y + 1;
      expect_values(grad(y, x), {1});  // marks the nodes that lead to x; freed during the traversal
    }
  });
}

TEST(Engine, FanOutAndDiamond) {
  Tensor x = leaf({2, 3});
  const Tensor a = x * x, b = exp(x), y = a * b + a;  // a is used twice, x three times
  y.backward(ones_like(y));
  std::vector<double> want;
  for (double v : {2.0, 3.0}) want.push_back((2 * v + v * v) * std::exp(v) + 2 * v);
  expect_values(x.grad(), want, 1e-14);
  const Tensor twice = x + x;
  x.set_grad({});
  sum(twice * twice).backward();
  expect_values(x.grad(), {16, 24});
}

TEST(Engine, LeavesAccumulateOverSeveralBackwards) {
  Tensor x = leaf({2});
  (x * x).backward();
  (x * x).backward();
  expect_values(x.grad(), {8});
  x.set_grad({});
  EXPECT_FALSE(x.grad().defined());
  (x * x).backward();
  expect_values(x.grad(), {4});
}

TEST(Engine, AccumulationNeverChangesATensorOfTheCaller) {
  Tensor x = leaf({1, 2});
  const Tensor upstream = tensor({1, 1}, f64);
  (x + x + x).backward(upstream);  // every intermediate gradient is the upstream itself
  expect_values(x.grad(), {3, 3});
  expect_values(upstream, {1, 1});

  Tensor z = leaf({1, 2});
  (z + 0).backward(upstream);
  const Tensor kept = z.grad();  // a second handle, which the next backward must not change
  (z + 0).backward(upstream);
  expect_values(kept, {1, 1});
  expect_values(z.grad(), {2, 2});
  expect_values(upstream, {1, 1});

  // A gradient that is a view of another.
  Tensor w = leaf({1, 2});
  const Tensor rows = expand(w, {3, 2});
  (sum(rows) + sum(w * 2)).backward();
  expect_values(w.grad(), {5, 5});
}

TEST(Engine, InitialGradientIsNotSharedWithTheCaller) {
  Tensor x = leaf({3});
  const Tensor y = reshape(x, {}) + 1;  // the gradient of x is the initial gradient itself
  Tensor g = grad(y, y, {.retain_graph = true});
  g.mul_(5);
  Tensor h = grad(y, x, {.retain_graph = true});
  expect_values(h, {1});
  h.fill_(7);
  Tensor other = leaf({1});
  (reshape(other, {}) + 1).backward({}, false, true);
  expect_values(other.grad(), {1});
  {
    Tensor changed = other.grad();
    changed.fill_(9);
  }
  y.backward({}, true);
  expect_values(x.grad(), {1});
  for (int changes = 1; changes <= 3; ++changes) {  // and dropped
    {
      Tensor seed = grad(y, y, {.retain_graph = true});
      for (int i = 0; i < changes; ++i) seed.mul_(5);
    }
    expect_values(grad(y, x, {.retain_graph = true}), {1});
  }
}

TEST(Engine, GradDoesNotChangeTheLeaves) {
  Tensor x = leaf({2}), w = leaf({5});
  const Tensor y = x * w;
  const std::vector<Tensor> g = grad(y, {x, w});
  expect_values(g[0], {5});
  expect_values(g[1], {2});
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

TEST(Engine, GradOfIntermediates) {
  Tensor x = leaf({2});
  const Tensor a = x * x, y = a * a;
  const std::vector<Tensor> g = grad(y, {a, x, y});
  expect_values(g[0], {8});
  expect_values(g[1], {32});
  expect_values(g[2], {1});
}

TEST(Engine, UnusedInputs) {
  Tensor x = leaf({2}), w = leaf({5});
  expect_error(
      [&] {
        grad(x * x, {x, w});
      },
      "grad", {"input 1", "has no influence", "allow_unused"});
  const std::vector<Tensor> g = grad(x * x, {x, w}, {.allow_unused = true});
  EXPECT_TRUE(g[0].defined());
  EXPECT_FALSE(g[1].defined());
  expect_error([&] { grad(x * x, tensor({1}, f64)); }, "grad", {"does not require grad"});
}

TEST(Engine, RetainGraph) {
  Tensor x = leaf({2});
  const Tensor y = x * x;
  y.backward({}, true);
  y.backward({}, true);
  y.backward();
  expect_values(x.grad(), {12});
  expect_error([&] { y.backward(); }, "backward",
               {"mul", "freed by an earlier backward", "retain_graph"});
  expect_values(x.grad(), {12});
  // A graph that contains a shared part which has been freed.
  const Tensor shared = exp(x), left = shared * 2, right = shared * 3;
  left.backward();
  expect_error([&] { right.backward(); }, "backward", {"exp", "freed"});
}

TEST(Engine, CreateGraphGivesHigherOrders) {
  Tensor x = leaf({1.5});
  Tensor d = x * x * x * x;
  for (double want : {4 * 3.375, 12 * 2.25, 24 * 1.5, 24.0}) {
    d = grad(d, x, {.create_graph = true});
    expect_values(d, {want}, 1e-14);
  }
  EXPECT_TRUE(x.requires_grad());
  EXPECT_FALSE(grad(x * x, x).requires_grad());
  (x * x).backward({}, false, true);
  EXPECT_TRUE(x.grad().requires_grad());
  x.set_grad({});  // a leaf that owns the graph of its own gradient is a cycle
}

TEST(Engine, RootsAreChecked) {
  Tensor x = leaf({1, 2});
  expect_error([&] { (x * x).backward(); }, "backward", {"(2,)", "not a scalar"});
  expect_error([&] { (x * x).backward(ones({3}, {.dtype = f64})); }, "backward",
               {"(3,)", "does not match", "(2,)"});
  expect_error([&] { (x * x).backward(ones({2})); }, "backward", {"f32", "f64"});
  expect_error([&] { tensor({1}, f32).backward(); }, "backward", {"does not require grad"});
  expect_error([&] { Tensor().backward(); }, "backward", {"undefined"});
  expect_error([&] { grad(std::span<const Tensor>(), std::span(&x, 1)); }, "grad",
               {"at least one output"});
  const Tensor y = x * x;
  expect_error(
      [&] {
        grad(y, x, {.grad_outputs = {y, y}});
      },
      "grad", {"2 gradients for 1 outputs"});
}

TEST(Engine, SeveralRoots) {
  Tensor x = leaf({2});
  const Tensor a = x * x, b = a * 3, roots[] = {a, b, a};
  backward(roots, {}, false, false);
  expect_values(x.grad(), {4 + 12 + 4});
  x.set_grad({});
  const Tensor c = x * x, d = c * 3, more[] = {c, d},
               seeds[] = {tensor({10}, f64), tensor({1}, f64)};
  backward(more, seeds, false, false);
  expect_values(x.grad(), {52});
}

TEST(Engine, LeavesAreUnchangedWhenBackwardThrows) {
  Tensor x = leaf({2}), w = leaf({3});
  (x * w).backward();
  const Tensor deep = exp(exp(w)) * x;  // the engine reaches it first
  const Tensor y = deep + apply<TestThrows>(x);
  expect_error([&] { y.backward(); }, "test_throws", {"cannot go back"});
  expect_values(x.grad(), {3});
  expect_values(w.grad(), {2});
  (x * w).backward();  // the engine still works
  expect_values(x.grad(), {6});
}

TEST(Engine, OnlyTheRootHasAUnitSeed) {
  Tensor x = leaf({1, 2});
  (sum(x * x) * 1).backward();
  expect_values(x.grad(), {2, 4});
  x.set_grad({});
  sum(x * x).backward(scalar(3, {.dtype = f64}));
  expect_values(x.grad(), {6, 12});
}

TEST(Engine, NoGradAndDetach) {
  Tensor x = leaf({2});
  {
    const NoGrad guard;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE((x * x).requires_grad());
    {
      const GradMode on(true);
      EXPECT_TRUE((x * x).requires_grad());
    }
  }
  EXPECT_TRUE(grad_enabled());
  const Tensor cut = (x * x).detach();
  EXPECT_FALSE(cut.requires_grad());
  (cut * x).backward();
  expect_values(x.grad(), {4});
  EXPECT_FALSE((tensor({1}, f64) * tensor({2}, f64)).requires_grad());
}

TEST(Engine, LeavesAndResults) {
  Tensor x = leaf({2});
  Tensor y = x * x;
  EXPECT_TRUE(x.is_leaf());
  EXPECT_FALSE(y.is_leaf());
  EXPECT_EQ(y.grad_node_name(), "mul");
  EXPECT_EQ(x.grad_node_name(), "");
  expect_error([&] { y.requires_grad_(); }, "requires_grad_", {"result of an op"});
  Tensor n = zeros({2}, {.dtype = i64});
  expect_error([&] { n.requires_grad_(); }, "requires_grad_", {"i64"});
  expect_error([&] { y.set_grad(y); }, "set_grad", {"not a leaf"});
  expect_error([&] { x.set_grad(zeros({3}, {.dtype = f64})); }, "set_grad", {"(3,)"});
  x.requires_grad_(false);
  EXPECT_FALSE((x * x).requires_grad());
}

TEST(Engine, GradientsKeepDtypeAndShape) {
  Tensor x = ones({2, 3}).requires_grad_(), bias = ones({3}).requires_grad_();
  sum((x + bias).to(f64) * 2).backward();
  EXPECT_EQ(x.grad().dtype(), f32);
  EXPECT_EQ(to_text(bias.grad().shape()), "(3,)");
  expect_values(bias.grad(), {4, 4, 4});
}

TEST(Engine, DifferentGraphsOnDifferentThreads) {
  std::vector<std::thread> threads;
  std::vector<double> results(4);
  for (size_t t = 0; t < results.size(); ++t) {
    threads.emplace_back([&results, t] {
      Tensor x = leaf({1.0 + static_cast<double>(t)});
      for (int i = 0; i < 2000; ++i) {
        x.set_grad({});
        (sigmoid(x) * exp(x)).backward();
      }
      results[t] = x.grad().item();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < results.size(); ++t) {
    const double x = 1.0 + static_cast<double>(t), s = 1 / (1 + std::exp(-x));
    EXPECT_NEAR(results[t], s * std::exp(x) * (2 - s), 1e-12 * results[t]);
  }
}

}  // namespace
}  // namespace ebb
