// Values of losses at infinities and NaN, which random values do not reach.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/tests/support/check.h"

namespace ebb::nn {
namespace {

using test::expect_values;

constexpr double kInf = INFINITY, kNaN = NAN;

// torch's sum (1 - t) x + softplus(-x) is NaN at -inf unless t > 1. For t > 1 it is an infinity
// with a sign.
TEST(LossConventions, LogitsOfMinusInfinity) {
  for (const DType dtype : {f32, f64}) {
    const Tensor x = tensor({-kInf, -kInf, -kInf, -kInf, -1e30}, dtype),
                 t = tensor({0, 0.5, 1, 2, 0}, dtype);
    const std::vector<double> want{kNaN, kNaN, kNaN, kInf, 0};
    expect_values(binary_cross_entropy_with_logits(x, t, {.reduction = Reduction::None}), want);
    expect_values(binary_cross_entropy_with_logits(
                      x, t, {.reduction = Reduction::None, .pos_weight = tensor({2}, dtype)}),
                  want);
  }
}

// With a weight p on the positive term, the infinity has a sign while (p - 1) t > -1.
TEST(LossConventions, LogitsOfMinusInfinityWeighted) {
  const Tensor x = full({1}, -kInf, {.dtype = f64}), t = full({1}, 2, {.dtype = f64});
  for (const auto& [p, want] : {std::pair{0.25, kNaN}, {0.5, kNaN}, {0.75, kInf}, {2.0, kInf}}) {
    expect_values(binary_cross_entropy_with_logits(x, t, {.pos_weight = tensor({p}, f64)}), {want});
  }
}

// For x = 1, log(x + eps) consists only of eps, also in f32. It is the gradient of the target.
TEST(LossConventions, PoissonKeepsItsEps) {
  Tensor t = ones({1}).requires_grad_();
  expect_values(grad(poisson_nll_loss(ones({1}), t, {.log_input = false, .eps = 1e-8}), t), {-1e-8},
                1e-6);
}

TEST(LossConventions, NaNIsKept) {
  const Tensor zero = zeros({1}, {.dtype = f64}), one = ones({1}, {.dtype = f64}),
               nan = full({1}, kNaN, {.dtype = f64});
  expect_values(gaussian_nll_loss(zero, one, nan), {kNaN});
  expect_values(huber_loss(nan, one), {kNaN});
  expect_values(smooth_l1_loss(nan, one), {kNaN});
  Tensor x = nan.clone().requires_grad_();
  expect_values(grad(huber_loss(x, one), x), {kNaN});
  expect_values(grad(smooth_l1_loss(x, one), x), {kNaN});
}

}  // namespace
}  // namespace ebb::nn
