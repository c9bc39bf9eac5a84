// ReduceLROnPlateau value by value: what counts as better, when the rate falls, and its state.
#include <gtest/gtest.h>

#include <cmath>

#include "ebb/ebb.h"
#include "files.h"

namespace {

using namespace ebb;
using namespace ebb::nn;
using test::expect_error;

struct Plateau {
  explicit Plateau(ReduceLROnPlateauOptions options, double lr = 1)
      : optimizer({{"p", p}}, {.lr = lr}), plateau(optimizer, options) {}
  // Returns true if the value lowers the rate.
  bool step(double value) {
    const double before = optimizer.lr();
    const bool reduced = plateau.step(value);
    EXPECT_EQ(reduced, optimizer.lr() < before);
    return reduced;
  }
  std::vector<int64_t> counts() const {
    return plateau.state_dict()[1].second.to_vector<int64_t>();
  }

  Tensor p = zeros({1}).requires_grad_();
  SGD optimizer;
  ReduceLROnPlateau plateau;
};

TEST(Plateau, AnImprovementExceedsTheThreshold) {
  const struct {
    PlateauMode mode;
    ThresholdMode threshold;
    double same, better;
  } cases[] = {{PlateauMode::Min, ThresholdMode::Rel, 6, 5.75},
               {PlateauMode::Max, ThresholdMode::Rel, 10, 10.25},
               {PlateauMode::Min, ThresholdMode::Abs, 7.75, 7.5},
               {PlateauMode::Max, ThresholdMode::Abs, 8.25, 8.5}};
  for (const auto& c : cases) {
    Plateau p({.mode = c.mode,
               .factor = 0.5,
               .patience = 0,
               .threshold = 0.25,
               .threshold_mode = c.threshold});
    EXPECT_FALSE(p.step(8));
    EXPECT_TRUE(p.step(c.same));  // at the threshold
    EXPECT_EQ(p.plateau.best(), 8);
    EXPECT_FALSE(p.step(c.better));
    EXPECT_EQ(p.plateau.best(), c.better);
    EXPECT_TRUE(p.step(NAN));
    EXPECT_EQ(p.optimizer.lr(), 0.25);
  }
}

TEST(Plateau, WaitsAndCoolsDown) {
  Plateau p({.factor = 0.5, .patience = 2, .cooldown = 3});
  p.step(1);
  for (const bool falls : {false, false, true, false, false, false, false, false, true})
    EXPECT_EQ(p.step(2), falls) << p.counts()[2];
  EXPECT_EQ(p.optimizer.lr(), 0.25);
  EXPECT_EQ(p.counts(), (std::vector<int64_t>{0, 3, 10}));
}

TEST(Plateau, TheRateStaysAboveItsLeast) {
  Plateau p({.factor = 0.5, .patience = 0, .min_lr = 0.375, .eps = 0.125});
  p.step(1);
  EXPECT_TRUE(p.step(2));
  EXPECT_FALSE(p.step(2));  // from 0.5 to 0.375 is not more than eps
  EXPECT_EQ(p.optimizer.lr(), 0.5);
}

TEST(Plateau, ItsStateHasBestCountsAndRates) {
  Plateau p({.patience = 3, .cooldown = 5}), q({.patience = 3, .cooldown = 5}, 7);
  auto state = p.plateau.state_dict();
  constexpr int64_t kMost = int64_t{1} << 53;
  state[0].second = scalar(0.5, f64);
  state[1].second = from_data<int64_t>({2, 4, kMost}, {3});
  state[2].second = tensor({0.25}, f64);
  q.plateau.load_state_dict(state);
  EXPECT_EQ(q.plateau.best(), 0.5);
  EXPECT_EQ(q.counts(), (std::vector<int64_t>{2, 4, kMost}));
  EXPECT_EQ(q.optimizer.lr(), 0.25);
  state[1].second = from_data<int64_t>({2, kMost + 1, 0}, {3});
  expect_error([&] { q.plateau.load_state_dict(state); }, "ReduceLROnPlateau", {"from 0 to 2^53"});
  EXPECT_EQ(q.counts(), (std::vector<int64_t>{2, 4, kMost}));
}

TEST(Schedules, APhaseOfOneCycleMayBeEmpty) {
  EXPECT_EQ(schedules::one_cycle(10, {.pct_start = 0.1})(0), 1);
}

}  // namespace
