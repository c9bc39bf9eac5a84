// The base of all optimizers: parameter groups, state and checkpoints. elementwise.h has SGD, Adam
// and the other element-wise optimizers, and rule_optimizer.h those that a user writes as one
// formula.
//
//   nn::Adam optimizer(model.named_parameters(), {.lr = 1e-3});
//   optimizer.zero_grad();
//   loss.backward();
//   optimizer.step();
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ebb/core/optimizer_rule.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Returns the parameters with the names "0", "1", ..., which they have in an optimizer that is
/// constructed from model.parameters().
std::vector<NamedTensor> numbered(const std::vector<Tensor>& parameters);

/// The treatment of gradients in step(), in the same pass over memory. In this order: step() takes
/// their mean over `accumulate` calls, multiplies it by scale, clips the norm, and clips each
/// element. The tensors grad() keep their values. Calls at the end of a training that do not
/// complete a mean have no effect.
struct GradOptions {
  double scale = 1;  ///< 1 / S if the loss was multiplied by S
  /// Clips the norm over all groups, as utils::clip_grad_norm_ does.
  double max_norm = std::numeric_limits<double>::infinity();
  /// Clips each element, as utils::clip_grad_value_ does.
  double max_value = std::numeric_limits<double>::infinity();
  /// If above 1, zero_grad() and step() only count, except in every accumulate-th call.
  int64_t accumulate = 1;
};

namespace detail {

/// The names and shapes of the buffers of one parameter, which start as zeros.
using BufferShapes = std::vector<std::pair<std::string_view, Shape>>;

/// A rule with its options.
struct RuleChoice {
  const RuleTable* table = nullptr;
  std::shared_ptr<const void> rule;
  double lr = 0;
  bool maximize = false;
  /// The state of a parameter; null for the buffers of the rule, each of the parameter's shape.
  BufferShapes (*buffers)(const Tensor& parameter) = nullptr;
};

/// Parameters that are stepped together: those of one group that have made the same number of
/// steps.
struct Batch {
  static constexpr int kPasses = 2;
  size_t group = 0;
  std::vector<size_t> members;       ///< indices in the list of parameters
  std::vector<OptimizerItem> items;  ///< the operands of the first pass
  OptimizerStep passes[kPasses];     ///< lr and step are the same in all of them
};

struct Parameter {
  std::string name;
  Tensor tensor;
  Shape shape;
  size_t group = 0;
  bool active = false;          ///< true if it requires grad and is in a batch
  size_t batch = 0;             ///< the index of its batch, if active
  int64_t steps = 0;            ///< the steps before it became active or frozen
  std::vector<Tensor> buffers;  ///< empty before its first step
  Tensor average, grad;
};

}  // namespace detail

