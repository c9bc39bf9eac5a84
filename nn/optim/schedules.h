// Learning-rate schedules: pure functions of the step, so that a checkpoint needs no state of them.
//
// A schedule returns, for step 0, 1, 2, ..., the factor on the learning rate that the optimizer was
// constructed with. In a loop:
//
//   const nn::Schedule schedule = nn::schedules::warm_up(100, 0.1, nn::schedules::cosine(900));
//   for (int64_t step = 0; step < 1000; ++step) {
//     optimizer.set_lr_factor(schedule(step));
//     // forward, backward and optimizer.step() follow
//   }
//
// And in a Trainer, which counts the steps:
//
//   nn::Trainer trainer(model, optimizer, loader, nn::CrossEntropyLoss(),
//                       {.epochs = 10, .lr_schedule = schedule.by_progress(1000)});
//
// A step is whatever the caller counts. PyTorch's schedulers are mostly stepped once per epoch. The
// functions below have the names and defaults of torch.optim.lr_scheduler. Rates that PyTorch gives
// absolutely (eta_min, max_lr) are factors here, so that they fit groups with different rates.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <vector>

#include "ebb/nn/optim/optimizer_base.h"

namespace ebb::nn {

class Schedule {
 public:
  /// Any function of the step: torch's LambdaLR.
  Schedule(std::function<double(int64_t step)> factor);

  /// Returns the factor at a step. Throws Error when it is negative or the factor is not finite or
  /// is negative.
  double operator()(int64_t step) const;
  /// Does not compile, because a share is not a step: write by_progress(steps).
  template <std::floating_point Progress> double operator()(Progress progress) const = delete;
  /// Returns the schedule as a function of the share of `steps` that have been made, from 0 to 1,
  /// for TrainerOptions::lr_schedule. The step is rounded down. With steps = epochs the schedule
  /// changes between epochs, with steps = epochs * loader.size() after each batch. Throws Error
  /// unless steps >= 1.
  std::function<double(double progress)> by_progress(int64_t steps) const;

 private:
  std::function<double(int64_t)> factor_;
};

/// The product of both factors: torch's ChainedScheduler.
Schedule operator*(Schedule a, Schedule b);

namespace schedules {

/// `factor` before step total_iters, then 1. ConstantLR.
Schedule constant(double factor = 1.0 / 3, int64_t total_iters = 5);
/// From start_factor at step 0 to end_factor at total_iters, and that from then on. LinearLR.
Schedule linear(double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);
/// gamma^floor(step / step_size). StepLR.
Schedule step(int64_t step_size, double gamma = 0.1);
/// gamma^(the number of milestones up to step). MultiStepLR.
Schedule multistep(std::vector<int64_t> milestones, double gamma = 0.1);
/// gamma^step. ExponentialLR.
Schedule exponential(double gamma);
/// (1 - step / total_iters)^power, 0 from total_iters on. PolynomialLR.
Schedule polynomial(int64_t total_iters = 5, double power = 1);
/// eta_min + (1 - eta_min) (1 + cos(pi step / T_max)) / 2: falls until T_max, and rises again
/// after. CosineAnnealingLR.
Schedule cosine(int64_t T_max, double eta_min = 0);
/// The same, from the start again after T_0 steps, then after T_mult times as many, and so on.
/// CosineAnnealingWarmRestarts.
Schedule cosine_restarts(int64_t T_0, int64_t T_mult = 1, double eta_min = 0);

enum class Anneal { Cosine, Linear };

/// OneCycleLR, without its momentum. The optimizer's rate is max_lr.
struct OneCycleOptions {
  double pct_start = 0.3;  ///< the share of the steps in which the rate rises
  Anneal anneal_strategy = Anneal::Cosine;
  double div_factor = 25;         ///< the first factor is 1 / div_factor
  double final_div_factor = 1e4;  ///< the last one is 1 / (div_factor final_div_factor)
  bool three_phase = false;       ///< falls to the first factor, then to the last one
};
Schedule one_cycle(int64_t total_steps, OneCycleOptions options = {});

enum class CyclicMode { Triangular, Triangular2, ExpRange };

/// CyclicLR, without its momentum. The optimizer's rate is base_lr.
struct CyclicOptions {
  int64_t step_size_up = 2000;
  int64_t step_size_down = 0;  ///< 0: step_size_up
  CyclicMode mode = CyclicMode::Triangular;
  double gamma = 1;  ///< of ExpRange: gamma^step
};
/// From 1 to max_factor and back. Triangular2 halves the amplitude with each cycle.
Schedule cyclic(double max_factor, CyclicOptions options = {});

/// schedules[0] until milestones[0], then schedules[1] from its own step 0, and so on.
/// SequentialLR.
Schedule sequence(std::vector<Schedule> schedules, std::vector<int64_t> milestones);
/// From start_factor linearly to 1 over `steps`, then `then` from its step 0: SequentialLR of
/// LinearLR and another.
Schedule warm_up(int64_t steps, double start_factor, Schedule then);

}  // namespace schedules

enum class PlateauMode { Min, Max };
enum class ThresholdMode { Rel, Abs };

struct ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::Min;
  double factor = 0.1;
  int64_t patience = 10;  ///< calls without improvement that are tolerated
  double threshold = 1e-4;
  ThresholdMode threshold_mode = ThresholdMode::Rel;
  int64_t cooldown = 0;  ///< calls after a reduction that do not count
  double min_lr = 0;
  double eps = 1e-8;  ///< smaller changes of the rate are not made
};

/// Multiplies the rates of an optimizer by `factor` when a value has not improved for more than
/// `patience` calls. torch.optim.lr_scheduler.ReduceLROnPlateau. It depends on what it saw, so it
/// has state for a checkpoint.
///
///     nn::ReduceLROnPlateau plateau(optimizer, {.factor = 0.5, .patience = 3});
///     plateau.step(validation_loss);  // after each epoch
class ReduceLROnPlateau {
 public:
  /// Keeps a reference: the optimizer outlives it. Throws Error for options out of range.
  explicit ReduceLROnPlateau(Optimizer& optimizer, ReduceLROnPlateauOptions options = {});

  /// Takes note of a value. Returns true if it reduced the rate. NaN never counts as an
  /// improvement.
  bool step(double value);
  double best() const { return best_; }
  int64_t num_bad_epochs() const { return bad_; }

  /// Returns the state, with the rates of all groups, which the optimizer's own state does not
  /// have.
  std::vector<NamedTensor> state_dict() const;
  /// Takes the state over, and sets the rates. Throws Error, and changes nothing, for a state of
  /// other names, sizes or impossible numbers.
  void load_state_dict(const std::vector<NamedTensor>& state);

 private:
  bool improves(double value) const;

  Optimizer& optimizer_;
  ReduceLROnPlateauOptions options_;
  double best_;
  int64_t bad_ = 0, cooling_ = 0, calls_ = 0;
};

}  // namespace ebb::nn
