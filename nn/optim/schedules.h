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

/// A factor on the learning rate as a function of the step.
class Schedule {
 public:
  /// Takes any function of the step: torch's LambdaLR.
  Schedule(std::function<double(int64_t step)> factor);

  /// Returns the factor at a step. Throws Error if the step is negative, or if the factor is
  /// negative or not finite.
  double operator()(int64_t step) const;
  /// Does not compile, because a fraction of the training is not a step: use by_progress(steps).
  template <std::floating_point Progress> double operator()(Progress progress) const = delete;
  /// Returns the schedule as a function of the progress of the training, from 0 to 1, for
  /// TrainerOptions::lr_schedule. The step is progress * steps, rounded down. With steps = epochs
  /// the rate changes between epochs; with steps = epochs * loader.size(), after each batch. Throws
  /// Error unless steps >= 1; the function does for a negative progress.
  std::function<double(double progress)> by_progress(int64_t steps) const;

 private:
  std::function<double(int64_t)> factor_;
};

/// Returns the product of both factors: torch's ChainedScheduler.
Schedule operator*(Schedule a, Schedule b);

// Each function returns the factor in its comment, and names torch's scheduler.
namespace schedules {

/// `factor` before step total_iters, then 1. ConstantLR.
Schedule constant(double factor = 1.0 / 3, int64_t total_iters = 5);
/// Linear from start_factor at step 0 to end_factor at total_iters, and then end_factor. LinearLR.
Schedule linear(double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);
/// gamma^floor(step / step_size). StepLR.
Schedule step(int64_t step_size, double gamma = 0.1);
/// gamma^(the number of milestones up to step). MultiStepLR.
Schedule multistep(std::vector<int64_t> milestones, double gamma = 0.1);
/// gamma^step. ExponentialLR.
Schedule exponential(double gamma);
/// (1 - step / total_iters)^power, 0 from total_iters on. PolynomialLR.
Schedule polynomial(int64_t total_iters = 5, double power = 1);
/// eta_min + (1 - eta_min) (1 + cos(pi step / T_max)) / 2, which falls until T_max and then rises.
/// CosineAnnealingLR.
Schedule cosine(int64_t T_max, double eta_min = 0);
/// cosine(T_0), which restarts after T_0 steps, then after T_mult times as many, and so on.
/// CosineAnnealingWarmRestarts.
Schedule cosine_restarts(int64_t T_0, int64_t T_mult = 1, double eta_min = 0);

enum class Anneal { Cosine, Linear };

/// The options of one_cycle.
struct OneCycleOptions {
  double pct_start = 0.3;  ///< the fraction of the steps in which the rate rises
  Anneal anneal_strategy = Anneal::Cosine;
  double div_factor = 25;         ///< the first factor is 1 / div_factor
  double final_div_factor = 1e4;  ///< the last one is 1 / (div_factor final_div_factor)
  bool three_phase = false;       ///< falls to the first factor, then to the last one
};
/// Rises to 1 and then falls to final_div_factor. OneCycleLR without its momentum, where the
/// optimizer's rate is max_lr.
Schedule one_cycle(int64_t total_steps, OneCycleOptions options = {});

enum class CyclicMode { Triangular, Triangular2, ExpRange };

/// The options of cyclic.
struct CyclicOptions {
  int64_t step_size_up = 2000;
  int64_t step_size_down = 0;  ///< if 0, step_size_up
  CyclicMode mode = CyclicMode::Triangular;
  double gamma = 1;  ///< with ExpRange, the amplitude is multiplied by gamma^step
};
/// Rises from 1 to max_factor and falls back. Triangular2 halves the amplitude with each cycle.
/// CyclicLR without its momentum, where the optimizer's rate is base_lr.
Schedule cyclic(double max_factor, CyclicOptions options = {});

/// schedules[0] until milestones[0], then schedules[1] from its own step 0, and so on.
/// SequentialLR.
Schedule sequence(std::vector<Schedule> schedules, std::vector<int64_t> milestones);
/// Linear from start_factor to 1 over `steps`, and then the schedule `then` from its step 0:
/// SequentialLR of LinearLR and another.
Schedule warm_up(int64_t steps, double start_factor, Schedule then);

}  // namespace schedules

enum class PlateauMode { Min, Max };
enum class ThresholdMode { Rel, Abs };

struct ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::Min;
  double factor = 0.1;
  int64_t patience = 10;  ///< calls without an improvement before the rate is reduced
  double threshold = 1e-4;
  ThresholdMode threshold_mode = ThresholdMode::Rel;
  int64_t cooldown = 0;  ///< calls after a reduction that are not counted
  double min_lr = 0;
  double eps = 1e-8;  ///< the rate is not changed by less than this
};

/// Multiplies the rates of an optimizer by `factor` when a value has not improved for more than
/// `patience` calls, as torch.optim.lr_scheduler.ReduceLROnPlateau. It depends on earlier values,
/// so it has a state for checkpoints.
///
///     nn::ReduceLROnPlateau plateau(optimizer, {.factor = 0.5, .patience = 3});
///     plateau.step(validation_loss);  // after each epoch
class ReduceLROnPlateau {
 public:
  /// REQUIRES that the optimizer outlives this object. Throws Error for options out of range.
  explicit ReduceLROnPlateau(Optimizer& optimizer, ReduceLROnPlateauOptions options = {});

  /// Takes the next value. Returns true if it reduced the rate. NaN is never an improvement.
  bool step(double value);
  double best() const { return best_; }
  int64_t num_bad_epochs() const { return bad_; }

  /// Returns the state, including the rates of all groups, which the optimizer's state does not
  /// contain.
  std::vector<NamedTensor> state_dict() const;
  /// Restores a state and sets the rates. Throws Error if names, sizes or numbers do not fit, and
  /// changes nothing then.
  void load_state_dict(const std::vector<NamedTensor>& state);

 private:
  bool improves(double value) const;

  Optimizer& optimizer_;
  ReduceLROnPlateauOptions options_;
  double best_;
  int64_t bad_ = 0, cooling_ = 0, calls_ = 0;
};

}  // namespace ebb::nn
