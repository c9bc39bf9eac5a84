// The backward pass beyond its numbers: what it skips, what it cleans up, and which buffers it
// passes on.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;
using Tensors = std::vector<Tensor>;

Tensor leaf(std::initializer_list<double> values, DType dtype = f64) {
  return tensor(values, dtype).requires_grad_();
}

// a + 2 b + 3 c ... Records which gradients its backward has to compute, and throws if requested.
struct Asked {
  std::vector<bool> needs;
  const Node* running = nullptr;
  bool throws = false;
};
struct TestWeighted {
  static constexpr std::string_view name = "test_weighted";
  struct State {
    size_t count = 0;
    Asked* asked = nullptr;
  };
  static int shape(const Tensors&, Asked*) { return 0; }
  static Tensor forward(State& state, int, const Tensors& list, Asked* asked) {
    state = {list.size(), asked};
    Tensor total = list[0].clone();
    for (size_t i = 1; i < list.size(); ++i) total = total + list[i] * static_cast<double>(i + 1);
    return total;
  }
  static Tensors backward(const State& state, const Tensor& g, const BackwardContext& context) {
    state.asked->running = detail::current_node();
    state.asked->needs.clear();
    Tensors gradients;
    for (size_t i = 0; i < state.count; ++i) {
      const bool needs = context.needs(static_cast<int>(i));
      state.asked->needs.push_back(needs);
      gradients.push_back(needs ? g * static_cast<double>(i + 1) : Tensor());
    }
    if (state.asked->throws) fail(name, "on demand");
    return gradients;
  }
};

TEST(BackwardPass, RequestsOnlyNeededGradients) {
  for (const size_t count : {2u, 4u, 5u, 70u}) {
    Asked asked;
    Tensors in;
    for (size_t i = 0; i < count; ++i) in.push_back(leaf({1, 2}));
    const Tensor y = sum(apply<TestWeighted>(in, &asked));
    const size_t last = count - 1;
    const Tensors g = grad(std::span(&y, 1), Tensors{in[last]}, {.retain_graph = true});
    expect_values(g[0], {static_cast<double>(count), static_cast<double>(count)});
    for (size_t i = 0; i < count; ++i) {
      const bool known = i < 64;  // gradients of the inputs above are always requested
      EXPECT_EQ(asked.needs[i], i == last || !known) << i << " of " << count;
    }
    y.backward();
    for (size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(asked.needs[i]);
      expect_values(in[i].grad(), {static_cast<double>(i + 1), static_cast<double>(i + 1)});
    }
  }
}

// The context has bits for fewer inputs than this. The gradients of the others are always
// requested, and must not affect the ones that have bits.
TEST(BackwardPass, RequestsTheFirstOfMany) {
  Asked asked;
  Tensors in;
  for (size_t i = 0; i < 70; ++i) in.push_back(leaf({1, 2}));
  const Tensor y = sum(apply<TestWeighted>(in, &asked));
  expect_values(grad(y, in[0]), {1, 1});
  EXPECT_TRUE(asked.needs[0]);
  EXPECT_FALSE(asked.needs[1]);
}

TEST(BackwardPass, SkipsNodesThatLeadToNoRequestedInput) {
  Asked near, far;
  const Tensor a = leaf({1}), b = leaf({2}), c = leaf({3});
  const Tensor deep = apply<TestWeighted>(Tensors{a, b}, &far);
  const Tensor y = apply<TestWeighted>(Tensors{deep, c}, &near);
  expect_values(grad(y, c, {.retain_graph = true}), {2});
  EXPECT_EQ(near.needs, (std::vector<bool>{false, true}));
  EXPECT_TRUE(far.needs.empty()) << "its backward ran";
  // Requests a tensor in the middle and one before it.
  const Tensors both = grad(y, {deep, a}, {.retain_graph = true});
  expect_values(both[0], {1});
  expect_values(both[1], {1});
  EXPECT_EQ(far.needs, (std::vector<bool>{true, false}));
  far.needs.clear();
  expect_values(grad(y, deep), {1});
  EXPECT_TRUE(far.needs.empty()) << "nothing behind it was asked for";
}

