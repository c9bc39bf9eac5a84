// Optimizers that a user writes as one formula, a rule: core/optimizer_rule.h.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "ebb/backends/cpu/rule_kernels.h"
#include "ebb/nn/optim/optimizer_base.h"

namespace ebb::nn {

/// The optimizer of a rule. The members of a Rule are the options of a parameter group. One of them
/// is `lr`, and another may be `maximize`. On the GPU the rule needs a line EBB_CUDA_RULE(Rule) in
/// a file that nvcc compiles; without it, step() throws Error.
///
///     nn::RuleOptimizer<SignDescent> optimizer(model.named_parameters(), {.lr = 1e-2});
template <class Rule> class RuleOptimizer : public Optimizer {
 public:
  RuleOptimizer(std::vector<NamedTensor> parameters, Rule rule = {}) {
    add_param_group(std::move(parameters), rule);
  }
  RuleOptimizer(const std::vector<Tensor>& parameters, Rule rule = {})
      : RuleOptimizer(numbered(parameters), rule) {}

  void add_param_group(std::vector<NamedTensor> parameters, Rule rule = {}) {
    bool maximize = false;
    if constexpr (requires { rule.maximize; }) maximize = rule.maximize;
    add_group(std::move(parameters),
              {&kRuleTable<Rule>, std::make_shared<const Rule>(rule), rule.lr, maximize});
  }
};

}  // namespace ebb::nn
