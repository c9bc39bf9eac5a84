// Optimizers, with torch's formulas. One call updates all parameters in one pass, in place.
//
//   nn::Adam optimizer(model.named_parameters(), {.lr = 1e-3});
//   optimizer.zero_grad();  loss.backward();  optimizer.step();
#pragma once

#include <string>
#include <vector>

#include "ebb/core/backend.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Returns the parameters under the names "0", "1", ...: what an optimizer of model.parameters() calls them.
std::vector<NamedTensor> numbered(const std::vector<Tensor>& parameters);

/// The base of all optimizers. An optimizer holds handles of its parameters and follows them: when a parameter is
/// converted or moved (Module::to), its state is converted and moved before the next step.
/// Thread-safety: one thread at a time.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter from its gradient.
  /// Throws Error that names a parameter which received no gradient, since a part of the model that the loss does not
  /// reach is a mistake more often than not, and for what check() refuses. Then nothing is changed.
  void step();
  /// Forgets all gradients.
  void zero_grad();
  /// Throws Error that names a parameter which can no longer be updated as it was when the optimizer was made: it was
  /// frozen or thawed since, has another shape, is not contiguous, or is on another device than the first one.
  /// Make a new optimizer after freezing or thawing a part of a model. step() calls this.
  void check() const;

  /// Returns the learning rate of the next step: base_lr() times the factor of a schedule.
  double lr() const { return rule_.lr; }
  /// Returns the learning rate that was set last, by the options or by set_lr().
  double base_lr() const { return base_lr_; }
  /// Sets base_lr(), and the factor to 1. Throws Error unless lr is finite and at least 0.
  void set_lr(double lr);
  /// Multiplies base_lr() for the steps from now on: what a schedule sets. Throws Error unless factor is finite and at
  /// least 0.
  void set_lr_factor(double factor);
  /// Returns the number of steps made.
  int64_t steps() const { return rule_.step; }

  /// Returns the state for a checkpoint: "step" and, for each parameter, its buffers ("momentum.0.weight"). The
  /// learning rate is not part of it: it is what the program sets.
  std::vector<NamedTensor> state_dict() const;
  /// Copies the state in. Throws Error for what check_state_dict() refuses, and then changes nothing.
  void load_state_dict(const std::vector<NamedTensor>& state);
  /// Throws Error when load_state_dict() could not take this state: names, dtypes or shapes differ, the number of steps
  /// is negative or above 2^53, or a mean of squares is negative.
  void check_state_dict(const std::vector<NamedTensor>& state) const;

 protected:
  /// parameters: those that require grad are updated. Throws Error when none does, when one of them is not a contiguous
  /// leaf or is on another device than the first one, and when a parameter or a name occurs twice.
  Optimizer(std::vector<NamedTensor> parameters, OptimizerStep rule,
            std::vector<std::string> buffer_names);

 private:
  void check_gradients() const;
  Tensor followed(size_t buffer, size_t k) const;
  void follow_parameters();

  std::vector<NamedTensor> frozen_;  // those that did not require grad
  std::vector<std::string> names_;
  std::vector<Tensor> params_, grads_;
  std::vector<Shape> shapes_;
  std::vector<std::string> buffer_names_;     // at most two
  std::vector<std::vector<Tensor>> buffers_;  // [buffer][parameter]
  OptimizerStep rule_;
  double base_lr_;
};

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

/// d = grad + weight_decay p; with momentum: b = momentum b + (1 - dampening) d (b = d at the first step),
/// d = b, or d + momentum b with nesterov; p = p - lr d. torch.optim.SGD.
/// Throws Error on negative values, and on nesterov without momentum or with dampening.
class SGD : public Optimizer {
 public:
  SGD(std::vector<NamedTensor> parameters, SGDOptions options = {});
  SGD(const std::vector<Tensor>& parameters, SGDOptions options = {})
      : SGD(numbered(parameters), options) {}
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};

/// d = grad + weight_decay p; m = beta1 m + (1 - beta1) d; v = beta2 v + (1 - beta2) d^2;
/// p = p - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps) (Kingma and Ba 2015). torch.optim.Adam.
class Adam : public Optimizer {
 public:
  Adam(std::vector<NamedTensor> parameters, AdamOptions options = {});
  Adam(const std::vector<Tensor>& parameters, AdamOptions options = {})
      : Adam(numbered(parameters), options) {}
};

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

/// Adam with decoupled weight decay: p = p (1 - lr weight_decay) before the step (Loshchilov and Hutter 2019).
/// torch.optim.AdamW.
///
///     nn::AdamW optimizer(model.named_parameters(), {.lr = 1e-3});  // weight_decay is 0.01
class AdamW : public Optimizer {
 public:
  AdamW(std::vector<NamedTensor> parameters, AdamWOptions options = {});
  AdamW(const std::vector<Tensor>& parameters, AdamWOptions options = {})
      : AdamW(numbered(parameters), options) {}
};

}  // namespace ebb::nn
