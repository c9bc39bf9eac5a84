// Tests the labels and class numbers that losses and metrics accept, and the errors for others.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/nn/data/dataset.h"
#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/train/metrics.h"
#include "files.h"

namespace ebb::nn {
namespace {

using test::expect_error;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Labels, AWrongSignIsNamedByItsValueAndPosition) {
  expect_error([] { hinge_embedding_loss(tensor({2}, f32), tensor({6}, f32)); },
               "hinge_embedding_loss", {"every target must be 1 or -1, got 6 at position 0"});
  expect_error(
      [] {
        hinge_embedding_loss(tensor({2, 2, 2}, f32), tensor({1, -1, -6}, f32));
      },
      "hinge_embedding_loss", {"got -6 at position 2"});
  expect_error(
      [] {
        cosine_embedding_loss(ones({2, 3}), ones({2, 3}), tensor({-1, 0}, f32));
      },
      "cosine_embedding_loss", {"got 0 at position 1"});
  expect_error(
      [] {
        cosine_embedding_loss(ones({1, 3}), ones({1, 3}), tensor({7}, i64));
      },
      "cosine_embedding_loss", {"got 7 at position 0"});
}

// The values are PyTorch's.
TEST(Labels, SignsMayBeIntegers) {
  const Tensor x = tensor({0.5, -2}), other = tensor({1, -3}, f32), signs = tensor({1, -1}, i64);
  const Tensor rows = tensor({{1, 2}, {3, -1}}, f32), columns = tensor({{2, 1}, {0.5, 1}});
  const auto loss = [&](const Tensor& t) {
    return std::vector<double>{hinge_embedding_loss(x, t).item(),
                               margin_ranking_loss(x, other, t, {.margin = 0.25}).item(),
                               soft_margin_loss(x, t).item(),
                               cosine_embedding_loss(rows, columns, t).item()};
  };
  const std::vector<double> expected = {1.75, 1.0, 0.30050243, 0.17071068};
  const std::vector<double> with_integers = loss(signs);
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(with_integers[i], expected[i], 1e-6) << i;
  EXPECT_EQ(with_integers, loss(signs.to(f32)));
  EXPECT_EQ(margin_ranking_loss(x, other, tensor({1, 1}, u8)).item(),
            margin_ranking_loss(x, other, tensor({1, 1}, f32)).item());
  const std::string rule = "every target must be 1 or -1, got 0 at position 1";
  const Tensor wrong = tensor({1, 0}, i64);
  expect_error([&] { soft_margin_loss(x, wrong); }, "soft_margin_loss", {rule});
  expect_error([&] { margin_ranking_loss(x, other, wrong); }, "margin_ranking_loss", {rule});
}

TEST(Labels, FloatingLabelsOfAnotherDtypeAreStillRefused) {
  const Tensor x = ones({2}), wrong = ones({2}, {.dtype = f64});
  EXPECT_THROW(hinge_embedding_loss(x, wrong), Error);
  EXPECT_THROW(margin_ranking_loss(x, x, wrong), Error);
  EXPECT_THROW(soft_margin_loss(x, wrong), Error);
}

// ---- class numbers are never made of scores ----

TEST(ClassNumbers, ScoresAreRefusedByTheMetrics) {
  const Tensor scores = tensor({0.9, 0.2, 0.7}), classes = tensor({1, 0, 1}, i64);
  ConfusionMatrix matrix(2);
  expect_error([&] { matrix.add(scores, classes); }, "ConfusionMatrix",
               {"predictions must be i64 or u8, got f32 (3,)"});
  expect_error([&] { matrix.add(classes, scores); }, "ConfusionMatrix",
               {"targets must be i64 or u8, got f32 (3,)"});
  EXPECT_EQ(matrix.total(), 0);
  matrix.add(classes, tensor({1, 1, 1}, u8));
  EXPECT_NEAR(matrix.accuracy(), 2.0 / 3, 1e-15);
  expect_error(
      [&] {
        count_correct(ones({3, 2}), scores);
      },
      "count_correct", {"targets must be i64 or u8, got f32 (3,)"});
  expect_error([&] { matrix.add(Tensor(), classes); }, "ConfusionMatrix", {"undefined"});
}

TEST(ClassNumbers, ScoresAreRefusedByLossesAndDataSets) {
  const Tensor numbers = tensor({0, 1}, f32);
  const auto says = [](auto&& body, const char* op) {
    expect_error(body, op, {"must be i64 or u8, got f32"});
  };
  says([&] { nll_loss(zeros({2, 3}), numbers); }, "nll_loss");
  says([&] { multi_margin_loss(zeros({2, 3}), numbers); }, "multi_margin_loss");
  says([&] { multilabel_margin_loss(zeros({2, 3}), zeros({2, 3})); }, "multilabel_margin_loss");
  says(
      [&] {
        ctc_loss(zeros({4, 2, 3}), ones({2, 2}), tensor({4, 4}, i64), tensor({2, 2}, i64));
      },
      "ctc_loss");
  says(
      [&] {
        ctc_loss(zeros({4, 2, 3}), ones({2, 2}).to(i64), tensor({4, 4}, f32), tensor({2, 2}, i64));
      },
      "ctc_loss");
  says([&] { data::stratified_split(numbers, 0.5, 1); }, "stratified_split");
}

TEST(ClassNumbers, WhatIsOutOfRangeIsAnError) {
  ConfusionMatrix matrix(2);
  expect_error([&] { (void)matrix.at(0, 2); }, "ConfusionMatrix", {"class 2 is out of range"});
  expect_error([&] { (void)matrix.recall(-1); }, "ConfusionMatrix", {"class -1 is out of range"});
  expect_error([&] { (void)matrix.precision(5); }, "ConfusionMatrix", {"class 5 is out of range"});
  expect_error([&] { (void)matrix.to_table({"one"}); }, "ConfusionMatrix", {"expected 2 names"});
  expect_error([] { ConfusionMatrix(int64_t{1} << 40); }, "ConfusionMatrix",
               {"1 to 32768 classes"});
  const LabelCounts counts(3);
  expect_error([&] { (void)counts.true_positives(3); }, "LabelCounts", {"label 3 is out of range"});
  expect_error([&] { (void)counts.f1(-1); }, "LabelCounts", {"label -1 is out of range"});
}

// ---- 0 log 0 ----

TEST(KlDiv, AnElementWhoseTargetIsZeroCountsNothing) {
  const Tensor scores = tensor({-kInfinity, 0, 1}, f64), target = tensor({0, 0.25, 0.75}, f64);
  Tensor x = log_softmax(scores, 0).detach();
  x.requires_grad_();
  const Tensor loss = kl_div(x, target, {.reduction = Reduction::Sum});
  EXPECT_NEAR(loss.item(), 0.00092654, 1e-8);
  EXPECT_NEAR(kl_div(x, target).item(), 0.00092654 / 3, 1e-8);
  EXPECT_EQ(kl_div(x.detach(), target, {.reduction = Reduction::None}).to_vector<double>()[0], 0);
  const Tensor slope = grad(loss, {x})[0];
  EXPECT_EQ(slope.to_vector<double>(), (std::vector<double>{-0.0, -0.25, -0.75}));

  // The same of a target of logarithms.
  const Tensor logs = tensor({-kInfinity, std::log(0.25), std::log(0.75)}, f64);
  const KLDivLossOptions by_logs{.reduction = Reduction::Sum, .log_target = true};
  Tensor z = x.detach().clone();
  z.requires_grad_();
  const Tensor same = kl_div(z, logs, by_logs);
  EXPECT_NEAR(same.item(), 0.00092654, 1e-8);
  EXPECT_EQ(grad(same, {z})[0].to_vector<double>()[0], 0);
}

TEST(KlDiv, GradientsByTheTargetAndOfSecondOrderAreNumbersWhereBothAreZero) {
  Tensor x = tensor({-kInfinity, -1}, f64), t = tensor({0, 0.5}, f64);
  x.requires_grad_();
  t.requires_grad_();
  const Tensor loss = kl_div(x, t, {.reduction = Reduction::Sum});
  const std::vector<Tensor> first = grad(loss, {x, t}, {.create_graph = true});
  EXPECT_EQ(first[0].to_vector<double>()[0], 0);
  EXPECT_EQ(first[1].to_vector<double>()[0], 0);
  EXPECT_NEAR(first[1].to_vector<double>()[1], std::log(0.5) + 2, 1e-14);
  for (bool create_graph : {false, true}) {
    const std::vector<Tensor> second =
        grad(sum(first[0]), {t}, {.create_graph = create_graph, .retain_graph = true});
    EXPECT_EQ(second[0].to_vector<double>(), (std::vector<double>{-1, -1})) << create_graph;
  }
}

}  // namespace
}  // namespace ebb::nn
