// Metrics, and the training loop with targets that are not classes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Metrics, ConfusionMatrix) {
  nn::ConfusionMatrix m(3);
  m.add(tensor({0, 1, 2, 2}, i64), tensor({0, 1, 1, 2}, i64));
  EXPECT_EQ(m.at(1, 2), 1);
  EXPECT_DOUBLE_EQ(m.accuracy(), 0.75);
  EXPECT_DOUBLE_EQ(m.recall(1), 0.5);
  EXPECT_DOUBLE_EQ(m.precision(2), 0.5);
  EXPECT_NE(m.to_table({"a", "b", "c"}).find("50.0 %"), std::string::npos);
  EXPECT_NE(error_of([&] { m.add(tensor({3}, i64), tensor({0}, i64)); }), "");
  EXPECT_EQ(nn::count_correct(tensor({{1, 2}, {3, 0}}, f32), tensor({1, 1}, i64)).item(), 1);
}

TEST(Metrics, MeanRecallWeightsClassesEqually) {
  nn::ConfusionMatrix m(3);  // nine of class 0, one of class 1, none of class 2
  EXPECT_TRUE(std::isnan(m.mean_recall()));
  m.add(zeros({10}, {.dtype = i64}), tensor({0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, i64));
  EXPECT_DOUBLE_EQ(m.accuracy(), 0.9);
  EXPECT_DOUBLE_EQ(m.mean_recall(), 0.5);
  nn::ConfusionMatrix one(1);
  one.add(zeros({2}, {.dtype = i64}), zeros({2}, {.dtype = i64}));
  EXPECT_DOUBLE_EQ(one.mean_recall(), 1);
}

TEST(Metrics, LabelCounts) {
  nn::LabelCounts counts(3);
  EXPECT_TRUE(std::isnan(counts.f1()) && std::isnan(counts.macro_f1()));
  counts.add(tensor({{1, 1, 0}, {1, 0, 0}}, f32) > 0.5, tensor({{1, 0, 0}, {1, 1, 0}}, f32));
  counts.add(tensor({{0, 1, 0}}, i64), tensor({{1, 1, 0}}, u8));
  // Label 0: 2 true positives, 1 false negative. Label 1: one of each, 1 false positive. Label 2:
  // none.
  EXPECT_EQ(counts.true_positives(0), 2);
  EXPECT_EQ(counts.false_negatives(0), 1);
  EXPECT_EQ(counts.false_positives(1), 1);
  EXPECT_DOUBLE_EQ(counts.precision(), 3.0 / 4);
  EXPECT_DOUBLE_EQ(counts.recall(), 3.0 / 5);
  EXPECT_DOUBLE_EQ(counts.f1(), 6.0 / 9);
  EXPECT_DOUBLE_EQ(counts.f1(0), 4.0 / 5);
  EXPECT_DOUBLE_EQ(counts.f1(1), 2.0 / 4);
  EXPECT_TRUE(std::isnan(counts.f1(2)));
  EXPECT_DOUBLE_EQ(counts.macro_f1(), 0.65);

  EXPECT_NE(error_of([&] {
              counts.add(tensor({{0.5, 0, 0}}), tensor({{0, 0, 0}}, f32));
            }).find("got 0.5"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              counts.add(tensor({{0, 0}}, f32), tensor({{0, 0}}, f32));
            }).find("(N, 3)"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              counts.add(tensor({{0, 0, 0}}, f32), tensor({{0, 0}}, f32));
            }).find("(1, 2)"),
            std::string::npos);
  EXPECT_NE(error_of([] { nn::LabelCounts(0); }), "");
}

// Compares with every possible threshold. Scores on a coarse grid have many ties.
TEST(Metrics, BestF1Threshold) {
  const auto f1_at = [](const Tensor& scores, double t, const Tensor& target) {
    nn::LabelCounts counts(scores.size(1));
    counts.add(scores > t, target);
    return counts.f1();
  };
  Generator generator{3};
  for (int trial = 0; trial < 40; ++trial) {
    Tensor scores = randn({12, 3}, {}, &generator);
    if (trial % 2) scores = (scores * 2).to(i64).to(f32);
    const Tensor target = (scores * 0.3 + randn({12, 3}, {}, &generator) > 0.4).to(f32);
    double best = f1_at(scores, -1e9, target);
    for (float t : scores.to_vector<float>()) best = std::max(best, f1_at(scores, t, target));
    EXPECT_EQ(f1_at(scores, nn::best_f1_threshold(scores, target), target), best) << trial;
  }
  EXPECT_EQ(nn::best_f1_threshold(tensor({{3, 2}, {2, 1}}, f32), tensor({{1, 0}, {0, 0}}, f32)), 2);
  // F1 is 2 / 4 at the first score and 6 / 13 at the end. On a tie the larger threshold wins.
  EXPECT_EQ(nn::best_f1_threshold(tensor({{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}}, f32),
                                  tensor({{1, 0, 0, 0, 0, 0, 0, 0, 1, 1}}, f32)),
            8);
  EXPECT_EQ(nn::best_f1_threshold(tensor({{9, 8, 7, 6, 5}}, f32), tensor({{1, 0, 0, 1, 0}}, f32)),
            8);
  EXPECT_EQ(nn::best_f1_threshold(tensor({{3, 2}}, f32), ones({1, 2})),
            -std::numeric_limits<double>::infinity());
  EXPECT_NE(error_of([] {
              nn::best_f1_threshold(zeros({1, 2}), zeros({1, 2}));
            }).find("nothing to find"),
            std::string::npos);
  EXPECT_NE(error_of([] {
              nn::best_f1_threshold(tensor({{0, NAN}}), ones({1, 2}));
            }).find("NaN"),
            std::string::npos);
  EXPECT_NE(error_of([] {
              nn::best_f1_threshold(zeros({1, 2}), ones({2}));
            }).find("(2,)"),
            std::string::npos);
}

