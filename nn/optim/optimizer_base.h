// The base of all optimizers: parameter groups, state, checkpoints. elementwise.h has SGD, Adam and
// the other element-wise ones, rule_optimizer.h those that a user writes as one formula.
//
//   nn::Adam optimizer(model.named_parameters(), {.lr = 1e-3});
//   optimizer.zero_grad();  loss.backward();  optimizer.step();
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ebb/core/optimizer_rule.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Returns the parameters under the names "0", "1", ...: what an optimizer of model.parameters()
/// calls them.
std::vector<NamedTensor> numbered(const std::vector<Tensor>& parameters);

/// The treatment of gradients in step(), in the same pass over memory: it sums them over
/// `accumulate` calls and takes the mean, multiplies by scale, clips the norm, and clips each
/// element. The tensors grad() keep their values. Calls at the end of a training that do not fill a
/// sum have no effect.
struct GradOptions {
  double scale = 1;  ///< 1 / S where the loss was multiplied by S
  /// As utils::clip_grad_norm_, over all groups.
  double max_norm = std::numeric_limits<double>::infinity();
  /// As utils::clip_grad_value_.
  double max_value = std::numeric_limits<double>::infinity();
  /// Above 1, zero_grad() and step() do nothing but count, except in every accumulate-th call.
  int64_t accumulate = 1;
};

namespace detail {

/// The state of one parameter: names and shapes of its buffers, which start as zeros.
using BufferShapes = std::vector<std::pair<std::string_view, Shape>>;

/// A rule with its options, as the optimizers keep it.
struct RuleChoice {
  const RuleTable* table = nullptr;
  std::shared_ptr<const void> rule;
  double lr = 0;
  bool maximize = false;
  /// The state of a parameter; null for the buffers of the rule, each of the parameter's shape.
  BufferShapes (*buffers)(const Tensor& parameter) = nullptr;
};

/// Parameters that make their steps together: of one group, and with the same number of steps.
struct Batch {
  static constexpr int kPasses = 2;
  size_t group = 0;
  std::vector<size_t> members;       ///< in the list of parameters
  std::vector<OptimizerItem> items;  ///< of the first pass
  OptimizerStep passes[kPasses];     ///< lr and step are the same in all of them
};

struct Parameter {
  std::string name;
  Tensor tensor;
  Shape shape;
  size_t group = 0;
  bool active = false;          ///< it requires grad and is in a batch
  size_t batch = 0;             ///< where active
  int64_t steps = 0;            ///< made before it became active or frozen
  std::vector<Tensor> buffers;  ///< empty before its first step
  Tensor average, grad;
};

}  // namespace detail

/// The base of all optimizers. An optimizer holds handles of its parameters and follows them: when
/// a parameter is converted or moved (Module::to), its state is converted and moved before the next
/// step.
///
/// Freezing: a parameter with requires_grad_(false) is left alone and keeps its state. When it is
/// thawed, it goes on with that state and its own number of steps; one that was frozen from the
/// start begins with fresh state. So a thawed parameter must be in the list that the optimizer was
/// given; add_param_group() adds others. Thread-safety: one thread at a time.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter from its gradient. Throws Error that names a parameter which requires
  /// grad and received no gradient, since a part of the model that the loss does not reach is a
  /// mistake more often than not, and for what check() refuses. Then nothing is changed.
  void step();
  /// Forgets all gradients.
  void zero_grad();
  /// Throws Error that names a parameter which cannot be updated: it has another shape than when it
  /// was added, is not a contiguous leaf, or is on another device than the others; and when all are
  /// frozen. Takes note of parameters that were frozen or thawed. step() calls this. Call it before
  /// a captured step when parameters may have been frozen.
  void check();

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
  /// Multiplies base_lr() of all groups for the steps from now on: what a schedule sets. Throws
  /// Error unless factor is finite and at least 0.
  void set_lr_factor(double factor);
  /// Returns the number of steps made.
  int64_t steps() const;

  /// Sets what step() does with gradients from now on. Throws Error for values out of range, and in
  /// the middle of an accumulation.
  ///
  ///     optimizer.set_grad_options({.max_norm = 1.0, .accumulate = 4});
  void set_grad_options(const GradOptions& options);
  const GradOptions& grad_options() const { return grad_options_; }
  /// Returns the number of calls of step() that have been summed up for the next update.
  int64_t accumulated() const { return accumulated_; }
  /// Returns the norm of all gradients before it was clipped in the last step: 0-d f64, on their
  /// device. Undefined unless max_norm is set.
  Tensor grad_norm() const { return grad_norm_; }

  /// Keeps an exponential moving average of every parameter that is updated, in the pass of step():
  /// average = decay average + (1 - decay) p; the first step copies p. A second call changes the
  /// decay; 0 < decay < 1. AveragedWeights (ema.h) puts the averages into the model for a while.
  /// The averages are part of state_dict().
  void average_weights(double decay);
  /// Returns the averages by the names of the parameters: of those that have required grad since
  /// average_weights().
  std::vector<NamedTensor> averages() const;
  /// Returns those parameters, each with its average.
  std::vector<std::pair<Tensor, Tensor>> averaged_parameters() const;

  /// Returns the state for a checkpoint: "step" and, for each parameter, its buffers
  /// ("momentum.0.weight"); its own number of steps where that is another one ("step.0.weight");
  /// averages; and gradients that are being accumulated. The learning rate is not part of it: it is
  /// what the program sets.
  std::vector<NamedTensor> state_dict() const;
  /// Copies the state in. Throws Error for what check_state_dict() refuses, and then changes
  /// nothing.
  void load_state_dict(const std::vector<NamedTensor>& state);
  /// Throws Error when load_state_dict() could not take this state: names, dtypes or shapes differ,
  /// the number of steps is negative or above 2^53, or a mean of squares is negative. State of a
  /// parameter that is frozen now is optional.
  void check_state_dict(const std::vector<NamedTensor>& state) const;

 protected:
  Optimizer() = default;
  /// Adds a group. Parameters that do not require grad are left alone until they are thawed. Throws
  /// Error, and changes nothing, when no parameter of the optimizer requires grad, when one of them
  /// is not a contiguous leaf or is on another device than the others, and when a parameter or a
  /// name occurs twice.
  void add_group(std::vector<NamedTensor> parameters, detail::RuleChoice rule);
  /// Makes the step of one batch from the gradients in its items: without an override, that of the
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
