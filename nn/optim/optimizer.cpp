#include "ebb/nn/optim/optimizer.h"

#include <cmath>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/checkpoint.h"

namespace ebb::nn {

Optimizer::Optimizer(std::vector<NamedTensor> parameters, OptimizerStep rule,
                     std::vector<std::string> buffer_names)
    : buffer_names_(std::move(buffer_names)), rule_(rule) {
  for (auto& [name, p] : parameters) {
    check_defined("optimizer", p);
    if (!p.requires_grad()) continue;
    if (!p.is_leaf() || !p.is_contiguous())
      fail("optimizer", "parameter ", name, " ", p, " is not a contiguous leaf");
    names_.push_back(name);
    params_.push_back(p);
  }
  if (params_.empty()) fail("optimizer", "got no parameter that requires grad");
  for (size_t b = 0; b < buffer_names_.size(); ++b) {
    buffers_.emplace_back();
    for (const Tensor& p : params_) buffers_.back().push_back(zeros_like(p));
  }
  grads_.resize(params_.size());
}

void Optimizer::step() {
  const NoGrad guard;
  for (size_t k = 0; k < params_.size(); ++k) {
    grads_[k] = params_[k].grad();
    if (!grads_[k].defined()) {
      fail("optimizer", "parameter ", names_[k], " of shape ", params_[k].shape(),
           " received no gradient: the loss does not reach it (freeze it with "
           "requires_grad_(false) if that is meant)");
    }
    grads_[k] = grads_[k].contiguous();
  }
  ++rule_.step;
  rule_.params = params_;
  rule_.grads = grads_;
  rule_.first = buffers_.empty() ? std::span<Tensor>() : std::span<Tensor>(buffers_[0]);
  rule_.second = buffers_.size() < 2 ? std::span<Tensor>() : std::span<Tensor>(buffers_[1]);
  backend(params_[0].device()).optimizer_step(rule_);
  for (size_t k = 0; k < params_.size(); ++k) {
    params_[k].impl()->storage->bump_version();
    grads_[k] = Tensor();  // the leaf's gradient is its own again
  }
}

void Optimizer::zero_grad() {
  for (Tensor& p : params_) p.set_grad({});
}

void Optimizer::set_lr(double lr) {
  if (!(lr >= 0)) fail("optimizer", "expected a learning rate of at least 0, got ", lr);
  rule_.lr = lr;
}

std::vector<NamedTensor> Optimizer::state_dict() const {
  std::vector<NamedTensor> state;
  state.emplace_back("step", scalar(static_cast<double>(rule_.step), {.dtype = DType::I64}));
  for (size_t b = 0; b < buffers_.size(); ++b) {
    for (size_t k = 0; k < params_.size(); ++k) {
      state.emplace_back(buffer_names_[b] + "." + names_[k], buffers_[b][k]);
    }
  }
  return state;
}

void Optimizer::load_state_dict(const std::vector<NamedTensor>& state) {
  std::vector<NamedTensor> target = state_dict();
  load_state(target, state, "optimizer state");
  rule_.step = target[0].second.item<int64_t>();
}

namespace {

void check_not_negative(std::string_view op,
                        std::initializer_list<std::pair<const char*, double>> values) {
  for (const auto& [name, value] : values) {
    if (!(value >= 0) || !std::isfinite(value))
      fail(op, "expected ", name, " of at least 0, got ", value);
  }
}

OptimizerStep sgd_rule(const SGDOptions& o) {
  check_not_negative("SGD",
                     {{"lr", o.lr}, {"momentum", o.momentum}, {"weight_decay", o.weight_decay}});
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    fail("SGD", "nesterov needs a momentum above 0 and no dampening, got ", o.momentum, " and ",
         o.dampening);
  }
  OptimizerStep rule;
  rule.kind = OptimizerStep::Kind::SGD;
  rule.lr = o.lr;
  rule.momentum = o.momentum;
  rule.dampening = o.dampening;
  rule.weight_decay = o.weight_decay;
  rule.nesterov = o.nesterov;
  return rule;
}

OptimizerStep adam_rule(std::string_view op, OptimizerStep::Kind kind, const AdamOptions& o) {
  check_not_negative(op, {{"lr", o.lr},
                          {"beta1", o.beta1},
                          {"beta2", o.beta2},
                          {"eps", o.eps},
                          {"weight_decay", o.weight_decay}});
  if (o.beta1 >= 1 || o.beta2 >= 1)
    fail(op, "expected betas below 1, got ", o.beta1, " and ", o.beta2);
  OptimizerStep rule;
  rule.kind = kind;
  rule.lr = o.lr;
  rule.beta1 = o.beta1;
  rule.beta2 = o.beta2;
  rule.eps = o.eps;
  rule.weight_decay = o.weight_decay;
  return rule;
}

}  // namespace

SGD::SGD(std::vector<NamedTensor> parameters, SGDOptions options)
    : Optimizer(std::move(parameters), sgd_rule(options),
                options.momentum != 0 ? std::vector<std::string>{"momentum"}
                                      : std::vector<std::string>{}) {}

Adam::Adam(std::vector<NamedTensor> parameters, AdamOptions options)
    : Optimizer(std::move(parameters), adam_rule("Adam", OptimizerStep::Kind::Adam, options),
                {"exp_avg", "exp_avg_sq"}) {}

AdamW::AdamW(std::vector<NamedTensor> parameters, AdamOptions options)
    : Optimizer(std::move(parameters), adam_rule("AdamW", OptimizerStep::Kind::AdamW, options),
                {"exp_avg", "exp_avg_sq"}) {}

}  // namespace ebb::nn
