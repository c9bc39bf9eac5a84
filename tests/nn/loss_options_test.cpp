// Options and edge cases of losses that are not in the op table, compared with loops over plain
// numbers.
#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/nn/losses/adaptive_log_softmax.h"
#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/formulas.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/losses/reduction.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/tests/support/check.h"

namespace ebb::nn {
namespace {

using test::expect_error;
using test::expect_values;

Tensor random(const Shape& shape, uint64_t seed) {
  Generator generator{seed, 0};
  return randn(shape, {.dtype = f64}, &generator);
}

// -(1 - p_t)^gamma ((1 - e) w_t log p_t + e / C sum_c w_c log p_c)
std::vector<double> focal(const std::vector<double>& x, const std::vector<int64_t>& t,
                          const std::vector<double>& w, double gamma, double e) {
  const size_t classes = w.size();
  std::vector<double> losses;
  for (size_t n = 0; n < t.size(); ++n) {
    double total = 0, all = 0;
    for (size_t c = 0; c < classes; ++c) total += std::exp(x[n * classes + c]);
    const auto logp = [&](size_t c) { return x[n * classes + c] - std::log(total); };
    for (size_t c = 0; c < classes; ++c) all += w[c] * logp(c);
    const auto own = static_cast<size_t>(t[n]);
    const double term = (1 - e) * w[own] * logp(own) + e / static_cast<double>(classes) * all;
    losses.push_back(-std::pow(1 - std::exp(logp(own)), gamma) * term);
  }
  return losses;
}

TEST(LossOptions, FocalWithSmoothingAndWeights) {
  const Tensor x = random({3, 4}, 1);
  const std::vector<int64_t> t{0, 3, 1};
  const Tensor target = from_data(t, {3});
  const std::vector<double> even(4, 1), weight{0.5, 2, 1, 3};
  for (const double gamma : {0.0, 1.0, 2.0}) {
    for (const double e : {0.0, 0.1, 1.0}) {
      FocalLossOptions options{.gamma = gamma, .label_smoothing = e, .reduction = Reduction::None};
      expect_values(focal_loss(x, target, options), focal(x.to_vector<double>(), t, even, gamma, e),
                    1e-12, 1e-14);
      options.weight = from_data(weight, {4});
      expect_values(focal_loss(x, target, options),
                    focal(x.to_vector<double>(), t, weight, gamma, e), 1e-12, 1e-14);
    }
  }
  Tensor trained = from_data(weight, {4});
  trained.requires_grad_();
  expect_error([&] { focal_loss(x, target, {.weight = trained}); }, "focal_loss",
               {"weight", "requires grad"});
}

TEST(LossOptions, CrossEntropyOfOnlyIgnoredRows) {
  Tensor x = random({2, 3}, 7);
  x.requires_grad_();
  const Tensor ignored = full({2}, -100, {.dtype = i64});
  const Tensor plain = grad(cross_entropy(x, ignored), x);
  expect_values(grad(cross_entropy(x, ignored), x, {.create_graph = true}),
                plain.to_vector<double>());
}

TEST(LossOptions, GaussianWithOneVariance) {
  const Tensor x = random({2, 3}, 2), t = random({2, 3}, 3);
  expect_values(gaussian_nll_loss(x, t, 0.7),
                {gaussian_nll_loss(x, t, full({2, 3}, 0.7, {.dtype = f64})).item()});
  EXPECT_NE(gaussian_nll_loss(x, t, 0.7).item(), gaussian_nll_loss(x, t, 0.8).item());
}

TEST(LossOptions, GaussianWithOneVariancePerRow) {
  const Tensor x = random({2, 3}, 2), t = random({2, 3}, 3), var = tensor({0.7, 1.9}, f64);
  const Tensor all = tensor({{0.7, 0.7, 0.7}, {1.9, 1.9, 1.9}}, f64);
  const double want = gaussian_nll_loss(x, t, all).item();
  expect_values(gaussian_nll_loss(x, t, var), {want}, 1e-15);
  expect_values(gaussian_nll_loss(x, t, unsqueeze(var, 1)), {want}, 1e-15);
}

TEST(LossOptions, GaussianOfNumbers) {
  const Tensor x = scalar(1, {.dtype = f64}), t = scalar(3, {.dtype = f64});
  expect_values(gaussian_nll_loss(x, t, scalar(2, {.dtype = f64})), {0.5 * (std::log(2) + 2)},
                1e-15);
  expect_error([&] { gaussian_nll_loss(x, t, tensor({2}, f64)); }, "gaussian_nll_loss",
               {"var (1,)", "input ()"});
}

TEST(LossOptions, CutoffsIncrease) {
  for (const std::vector<int64_t>& cutoffs :
       {std::vector<int64_t>{5, 3}, {3, 3}, {0, 3}, {3, 10}, {}}) {
    expect_error([&] { AdaptiveLogSoftmaxWithLoss(4, 10, cutoffs); },
                 "adaptive_log_softmax_with_loss", {"cutoff"});
  }
}

TEST(LossOptions, MeanOverBroadcastWeights) {
  const Tensor x = random({2, 3}, 8), t = random({2, 3}, 9), w = tensor({0.5, 2, 3}, f64);
  const Tensor spread = tensor({{0.5, 2, 3}, {0.5, 2, 3}}, f64);
  expect_values(mse_loss(x, t, {.weight = w}), {mse_loss(x, t, {.weight = spread}).item()}, 1e-14);
}

TEST(LossOptions, GaussianGradientByInput) {
  Tensor x = random({2, 3}, 2), t = random({2, 3}, 3);
  x.requires_grad_();
  const Tensor want = (x.detach() - t) / (0.7 * 6);
  expect_values(grad(gaussian_nll_loss(x, t, 0.7), x), want.to_vector<double>(), 1e-13);
}

TEST(LossOptions, TripletWithACustomDistance) {
  const Tensor a = random({4, 3}, 4), p = random({4, 3}, 5), n = random({4, 3}, 6);
  const Tensor want = triplet_margin_loss(a, p, n, {.margin = 0.3});
  expect_values(triplet_margin_with_distance_loss(a, p, n, {.margin = 0.3}), {want.item()}, 1e-15);
  const auto city = [](const Tensor& x, const Tensor& y) { return pairwise_distance(x, y, 1); };
  expect_values(
      triplet_margin_with_distance_loss(a, p, n, {.distance_function = city, .margin = 0.3}),
      {triplet_margin_loss(a, p, n, {.margin = 0.3, .p = 1}).item()}, 1e-15);
}

TEST(LossOptions, PairwiseDistanceOfNumbers) {
  for (const double p : {1.0, 2.0, 3.0, std::numeric_limits<double>::infinity()}) {
    for (const bool keepdim : {false, true}) {
      const Tensor d =
          pairwise_distance(scalar(5, {.dtype = f64}), scalar(2, {.dtype = f64}), p, 0, keepdim);
      expect_values(d, {3}, 1e-15);
      EXPECT_EQ(to_text(d.shape()), "()");
    }
  }
}

// The loss checks class indices, and not an op inside of it.
TEST(LossOptions, TheLossReportsClassesOutOfRange) {
  const Tensor x = random({2, 3}, 7), wrong = tensor({0, 3}, i64);
  expect_error([&] { nll_loss(x, wrong); }, "nll_loss", {"3"});
  expect_error([&] { focal_loss(x, wrong); }, "focal_loss", {"3"});
  expect_error([&] { multi_margin_loss(x, wrong); }, "multi_margin_loss", {"3"});
}

// A column of a matrix as class weights, and weights that require grad.
TEST(LossOptions, WeightsOfMargins) {
  const Tensor x = random({3, 4}, 11), table = square(random({4, 3}, 12));
  const Tensor column = select(table, 1, 1), dense = from_data(column.to_vector<double>(), {4});
  const Tensor classes = tensor({2, 0, 3}, i64),
               labels = tensor({{1, 3, -1, 0}, {2, -1, 2, 2}, {0, 1, 2, 3}}, i64);
  const auto multi = [&](const Tensor& in, const Tensor& w) {
    return multi_margin_loss(in, classes, {.weight = w});
  };
  const auto multilabel = [&](const Tensor& in, const Tensor& w) {
    return multilabel_margin_loss(in, labels, {.weight = w});
  };
  EXPECT_FALSE(column.is_contiguous());
  expect_values(multi(x, column), {multi(x, dense).item()}, 0);
  expect_values(multilabel(x, column), {multilabel(x, dense).item()}, 0);

  Tensor trained = dense.clone().requires_grad_(), input = x.clone().requires_grad_();
  for (const auto& loss :
       {std::function<Tensor(const Tensor&, const Tensor&)>(multi), {multilabel}}) {
    const auto both = [&](const std::vector<Tensor>& in) {
      return std::vector{loss(in[0], in[1])};
    };
    EXPECT_TRUE(gradcheck(both, {input, trained}));
    EXPECT_TRUE(gradgradcheck(both, {input, trained}));
    expect_values(loss(input, trained), {loss(x, dense).item()}, 1e-14);
  }
}

// A custom loss that does not check its weight.
TEST(LossOptions, PointwiseLossChecksItsWeight) {
  const Tensor x = random({4}, 13), t = random({4}, 14);
  for (const Reduction reduction : {Reduction::None, Reduction::Mean, Reduction::Sum}) {
    const auto loss = [&](const Tensor& weight) {
      return pointwise_loss(formulas::MseLoss{}, weight, reduction, MeanOver::Elements, x, t);
    };
    expect_error([&] { loss(ones({3}, {.dtype = f64})); }, "mse_loss",
                 {"weight (3,)", "input (4,)"});
    expect_error(
        [&] {
          loss(ones({2, 4}, {.dtype = f64}));
        },
        "mse_loss", {"weight (2, 4)", "input (4,)"});
    expect_error([&] { loss(ones({4})); }, "mse_loss", {"weight is f32 and input is f64"});
  }
}

}  // namespace
}  // namespace ebb::nn
