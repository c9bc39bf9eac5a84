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

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter from its gradient. Throws Error naming a parameter that received no gradient, and then
  /// changes nothing: a part of the model that the loss does not reach is a mistake more often than not. Freeze it
  /// with requires_grad_(false) before the optimizer is made if it is meant.
  void step();
  /// Forgets all gradients.
  void zero_grad();

  double lr() const { return rule_.lr; }
  void set_lr(double lr);
  int64_t steps() const { return rule_.step; }

  /// The state for a checkpoint: "step" and, for each parameter, its buffers ("momentum.0.weight").
  std::vector<NamedTensor> state_dict() const;
  /// Throws Error when names or shapes differ, and then changes nothing.
  void load_state_dict(const std::vector<NamedTensor>& state);

 protected:
  /// parameters: those that require grad are kept. Throws Error when none does, or one is not contiguous.
  Optimizer(std::vector<NamedTensor> parameters, OptimizerStep rule,
            std::vector<std::string> buffer_names);

 private:
  std::vector<std::string> names_;
  std::vector<Tensor> params_, grads_;
  std::vector<std::string> buffer_names_;     // at most two
  std::vector<std::vector<Tensor>> buffers_;  // [buffer][parameter]
  OptimizerStep rule_;
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
};

/// Adam with decoupled weight decay: p = p (1 - lr weight_decay) before the step (Loshchilov and Hutter 2019).
/// weight_decay is 0.01 unless given, as in torch.optim.AdamW.
class AdamW : public Optimizer {
 public:
  AdamW(std::vector<NamedTensor> parameters, AdamOptions options = {.weight_decay = 0.01});
};

}  // namespace ebb::nn