/// The base of all optimizers.
///
/// An optimizer has handles of its parameters. If a parameter is converted or moved (Module::to),
/// its state is converted and moved before the next step.
///
/// Freezing: a parameter with requires_grad_(false) is not updated and keeps its state. After it is
/// thawed, it continues with this state and its own number of steps. The optimizer must know it
/// from the start, or receive it by add_param_group().
///
/// Not thread-safe.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter from its gradient. Throws Error, and changes nothing, if a parameter
  /// requires grad and has no gradient, which it names, because a part of the model that the loss
  /// does not reach is usually a mistake; and in the cases of check().
  void step();
  /// Clears the gradients of all parameters.
  void zero_grad();
  /// Finds the parameters that have been frozen or thawed. step() calls this. Call it before a
  /// captured step if parameters may have been frozen. Throws Error that names a parameter which
  /// cannot be updated: its shape has changed, it is not a contiguous leaf, or it is on another
  /// device than the others. Throws Error if all parameters are frozen.
  void check();

  /// Returns the parameters of all groups with their names, in the order in which they were added.
  std::vector<NamedTensor> named_parameters() const;
  /// Returns the number of parameter groups.
  size_t groups() const { return groups_.size(); }
  /// Returns the learning rate of a group's next step: base_lr() times the factor of a schedule.
  double lr(size_t group = 0) const { return at(group).base_lr * factor_; }
  /// Returns the learning rate that was set last, by the options or by set_lr().
  double base_lr(size_t group = 0) const { return at(group).base_lr; }
  /// Sets base_lr() of all groups or of one, and the factor to 1. Throws Error unless lr is finite
  /// and at least 0.
  void set_lr(double lr);
  void set_lr(double lr, size_t group);
  /// Sets the factor on base_lr() of all groups, for schedules. Throws Error unless it is finite
  /// and at least 0.
  void set_lr_factor(double factor);
  /// Returns the number of steps made.
  int64_t steps() const;

  /// Sets what step() does with gradients from now on. Throws Error for values out of range, and in
  /// the middle of an accumulation.
  ///
  ///     optimizer.set_grad_options({.max_norm = 1.0, .accumulate = 4});
  void set_grad_options(const GradOptions& options);
  const GradOptions& grad_options() const { return grad_options_; }
  /// Returns the number of calls of step() whose gradients have been summed up for the next update.
  int64_t accumulated() const { return accumulated_; }
  /// Returns the norm of all gradients before it was clipped in the last step: 0-d f64, on their
  /// device. Undefined unless max_norm is set.
  Tensor grad_norm() const { return grad_norm_; }

  /// Makes step() compute an exponential moving average of every parameter that it updates: average
  /// = decay average + (1 - decay) p, starting from p after the first step. The averages are part
  /// of state_dict(), and AveragedWeights (ema.h) uses them in the model. A second call changes the
  /// decay. Throws Error unless 0 < decay < 1.
  void average_weights(double decay);
  /// Returns the averages with the names of their parameters. Parameters that have not been updated
  /// since average_weights() have none.
  std::vector<NamedTensor> averages() const;
  /// Returns the parameters that have an average, each with its average.
  std::vector<std::pair<Tensor, Tensor>> averaged_parameters() const;

  /// Returns the state for a checkpoint: "step"; the buffers of each parameter
  /// ("momentum.0.weight"); its number of steps if it differs from "step" ("step.0.weight");
  /// averages; and sums of gradients that are being accumulated. The learning rate is not part of
  /// the state, because the program sets it.
  std::vector<NamedTensor> state_dict() const;
  /// Restores a state. Throws Error in the cases of check_state_dict(), and changes nothing then.
  void load_state_dict(const std::vector<NamedTensor>& state);
  /// Throws Error if names, dtypes or shapes of a state do not fit this optimizer, if a number of
  /// steps is negative or above 2^53, or if a mean of squares is negative. The state of a frozen
  /// parameter is optional.
  void check_state_dict(const std::vector<NamedTensor>& state) const;

 protected:
  Optimizer() = default;
  /// Adds a group. Parameters that do not require grad are not updated until they are thawed.
  /// Throws Error, and changes nothing, if no parameter of the optimizer requires grad, if one of
  /// them is not a contiguous leaf or is on another device than the others, or if a parameter or a
  /// name occurs twice.
  void add_group(std::vector<NamedTensor> parameters, detail::RuleChoice rule);
  /// Computes the step of one batch from the gradients in its items. The default is the step of the
  /// group's rule.
  virtual void apply(detail::Batch& batch);
  const detail::RuleChoice& rule(size_t group) const { return at(group).rule; }
  std::vector<detail::Parameter>& parameters() { return parameters_; }

 private:
  struct Group {
    detail::RuleChoice rule;
    double base_lr;
  };
  const Group& at(size_t group) const;
  bool validate() const;
  void check_gradients() const;
  void regroup();
  void follow_parameters();
  void apply_rates();
  void take_gradients();
  bool accumulates();
  int64_t steps_of(const detail::Parameter& p) const;
  detail::BufferShapes buffers_for(const detail::Parameter& p) const;
  std::vector<Tensor> new_buffers(const detail::Parameter& p) const;
  std::vector<NamedTensor> buffers_of(const detail::Parameter& p) const;
  std::vector<NamedTensor> target_for(const std::vector<NamedTensor>& source) const;

  std::vector<Group> groups_;
  std::vector<detail::Parameter> parameters_;
  std::vector<std::unique_ptr<detail::Batch>> batches_;
  int64_t total_ = 0;   // steps made when batches_ was built
  int64_t offset_ = 0;  // steps() minus the number of steps of the first batch
  double factor_ = 1;
  GradOptions grad_options_;
  int64_t accumulated_ = 0;
  Tensor grad_norm_, clip_factor_;
  double decay_ = 0;       // 0: no averages
  bool averaged_ = false;  // a step was made since average_weights()
};

}  // namespace ebb::nn
