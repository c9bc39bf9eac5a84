// Schedules of the learning rate: the progress of this training, on the rate that the user set.
#include <gtest/gtest.h>

#include "files.h"
#include "training.h"

namespace {

using namespace ebb;
using test::Training;

// A training of one epoch of four batches with a schedule, and what it saw.
struct Seen {
  std::vector<double> progress, rates;
};

Seen run(Training& t, int64_t epochs = 1, const std::string& checkpoint = "", bool resume = false,
         int stop_after = 0) {
  Seen seen;
  nn::Trainer* running = nullptr;
  const auto loss = [&](const Tensor& scores, const Tensor& target) {
    seen.rates.push_back(t.optimizer.lr());
    if (static_cast<int>(seen.rates.size()) == stop_after) running->stop();
    return nn::mse_loss(scores, target);
  };
  const auto schedule = [&](double progress) {
    seen.progress.push_back(progress);
    return 1 - progress;
  };
  nn::Trainer trainer(t.model, t.optimizer, t.loader, loss,
                      {.epochs = epochs,
                       .checkpoint = checkpoint,
                       .resume = resume,
                       .lr_schedule = schedule,
                       .quiet = true});
  running = &trainer;
  trainer.run();
  return seen;
}

using Doubles = std::vector<double>;

TEST(Schedule, EveryTrainingHasItsOwnProgress) {
  Training t({.batch_size = 2}, 0.5);
  for (int training = 0; training < 2; ++training) {
    const Seen seen = run(t);
    EXPECT_EQ(seen.progress, (Doubles{0, 0.25, 0.5, 0.75})) << training;
    EXPECT_EQ(seen.rates, (Doubles{0.5, 0.375, 0.25, 0.125})) << training;
    EXPECT_EQ(t.optimizer.lr(), 0.5);
  }
}

TEST(Schedule, GoesOnFromTheCheckpoint) {
  const test::TempFolder folder;
  Training first, second;
  run(second);  // a used optimizer: what it did before does not count
  EXPECT_EQ(run(first, 2, folder / "c", false, 3).progress, (Doubles{0, 0.125, 0.25}));
  EXPECT_EQ(run(second, 2, folder / "c", true).progress, (Doubles{0.375, 0.5, 0.625, 0.75, 0.875}));
}

TEST(Schedule, FollowsARateThatIsSetOnTheWay) {
  Training t({.batch_size = 2}, 0.5);
  std::vector<double> rates;
  t.loss = [&](const Tensor& scores, const Tensor& target) {
    rates.push_back(t.optimizer.lr());
    if (rates.size() == 2) t.optimizer.set_lr(1);
    return nn::mse_loss(scores, target);
  };
  t.run({.epochs = 1, .lr_schedule = [](double progress) { return 1 - progress; }});
  EXPECT_EQ(rates, (Doubles{0.5, 0.375, 0.5, 0.25}));
  EXPECT_EQ(t.optimizer.lr(), 1);
}

TEST(Schedule, TheRateComesBackWhenATrainingThrows) {
  Training t({.batch_size = 2}, 0.5);
  t.loss = [](const Tensor&, const Tensor&) -> Tensor { fail("loss", "expected to fail"); };
  EXPECT_THROW(t.run({.epochs = 1, .lr_schedule = [](double) { return 0.25; }}), Error);
  EXPECT_EQ(t.optimizer.lr(), 0.5);
}

TEST(Schedule, RefusesFactorsThatMakeNoSense) {
  Training t;
  test::expect_error([&] { t.run({.lr_schedule = [](double) { return -1.0; }}); }, "optimizer",
                     {"expected a factor of the learning rate of at least 0, got -1"});
}

}  // namespace
