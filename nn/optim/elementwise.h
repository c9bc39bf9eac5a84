// The element-wise optimizers of torch, and Lion. options.h documents their options and formulas.
//
//   nn::AdamW optimizer(model.named_parameters(), {.lr = 1e-3});  // weight_decay is 0.01
//
// Parameter groups have options of their own:
//
//   nn::AdamW optimizer(weights, {.lr = 1e-3});
//   optimizer.add_param_group(biases, {.lr = 1e-3, .weight_decay = 0});
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ebb/nn/optim/optimizer_base.h"
#include "ebb/nn/optim/options.h"

namespace ebb::nn {

namespace detail {
/// Checks options and chooses the rule.
template <class Options> RuleChoice rule_of(const Options& options);
template <> RuleChoice rule_of(const SGDOptions& options);
template <> RuleChoice rule_of(const AdamOptions& options);
template <> RuleChoice rule_of(const AdamWOptions& options);
template <> RuleChoice rule_of(const AdamaxOptions& options);
template <> RuleChoice rule_of(const NAdamOptions& options);
template <> RuleChoice rule_of(const RAdamOptions& options);
template <> RuleChoice rule_of(const RMSpropOptions& options);
template <> RuleChoice rule_of(const AdagradOptions& options);
template <> RuleChoice rule_of(const AdadeltaOptions& options);
template <> RuleChoice rule_of(const RpropOptions& options);
template <> RuleChoice rule_of(const ASGDOptions& options);
template <> RuleChoice rule_of(const LionOptions& options);
}  // namespace detail

/// An optimizer whose parameter groups each have Options. The constructors throw Error if an option
/// is out of range, and for the parameters that Optimizer::add_group refuses, such as two with the
/// same name.
template <class Options> class OptimizerOf : public Optimizer {
 public:
  OptimizerOf(std::vector<NamedTensor> parameters, Options options = {}) {
    add_param_group(std::move(parameters), options);
  }
  OptimizerOf(const std::vector<Tensor>& parameters, Options options = {})
      : OptimizerOf(numbered(parameters), options) {}

  /// Adds parameters with their own options. Their number of steps starts at 0.
  void add_param_group(std::vector<NamedTensor> parameters, Options options = {}) {
    add_group(std::move(parameters), detail::rule_of(options));
  }
};

class SGD : public OptimizerOf<SGDOptions> {
  using OptimizerOf::OptimizerOf;
};
class Adam : public OptimizerOf<AdamOptions> {
  using OptimizerOf::OptimizerOf;
};
class AdamW : public OptimizerOf<AdamWOptions> {
  using OptimizerOf::OptimizerOf;
};
class Adamax : public OptimizerOf<AdamaxOptions> {
  using OptimizerOf::OptimizerOf;
};
class NAdam : public OptimizerOf<NAdamOptions> {
  using OptimizerOf::OptimizerOf;
};
class RAdam : public OptimizerOf<RAdamOptions> {
  using OptimizerOf::OptimizerOf;
};
class RMSprop : public OptimizerOf<RMSpropOptions> {
  using OptimizerOf::OptimizerOf;
};
class Adagrad : public OptimizerOf<AdagradOptions> {
  using OptimizerOf::OptimizerOf;
};
class Adadelta : public OptimizerOf<AdadeltaOptions> {
  using OptimizerOf::OptimizerOf;
};
class Rprop : public OptimizerOf<RpropOptions> {
  using OptimizerOf::OptimizerOf;
};
class ASGD : public OptimizerOf<ASGDOptions> {
  using OptimizerOf::OptimizerOf;
};
class Lion : public OptimizerOf<LionOptions> {
  using OptimizerOf::OptimizerOf;
};

}  // namespace ebb::nn
