// Schedules against PyTorch's, and ReduceLROnPlateau.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <type_traits>

#include "ebb/ebb.h"
#include "files.h"
#include "training.h"

namespace {

using namespace ebb;
using namespace ebb::nn;
using test::expect_error;

constexpr int kSteps = 60;

std::map<std::string, std::vector<double>> torch_factors() {
  std::ifstream file(EBB_SOURCE_DIR "/tests/parity/schedules.txt");
  std::map<std::string, std::vector<double>> all;
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    std::string name;
    in >> name;
    for (double value; in >> value;) all[name].push_back(value);
  }
  return all;
}

std::map<std::string, Schedule> ebb_schedules() {
  using namespace schedules;
  return {
      {"constant", constant()},
      {"constant_options", constant(0.4, 12)},
      {"linear", linear()},
      {"linear_options", linear(0.2, 0.7, 30)},
      {"step", step(7)},
      {"step_options", step(11, 0.6)},
      {"multistep", multistep({41, 20, 3, 20}, 0.5)},
      {"exponential", exponential(0.93)},
      {"polynomial", polynomial()},
      {"polynomial_options", polynomial(40, 2.5)},
      {"cosine", cosine(25)},
      {"cosine_options", cosine(20, 0.1)},
      {"cosine_restarts", cosine_restarts(13)},
      {"cosine_restarts_options", cosine_restarts(5, 2, 0.2)},
      {"one_cycle", one_cycle(kSteps + 1)},
      {"one_cycle_linear", one_cycle(kSteps + 1, {.pct_start = 0.4,
                                                  .anneal_strategy = Anneal::Linear,
                                                  .div_factor = 10,
                                                  .final_div_factor = 100})},
      {"one_cycle_three", one_cycle(kSteps + 1, {.three_phase = true})},
      {"cyclic", cyclic(3, {.step_size_up = 8})},
      {"cyclic_triangular2",
       cyclic(3, {.step_size_up = 8, .step_size_down = 5, .mode = CyclicMode::Triangular2})},
      {"cyclic_exp_range",
       cyclic(
           3,
           {.step_size_up = 8, .step_size_down = 5, .mode = CyclicMode::ExpRange, .gamma = 0.95})},
      {"lambda", Schedule([](int64_t t) { return 1 / (1 + 0.1 * static_cast<double>(t)); })},
      {"warm_up", warm_up(10, 0.1, cosine(40))},
      {"sequence", sequence({constant(0.25, 100), step(5, 0.5), exponential(0.9)}, {7, 30})},
      {"product", constant(0.5, 10) * exponential(0.9)},
  };
}

TEST(Schedules, EqualTorchs) {
  const auto want = torch_factors();
  const auto schedules = ebb_schedules();
  ASSERT_EQ(want.size(), schedules.size() + 4);  // and four plateaus
  for (const auto& [name, schedule] : schedules) {
    const std::vector<double>& factors = want.at(name);
    ASSERT_EQ(factors.size(), size_t{kSteps}) << name;
    const auto by_progress = schedule.by_progress(kSteps);
    for (int t = 0; t < kSteps; ++t) {
      EXPECT_NEAR(schedule(t), factors[static_cast<size_t>(t)], 1e-12) << name << " at " << t;
      EXPECT_EQ(by_progress(static_cast<double>(t) / kSteps), schedule(t)) << name << " at " << t;
    }
  }
}

TEST(Schedules, PlateausEqualTorchs) {
  const auto want = torch_factors();
  const std::map<std::string, ReduceLROnPlateauOptions> cases = {
      {"plateau", {.patience = 2}},
      {"plateau_max",
       {.mode = PlateauMode::Max, .factor = 0.5, .patience = 3, .cooldown = 4, .min_lr = 0.01}},
      {"plateau_abs",
       {.factor = 0.7,
        .patience = 1,
        .threshold = 0.3,
        .threshold_mode = ThresholdMode::Abs,
        .eps = 0.02}},
      {"plateau_rel", {.factor = 0.7, .patience = 0, .threshold = 0.1, .cooldown = 2}}};
  for (const auto& [name, options] : cases) {
    Tensor p = zeros({1}).requires_grad_(), q = zeros({1}).requires_grad_();
    SGD whole({{"p", p}}, {.lr = 0.5}), resumed_optimizer({{"q", q}}, {.lr = 0.5});
    ReduceLROnPlateau plateau(whole, options), resumed(resumed_optimizer, options);
    for (int t = 0; t < kSteps; ++t) {
      EXPECT_NEAR(whole.lr(), want.at(name)[static_cast<size_t>(t)], 1e-12) << name << " at " << t;
      const double value = std::nearbyint(8 * (std::sin(0.7 * t) + 3 * std::exp(-0.1 * t))) / 8;
      if (t == 25) resumed.load_state_dict(plateau.state_dict());
      if (t >= 25) resumed.step(value);
      plateau.step(value);
    }
    EXPECT_EQ(resumed_optimizer.lr(), whole.lr()) << name;
    EXPECT_EQ(resumed.best(), plateau.best()) << name;
  }
}