struct Counting : nn::Layer {
  Tensor forward(const Tensor& x) const override {
    EXPECT_FALSE(is_training());
    largest = std::max(largest, x.size(0));
    return x * 2.0;
  }
  mutable int64_t largest = 0;
};

TEST(Predict, RunsBatchByBatchInEvaluationMode) {
  const Tensor x = reshape(arange(0, 14, 1, {.dtype = f32}), {7, 2});
  Counting model;
  const Tensor y = nn::predict(model, {x, zeros({7})}, 3);
  EXPECT_EQ(y.to_vector<float>(), (x * 2.0).to_vector<float>());
  EXPECT_EQ(model.largest, 3);
  EXPECT_TRUE(model.is_training());
  nn::Linear linear(2, 1);
  EXPECT_FALSE(nn::predict(linear, {x, zeros({7})}).requires_grad());
}

// Returns the output of a training of a few epochs.
std::string log_of(int64_t outputs, const Tensor& target, const nn::LossFunction& loss) {
  manual_seed(1);
  const Tensor x = randn({target.size(0), 3});
  nn::Linear model(3, outputs);
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  data::DataLoader loader({x, target}, {.batch_size = 4});
  nn::Trainer trainer(model, optimizer, loader, loss, {.epochs = 2});
  testing::internal::CaptureStdout();
  EXPECT_TRUE(trainer.run());
  return testing::internal::GetCapturedStdout();
}

TEST(Trainer, ShowsAccuracyIfTargetsAreClasses) {
  const std::string classes = log_of(2, tensor({0, 1, 0, 1, 1, 0}, i64), nn::CrossEntropyLoss());
  EXPECT_NE(classes.find("accuracy"), std::string::npos) << classes;
  for (const auto& [target, loss] :
       {std::pair<Tensor, nn::LossFunction>{zeros({6, 2}), nn::MSELoss()},
        {ones({6, 2}), nn::BCEWithLogitsLoss()},
        {zeros({6, 2}, {.dtype = i64}), nn::MultiLabelMarginLoss()}}) {
    const std::string other = log_of(2, target, loss);
    EXPECT_NE(other.find("epoch 2/2"), std::string::npos) << other;
    EXPECT_EQ(other.find("accuracy"), std::string::npos) << other;
  }
}

// Returns for each batch of a training (three epochs of two batches), and for its end, if there is
// a checkpoint.
std::vector<bool> checkpoints(double every) {
  const std::string folder = testing::TempDir() + "ebb_train_test_" + std::to_string(getpid());
  std::vector<bool> there;
  nn::Linear model(3, 2);
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  data::DataLoader loader({ones({8, 3}), zeros({8, 2})}, {.batch_size = 4});
  const auto loss = [&](const Tensor& scores, const Tensor& target) {
    there.push_back(checkpoint_exists(folder));
    return nn::mse_loss(scores, target);
  };
  nn::Trainer trainer(
      model, optimizer, loader, loss,
      {.epochs = 3, .checkpoint = folder, .checkpoint_every = every, .quiet = true});
  EXPECT_TRUE(trainer.run());
  there.push_back(checkpoint_exists(folder));
  std::filesystem::remove_all(folder);
  return there;
}

TEST(Trainer, WritesCheckpointsAtTheRequestedTimes) {
  EXPECT_EQ(checkpoints(0), (std::vector<bool>{0, 0, 1, 1, 1, 1, 1}));
  EXPECT_EQ(checkpoints(1000), (std::vector<bool>{0, 0, 0, 0, 0, 0, 1}));
}

// Sends Ctrl-C in the given batch of a training (three epochs of two batches). Returns how run()
// ends, and if the training can be resumed.
struct Stopped {
  bool finished, interrupted;
  int batches, batches_later;
};
Stopped stop_in(int batch) {
  const std::string folder = testing::TempDir() + "ebb_train_test_stop_" + std::to_string(getpid());
  nn::Linear model(3, 2);
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  data::DataLoader loader({ones({8, 3}), zeros({8, 2})}, {.batch_size = 4});
  int batches = 0;
  const auto loss = [&](const Tensor& scores, const Tensor& target) {
    if (++batches == batch) raise(SIGINT);
    return nn::mse_loss(scores, target);
  };
  const auto train = [&](bool resume) {
    nn::Trainer trainer(model, optimizer, loader, loss,
                        {.epochs = 3,
                         .checkpoint = folder,
                         .checkpoint_every = 1000,
                         .resume = resume,
                         .quiet = true});
    const bool finished = trainer.run();
    return Stopped{finished, trainer.interrupted(), batches, 0};
  };
  Stopped result = train(false);
  batches = batch;  // beyond that batch, so it stops only once
  train(true);
  result.batches_later = batches - batch;
  std::filesystem::remove_all(folder);
  return result;
}

TEST(Trainer, StopsAtAnyBatchWithACheckpoint) {
  for (int batch = 1; batch <= 7; ++batch) {
    const Stopped r = stop_in(batch);
    EXPECT_EQ(r.finished, batch >= 6) << batch;  // in the last batch the training still finishes
    EXPECT_EQ(r.interrupted, batch <= 6) << batch;
    EXPECT_EQ(r.batches, std::min(batch, 6)) << batch;
    EXPECT_EQ(r.batches + r.batches_later, 6) << batch;
  }
}

}  // namespace
