// Edge cases of ctc_loss: concatenated targets, labels and inputs without length, impossible
// targets.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/tests/support/check.h"

namespace ebb::nn {
namespace {

using test::expect_error;
using test::expect_values;

constexpr double kInf = INFINITY, kNaN = NAN;

Tensor log_probs(int64_t steps, int64_t batch, int64_t classes) {
  Generator generator{11, 0};
  return log_softmax(randn({steps, batch, classes}, {.dtype = f64}, &generator), 2);
}
Tensor integers(const std::vector<int64_t>& values) {
  return from_data(values, {static_cast<int64_t>(values.size())});
}

// Computes each sample alone, without padding.
std::vector<double> one_by_one(const Tensor& x, const std::vector<std::vector<int64_t>>& labels,
                               const std::vector<int64_t>& steps) {
  std::vector<double> losses;
  for (size_t n = 0; n < labels.size(); ++n) {
    const Tensor own =
        slice(slice(x, 1, static_cast<int64_t>(n), static_cast<int64_t>(n) + 1), 0, 0, steps[n]);
    losses.push_back(ctc_loss(own, integers(labels[n]), integers({steps[n]}),
                              integers({static_cast<int64_t>(labels[n].size())}),
                              {.reduction = Reduction::Sum})
                         .item());
  }
  return losses;
}

TEST(Ctc, ConcatenatedTargets) {
  const Tensor x = log_probs(6, 3, 4);
  const std::vector<std::vector<int64_t>> labels{{1, 2}, {3, 3}, {2, 1, 3}};
  const std::vector<double> want = one_by_one(x, labels, {6, 5, 6});
  const Tensor steps = integers({6, 5, 6}), lengths = integers({2, 2, 3});
  const CTCLossOptions each{.reduction = Reduction::None};
  expect_values(ctc_loss(x, integers({1, 2, 3, 3, 2, 1, 3}), steps, lengths, each), want, 1e-14);
  expect_values(ctc_loss(x, tensor({{1, 2, 0}, {3, 3, 0}, {2, 1, 3}}, i64), steps, lengths, each),
                want, 1e-14);
  double mean = 0;
  for (size_t n = 0; n < 3; ++n) mean += want[n] / static_cast<double>(labels[n].size()) / 3;
  expect_values(ctc_loss(x, integers({1, 2, 3, 3, 2, 1, 3}), steps, lengths), {mean}, 1e-14);
}

TEST(Ctc, OneSampleWithoutABatch) {
  const Tensor x = log_probs(5, 1, 3);
  const Tensor want =
      ctc_loss(x, integers({1, 2}), integers({5}), integers({2}), {.reduction = Reduction::None});
  const Tensor got = ctc_loss(select(x, 1, 0), integers({1, 2}), scalar(5, {.dtype = i64}),
                              scalar(2, {.dtype = i64}), {.reduction = Reduction::None});
  EXPECT_EQ(to_text(got.shape()), "()");
  expect_values(got, {want.item()});
}

// Without input, an empty target is certain and any other impossible. With an empty target, all
// frames are blank.
TEST(Ctc, NoInputAndNoLabels) {
  const Tensor x = log_probs(4, 4, 3);
  const Tensor targets = tensor({{1, 2}, {0, 0}, {0, 0}, {1, 0}}, i64),
               steps = integers({0, 0, 4, 1}), lengths = integers({2, 0, 0, 1});
  double blanks = 0;
  for (int64_t t = 0; t < 4; ++t) blanks -= x[t][2][0].item();
  const std::vector<double> want{kInf, 0, blanks, -x[0][3][1].item()};
  expect_values(ctc_loss(x, targets, steps, lengths, {.reduction = Reduction::None}), want, 1e-14);
  // No sample has input.
  const Tensor nothing = log_probs(0, 2, 3);
  expect_values(ctc_loss(nothing, tensor({{1}, {0}}, i64), integers({0, 0}), integers({1, 0}),
                         {.reduction = Reduction::None}),
                {kInf, 0});
}

TEST(Ctc, NoSamples) {
  Tensor x = zeros({4, 0, 3}, {.dtype = f64}).requires_grad_();
  const Tensor targets = zeros({0, 2}, {.dtype = i64}), none = zeros({0}, {.dtype = i64});
  const Tensor each = ctc_loss(x, targets, none, none, {.reduction = Reduction::None});
  EXPECT_EQ(to_text(each.shape()), "(0,)");
  expect_values(ctc_loss(x, targets, none, none, {.reduction = Reduction::Sum}), {0});
  expect_values(ctc_loss(x, targets, none, none), {kNaN});
  EXPECT_EQ(
      to_text(grad(ctc_loss(x, targets, none, none, {.reduction = Reduction::Sum}), x).shape()),
      "(4, 0, 3)");
}

// Two equal labels need a blank between them, so they need three steps. Two steps make them
// impossible.
TEST(Ctc, ImpossibleTargets) {
  for (const int64_t batch : {1, 2}) {
    Tensor x = log_probs(4, batch, 3).clone().requires_grad_();
    const Tensor targets = batch == 1 ? tensor({{1, 1}}, i64) : tensor({{1, 1}, {1, 2}}, i64),
                 steps = batch == 1 ? integers({2}) : integers({2, 4}),
                 lengths = full({batch}, 2, {.dtype = i64});
    const Tensor each = ctc_loss(x, targets, steps, lengths, {.reduction = Reduction::None});
    EXPECT_EQ(each[0].item(), kInf);
    const Tensor g = grad(sum(each), x);
    for (int64_t t = 0; t < 4; ++t) {
      // NaN over the steps of the sample and not beyond. The other sample is not affected.
      expect_values(g[t][0],
                    t < 2 ? std::vector<double>{kNaN, kNaN, kNaN} : std::vector<double>{0, 0, 0});
      EXPECT_TRUE(batch == 1 || std::isfinite(sum(select(g[t], 0, batch - 1)).item()));
    }
    const CTCLossOptions zero{.reduction = Reduction::Sum, .zero_infinity = true};
    const Tensor finite = ctc_loss(x, targets, steps, lengths, zero);
    expect_values(finite, {batch == 1 ? 0 : each[1].item()});
    const Tensor clean = grad(finite, x);
    for (int64_t t = 0; t < 4; ++t) expect_values(clean[t][0], {0, 0, 0});
    EXPECT_EQ(batch == 1, clean[0][batch - 1][1].item() == 0);
  }
}

TEST(Ctc, ErrorsSayWhatWasExpected) {
  const Tensor x = log_probs(4, 2, 3);
  const Tensor steps = integers({4, 4}), lengths = integers({2, 1});
  expect_error(
      [&] {
        ctc_loss(x, integers({1, 2}), steps, lengths);
      },
      "ctc_loss", {"(2,)", "3 labels"});
  expect_error(
      [&] {
        ctc_loss(x, tensor({{1, 2}}, i64), steps, lengths);
      },
      "ctc_loss", {"(1, 2)", "batch of 2"});
  expect_error(
      [&] {
        ctc_loss(x, integers({1, 2, 3}), steps, lengths);
      },
      "ctc_loss", {"target 3 of sample 1"});
}

}  // namespace
}  // namespace ebb::nn