TEST(Schedules, ATrainerFollowsOne) {
  for (const bool resumed : {false, true}) {
    const test::TempFolder folder;
    const Schedule schedule = schedules::warm_up(3, 0.25, schedules::cosine(9));
    std::vector<double> rates;
    const auto train = [&](test::Training& t, bool resume, int stop_after) {
      Trainer* running = nullptr;
      const auto loss = [&](const Tensor& scores, const Tensor& target) {
        rates.push_back(t.optimizer.lr());
        if (static_cast<int>(rates.size()) == stop_after) running->stop();
        return mse_loss(scores, target);
      };
      const int64_t steps = 3 * t.loader.size();
      Trainer trainer(t.model, t.optimizer, t.loader, loss,
                      {.epochs = 3,
                       .checkpoint = folder / "checkpoint",
                       .resume = resume,
                       .lr_schedule = schedule.by_progress(steps),
                       .quiet = true});
      running = &trainer;
      trainer.run();
    };
    test::Training first, second;
    train(first, false, resumed ? 5 : -1);
    if (resumed) train(second, true, -1);
    ASSERT_EQ(rates.size(), static_cast<size_t>(3 * first.loader.size()));
    for (size_t t = 0; t < rates.size(); ++t) {
      EXPECT_EQ(rates[t], first.optimizer.base_lr() * schedule(static_cast<int64_t>(t))) << t;
    }
  }
}

TEST(Schedules, RefuseImpossibleOptions) {
  using namespace schedules;
  EXPECT_THROW(step(0), Error);
  EXPECT_THROW(linear(-1), Error);
  EXPECT_THROW(cosine(0), Error);
  EXPECT_THROW(sequence({constant(), constant()}, {}), Error);
  EXPECT_THROW(sequence({constant(), constant(), constant()}, {9, 3}), Error);
  EXPECT_THROW(one_cycle(10, {.pct_start = 2}), Error);
  EXPECT_THROW(constant().by_progress(0), Error);
  EXPECT_THROW(Schedule{std::function<double(int64_t)>()}, Error);
  expect_error([] { exponential(0.9)(-1); }, "schedule", {"a step of at least 0, got -1"});
  expect_error([] { one_cycle(10)(10); }, "schedule",
               {"one_cycle has 10 steps, and this is step 10"});
  expect_error([] { Schedule([](int64_t) { return double(NAN); })(3); }, "schedule",
               {"the factor at step 3 is nan"});
  Tensor p = zeros({1}).requires_grad_();
  SGD optimizer({{"p", p}}, {.lr = 0.5});
  EXPECT_THROW(ReduceLROnPlateau(optimizer, {.factor = 1}), Error);
  EXPECT_THROW(ReduceLROnPlateau(optimizer, {.patience = -1}), Error);
  ReduceLROnPlateau plateau(optimizer);
  auto state = plateau.state_dict();
  for (const int64_t count : {int64_t{-1}, INT64_MAX}) {
    state[1].second = from_data(std::vector<int64_t>{0, count, 0}, {3});
    EXPECT_THROW(plateau.load_state_dict(state), Error);
  }
  EXPECT_EQ(optimizer.lr(), 0.5);
}

TEST(Schedules, PeriodsAndStepsMayBeHuge) {
  using namespace schedules;
  constexpr int64_t kMost = INT64_MAX, kHuge = int64_t{1} << 62;
  EXPECT_NEAR(cosine(kHuge)(kHuge), 0, 1e-12);
  EXPECT_NEAR(cosine(kMost)(kMost), 0, 1e-12);
  EXPECT_NEAR(cosine(kHuge)(kHuge / 2), 0.5, 1e-12);
  EXPECT_EQ(cosine_restarts(4, kMost)(4), 1);  // the second period has no end
  EXPECT_NEAR(cosine_restarts(4, kHuge)(kMost), 0, 1e-12);
  EXPECT_NEAR(cosine_restarts(2, 2)(kMost - 4), 0.5, 0.5);
  EXPECT_EQ(step(1, 0.5)(kMost), 0);
  const auto by_progress = exponential(0.5).by_progress(10);
  for (const double progress : {-0.5, -HUGE_VAL, HUGE_VAL, 1e300, double(NAN)})
    expect_error([&] { by_progress(progress); }, "schedule", {"expected a progress of at least 0"});
}

TEST(Schedules, ByProgressChangesBetweenEpochs) {
  const auto factor = schedules::step(1, 0.5).by_progress(3);
  std::vector<double> factors;
  for (int batch = 0; batch < 21; ++batch) factors.push_back(factor(batch / 21.0));
  for (size_t i = 0; i < factors.size(); ++i) EXPECT_EQ(factors[i], std::pow(0.5, i / 7)) << i;
  const auto of_49 = Schedule([](int64_t t) { return static_cast<double>(t); }).by_progress(49);
  for (int t = 0; t < 49; ++t) EXPECT_EQ(of_49(t / 49.0), t);  // 1 / 49.0 * 49 is below 1
  EXPECT_FALSE((std::is_constructible_v<std::function<double(double)>, Schedule>));
  EXPECT_EQ(schedules::warm_up(0, 0.1, schedules::constant(1))(0), 1);
}

}  // namespace
