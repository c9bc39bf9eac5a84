// pointwise_sum, scale * sum(weight * f(x...)) in one pass: its weight, what it keeps in memory,
// second-order nodes.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_values;
using Tensors = std::vector<Tensor>;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

struct TestProductSquared {  // a^2 b
  static constexpr std::string_view name = "test_product_squared";
  template <class T> EBB_HD T operator()(T a, T b) const { return a * a * b; }
};
Tensor fused(const Tensor& a, const Tensor& b, const Tensor& weight, double scale) {
  const Tensor* in[] = {&a, &b};
  const TestProductSquared formula;
  return detail::pointwise_sum(detail::formula_op<TestProductSquared, 2, true>(), &formula, in,
                               weight, scale);
}
// Computes the same with ops.
Tensor composed(const Tensor& a, const Tensor& b, const Tensor& weight, double scale) {
  const Tensor losses = a * a * b;
  return sum(weight.defined() ? losses * weight : losses) * scale;
}

// Checks the value and the gradients of first and second order by every input, for each scale,
// weight and kind of backward.
TEST(FusedLoss, EqualsTheSameOpsSeparately) {
  for (const double scale : {1.0, 2.0, 0.25}) {
    for (const int weights : {0, 2, 1}) {  // none, one per element, one for all
      const Tensor a = leaf({1, -2}), b = leaf({3, 0.5});
      Tensors in{a, b};
      if (weights) in.push_back(weights == 2 ? leaf({0.5, 3}) : leaf({4}));
      const Tensor weight = weights ? in[2] : Tensor();
      const Tensor loss = fused(a, b, weight, scale), want = composed(a, b, weight, scale);
      expect_values(loss, {want.item()}, 1e-14);
      const Tensor seed = scalar(1.5, {.dtype = f64});
      const GradOptions higher{.grad_outputs = {seed}, .create_graph = true};
      const Tensors right = grad(std::span(&want, 1), in, higher);
      const Tensors recorded = grad(std::span(&loss, 1), in, higher);
      const Tensors plain =
          grad(std::span(&loss, 1), in, {.grad_outputs = {seed}, .retain_graph = true});
      Tensor total = scalar(0, {.dtype = f64}), total_right = total;
      for (size_t i = 0; i < in.size(); ++i) {
        const std::vector<double> values = right[i].to_vector<double>();
        EXPECT_EQ(to_text(plain[i].shape()), to_text(in[i].shape()));
        expect_values(plain[i], values, 1e-14, 1e-14, "plain " + std::to_string(i));
        expect_values(recorded[i], values, 1e-14, 1e-14, "recorded " + std::to_string(i));
        total = total + sum(recorded[i] * recorded[i]);
        total_right = total_right + sum(right[i] * right[i]);
      }
      const Tensors second = grad(std::span(&total, 1), in),
                    second_right = grad(std::span(&total_right, 1), in);
      for (size_t i = 0; i < in.size(); ++i) {
        expect_values(second[i], second_right[i].to_vector<double>(), 1e-13, 1e-13,
                      "second " + std::to_string(i));
      }
    }
  }
}

TEST(FusedLoss, OnlyTheWeightOrNothingRequiresGrad) {
  const Tensor a = tensor({1, -2}, f64), b = tensor({3, 0.5}, f64), w = leaf({0.5, 3});
  expect_values(grad(fused(a, b, w, 2), w), {6, 4});
  expect_values(grad(fused(a, b, w, 2), w, {.create_graph = true}), {6, 4});
  EXPECT_FALSE(fused(a, b, Tensor(), 1).requires_grad());
  EXPECT_FALSE(fused(a, b, w.detach(), 1).requires_grad());
  const Tensor x = leaf({1, -2});
  const NoGrad guard;
  EXPECT_FALSE(fused(x, b, Tensor(), 1).requires_grad());
  EXPECT_FALSE(fused(a, b, w, 1).requires_grad());
}

