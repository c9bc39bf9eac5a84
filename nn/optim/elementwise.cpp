// Checks the options of the element-wise optimizers, and chooses their rules.
#include "ebb/nn/optim/elementwise.h"

#include <cmath>

#include "ebb/nn/optim/option_checks.h"
#include "ebb/nn/optim/rule_optimizer.h"
#include "ebb/nn/optim/rules.h"

namespace ebb::nn::detail {
namespace {

// Throws Error unless 0 <= value < 1: a moving average with a factor of 1 would never change.
void check_below_one(std::string_view op, const char* name, double value) {
  if (!(value >= 0 && value < 1))
    fail(op, "expected ", name, " of at least 0 and below 1, got ", value);
}

template <class Rule> RuleChoice choice(const Rule& rule) {
  return {&kRuleTable<Rule>, std::make_shared<const Rule>(rule), rule.lr, rule.maximize};
}

RuleChoice adam_rule(std::string_view op, const AdamOptions& o) {
  check_adam(op, o);
  if (o.amsgrad) return choice(rules::AmsGrad{o});
  return choice(rules::Adam{o});
}

}  // namespace

template <> RuleChoice rule_of(const SGDOptions& o) {
  check_not_negative("SGD",
                     {{"lr", o.lr}, {"momentum", o.momentum}, {"weight_decay", o.weight_decay}});
  if (!std::isfinite(o.dampening)) fail("SGD", "expected a finite dampening, got ", o.dampening);
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    fail("SGD", "nesterov needs a momentum above 0 and no dampening, got ", o.momentum, " and ",
         o.dampening);
  }
  if (o.momentum == 0) return choice(rules::SgdPlain{o});
  return choice(rules::SgdMomentum{o});
}

template <> RuleChoice rule_of(const AdamOptions& o) { return adam_rule("Adam", o); }
template <> RuleChoice rule_of(const AdamWOptions& o) {
  return adam_rule("AdamW", {.lr = o.lr,
                             .beta1 = o.beta1,
                             .beta2 = o.beta2,
                             .eps = o.eps,
                             .weight_decay = o.weight_decay,
                             .amsgrad = o.amsgrad,
                             .maximize = o.maximize,
                             .decoupled_weight_decay = true});
}

template <> RuleChoice rule_of(const AdamaxOptions& o) {
  check_adam("Adamax", o);
  return choice(rules::Adamax{o});
}

template <> RuleChoice rule_of(const NAdamOptions& o) {
  check_adam("NAdam", o);
  check_not_negative("NAdam", {{"momentum_decay", o.momentum_decay}});
  return choice(rules::NAdam{o});
}

template <> RuleChoice rule_of(const RAdamOptions& o) {
  check_adam("RAdam", o);
  return choice(rules::RAdam{o});
}

template <> RuleChoice rule_of(const RMSpropOptions& o) {
  check_not_negative("RMSprop", {{"lr", o.lr},
                                 {"alpha", o.alpha},
                                 {"eps", o.eps},
                                 {"weight_decay", o.weight_decay},
                                 {"momentum", o.momentum}});
  if (o.centered && o.momentum != 0) return choice(rules::RmsPropCenteredMomentum{o});
  if (o.centered) return choice(rules::RmsPropCentered{o});
  if (o.momentum != 0) return choice(rules::RmsPropMomentum{o});
  return choice(rules::RmsProp{o});
}

template <> RuleChoice rule_of(const AdagradOptions& o) {
  check_not_negative("Adagrad", {{"lr", o.lr},
                                 {"lr_decay", o.lr_decay},
                                 {"weight_decay", o.weight_decay},
                                 {"initial_accumulator_value", o.initial_accumulator_value},
                                 {"eps", o.eps}});
  return choice(rules::Adagrad{o});
}

template <> RuleChoice rule_of(const AdadeltaOptions& o) {
  check_not_negative("Adadelta", {{"lr", o.lr}, {"eps", o.eps}, {"weight_decay", o.weight_decay}});
  if (!(o.rho >= 0 && o.rho <= 1)) fail("Adadelta", "expected rho from 0 to 1, got ", o.rho);
  return choice(rules::Adadelta{o});
}

template <> RuleChoice rule_of(const RpropOptions& o) {
  check_not_negative("Rprop", {{"lr", o.lr}, {"step_size_min", o.step_size_min}});
  if (!(o.eta_minus > 0 && o.eta_minus < 1 && o.eta_plus > 1 && std::isfinite(o.eta_plus))) {
    fail("Rprop", "expected 0 < eta_minus < 1 < eta_plus, got ", o.eta_minus, " and ", o.eta_plus);
  }
  if (!(o.step_size_min <= o.step_size_max)) {
    fail("Rprop", "expected step_size_min up to step_size_max, got ", o.step_size_min, " and ",
         o.step_size_max);
  }
  return choice(rules::Rprop{o});
}

template <> RuleChoice rule_of(const ASGDOptions& o) {
  check_not_negative("ASGD", {{"lr", o.lr},
                              {"lambd", o.lambd},
                              {"alpha", o.alpha},
                              {"t0", o.t0},
                              {"weight_decay", o.weight_decay}});
  return choice(rules::Asgd{o});
}

template <> RuleChoice rule_of(const LionOptions& o) {
  check_not_negative("Lion", {{"lr", o.lr}, {"weight_decay", o.weight_decay}});
  check_below_one("Lion", "beta1", o.beta1);
  check_below_one("Lion", "beta2", o.beta2);
  return choice(rules::Lion{o});
}

}  // namespace ebb::nn::detail