TEST(BackwardPass, CleansUpAfterAnError) {
  Asked asked;
  asked.throws = true;
  const Tensor x = leaf({1, 2}), z = leaf({5, 6});
  const Tensor inner = x * 3;
  const Tensor y = sum(apply<TestWeighted>(Tensors{inner, z}, &asked)) + sum(inner * z);
  expect_error([&] { y.backward({}, true); }, "test_weighted", {"on demand"});
  EXPECT_EQ(detail::current_node(), nullptr);
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(z.grad().defined());
  asked.throws = false;
  y.backward();
  EXPECT_EQ(detail::current_node(), nullptr);
  EXPECT_NE(asked.running, nullptr);
  expect_values(x.grad(), {3 * (1 + 5), 3 * (1 + 6)});
  expect_values(z.grad(), {2 + 3, 2 + 6});
}

struct TestHalfSquare {
  static constexpr std::string_view name = "test_half_square";
  template <class T> EBB_HD T operator()(T a) const { return T(0.5) * a * a; }
};
Tensor fused_loss(const Tensor& x) {
  const Tensor* in[] = {&x};
  const TestHalfSquare formula;
  return detail::pointwise_sum(detail::formula_op<TestHalfSquare, 1, true>(), &formula, in,
                               Tensor(), 1);
}

// A fused loss passes its gradient on if the upstream is known to be 1. Here it is not.
TEST(BackwardPass, UnitSeedNeedsASingleRoot) {
  const Tensor x = leaf({1, 2});
  const Tensor loss = fused_loss(x);
  const Tensor twice[] = {loss, loss};
  backward(twice, {}, false, false);
  expect_values(x.grad(), {2, 4});
  EXPECT_EQ(fused_loss(x).node()->saved_bytes(), 32)
      << "the input and its gradient, two doubles each";
  const Tensor y = leaf({1, 2});
  (fused_loss(y) * 3).backward();
  expect_values(y.grad(), {3, 6});
  const Tensor z = leaf({1, 2});
  const Tensor both[] = {fused_loss(z), sum(z)};
  backward(both, {}, false, false);
  expect_values(z.grad(), {2, 3});
  const Tensor w = leaf({1, 2});
  fused_loss(w).backward(scalar(7, {.dtype = f64}));
  expect_values(w.grad(), {7, 14});
}

TEST(BackwardPass, LeavesOwnTheirGradients) {
  Tensor x = leaf({1, 2, 3});
  sum(x).backward();  // the gradient arrives as one element, expanded
  EXPECT_TRUE(x.grad().is_contiguous());
  Tensor mine = x.grad();
  mine.mul_(2);
  expect_values(x.grad(), {2, 2, 2});
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  sum(a + b).backward();  // one buffer for both
  Tensor of_a = a.grad();
  of_a.mul_(10);
  expect_values(b.grad(), {1, 1});
  // The upstream gradient is a tensor of the caller and must not change.
  Tensor c = leaf({1, 2}), upstream = tensor({7, 8}, f64);
  alias(c).backward(upstream);
  Tensor of_c = c.grad();
  of_c.mul_(0);
  expect_values(upstream, {7, 8});
  c.set_grad({});
  alias(c).backward(upstream);
  alias(c).backward(upstream);
  expect_values(c.grad(), {14, 16});
  expect_values(upstream, {7, 8});
}

// grad() does not change leaves, nor gradients that retain_grad() keeps.
TEST(BackwardPass, GradDoesNotChangeRetainedGradients) {
  const Tensor x = leaf({1, 2});
  Tensor y = x * 3;
  y.retain_grad();
  const Tensor z = sum(y * y);
  expect_values(grad(z, x, {.retain_graph = true}), {18, 36});
  EXPECT_FALSE(y.grad().defined());
  z.backward();
  expect_values(y.grad(), {6, 12});
}

TEST(BackwardPass, CreateGraphRecordsSumsOfGradients) {
  Tensor x = leaf({2});
  (x * x * x).backward({}, false, true);
  (x * x).backward({}, false, true);
  expect_values(x.grad(), {12 + 4});
  EXPECT_TRUE(x.grad().requires_grad());
  expect_values(grad(x.grad(), x), {12 + 2});
}

}  // namespace
}  // namespace ebb