TEST(FusedLoss, KeepsItsInputsAndTheRequestedGradients) {
  const Tensor a = leaf({1, -2}), b = tensor({3, 0.5}, f64), w = tensor({0.5, 3}, f64);
  const Tensor loss = fused(a, b, Tensor(), 1);
  EXPECT_EQ(loss.node()->saved_bytes(), 16 + 16 + 16) << "a, b, the gradient of a";
  EXPECT_EQ(loss.node()->edges().size(), 2u);
  const Tensor weighted = fused(a, b, w, 1);
  EXPECT_EQ(weighted.node()->saved_bytes(), 16 + 16 + 16 + 16);
  EXPECT_EQ(weighted.node()->edges().size(), 3u);
  const Tensor both = fused(a, leaf({1, 1}), w, 1);
  EXPECT_EQ(both.node()->saved_bytes(), 5 * 16);
}

TEST(FusedLoss, FreesWhatItKeptInMemory) {
  const Tensor a = leaf({1, -2}), b = leaf({3, 0.5}), w = leaf({0.5, 3});
  const Tensor loss = fused(a, b, w, 1);
  // With an upstream gradient, the stored gradients are scaled instead of passed on.
  loss.backward(scalar(2, {.dtype = f64}));
  EXPECT_EQ(loss.node()->saved_bytes(), 0);
  const Tensor other = fused(a, b, w, 1);
  other.backward();
  EXPECT_EQ(other.node()->saved_bytes(), 0);
}

TEST(FusedLoss, SecondOrderNodesKeepAndFree) {
  const Tensor x = leaf({1, 2, 3}), w = leaf({4, 5, 6});
  const Tensor y = sum(x * w);
  const Tensor g = grad(y, x, {.create_graph = true});
  ASSERT_EQ(g.node()->name(), "mul_backward");
  EXPECT_EQ(g.node()->edges().size(), 3u) << "x, w, the upstream";
  EXPECT_EQ(g.node()->saved_bytes(), 3 * 24);
  const Tensor s = sum(g);
  s.backward();
  EXPECT_EQ(g.node()->saved_bytes(), 0);
}

// x^y with a variable exponent that is 0: d2/dx dy = x^(y - 1) (1 + y log x).
TEST(FusedLoss, MixedSecondOrderOfPowAtZero) {
  for (const double x : {0.25, 1.0, 4.0}) {
    const Tensor a = leaf({x}), y = leaf({0});
    const Tensor by_x = grad(pow(a, y), a, {.create_graph = true});
    expect_values(by_x, {0});
    expect_values(grad(by_x, y), {1 / x}, 1e-15);
    expect_values(grad(grad(pow(a, y), y, {.create_graph = true}), a), {1 / x}, 1e-15);
  }
}

struct TestIgnoresOne {
  static constexpr std::string_view name = "test_ignores_one";
  template <class T> EBB_HD T operator()(T a, T) const { return exp(a); }
};
// An input that a formula does not use has the gradient 0.
TEST(FusedLoss, UnusedInputHasGradientZero) {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensors in{a, b};
  const Tensor y = sum(pointwise(TestIgnoresOne{}, a, b));
  const Tensors g = grad(std::span(&y, 1), in, {.create_graph = true});
  expect_values(g[1], {0, 0});
  const Tensor s = sum(g[0] + g[1]);
  const Tensors h = grad(std::span(&s, 1), in);
  expect_values(h[0], {std::exp(1), std::exp(2)}, 1e-15);
  expect_values(h[1], {0, 0});
}

// The mean is over the elements of the broadcast.
TEST(FusedLoss, MeanOverABroadcast) {
  const Tensor a = tensor({{1}, {2}, {3}}, f64), b = tensor({{4, 5}}, f64);
  const Tensor loss = nn::margin_ranking_loss(a, b, ones({1, 1}, {.dtype = f64}));
  expect_values(loss, {(3 + 4 + 2 + 3 + 1 + 2) / 6.0}, 1e-15);
}

}  // namespace
}  // namespace ebb
