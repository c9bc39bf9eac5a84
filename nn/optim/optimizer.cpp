#include "ebb/nn/optim/optimizer.h"

#include <cmath>
#include <map>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/checkpoint.h"

namespace ebb::nn {

namespace {

constexpr std::string_view kOp = "optimizer";
constexpr std::string_view kSquares = "exp_avg_sq.";  // buffers that are means of squares

void check_names(const std::vector<NamedTensor>& parameters) {
  std::map<std::string_view, const TensorImpl*> names;
  std::map<const TensorImpl*, std::string_view> tensors;
  for (const auto& [name, p] : parameters) {
    check_defined(kOp, p);
    const auto [earlier, is_new] = tensors.emplace(p.impl(), name);
    if (!is_new) {
      fail(kOp, "parameter ", name, " is the same tensor as ", earlier->second,
           ": it would be updated twice");
    }
    if (!names.emplace(name, p.impl()).second)
      fail(kOp, "two parameters have the name ", name, ": a checkpoint could not tell them apart");
  }
}

void check_rate(double value, std::string_view what) {
  if (!(value >= 0) || !std::isfinite(value))
    fail(kOp, "expected a ", what, " of at least 0, got ", value);
}

}  // namespace

std::vector<NamedTensor> numbered(const std::vector<Tensor>& parameters) {
  std::vector<NamedTensor> named;
  for (const Tensor& p : parameters) named.emplace_back(std::to_string(named.size()), p);
  return named;
}

Optimizer::Optimizer(std::vector<NamedTensor> parameters, OptimizerStep rule,
                     std::vector<std::string> buffer_names)
    : buffer_names_(std::move(buffer_names)), rule_(rule), base_lr_(rule.lr) {
  check_names(parameters);
  for (auto& [name, p] : parameters) {
    if (!p.requires_grad()) {
      frozen_.emplace_back(std::move(name), p);
      continue;
    }
    names_.push_back(std::move(name));
    params_.push_back(p);
    shapes_.push_back(p.shape());
  }
  if (params_.empty()) fail(kOp, "got no parameter that requires grad");
  check();
  for (size_t b = 0; b < buffer_names_.size(); ++b) {
    buffers_.emplace_back();
    for (const Tensor& p : params_) buffers_.back().push_back(zeros_like(p));
  }
  grads_.resize(params_.size());
}

void Optimizer::check() const {
  for (size_t k = 0; k < params_.size(); ++k) {
    const Tensor& p = params_[k];
    const auto refuse = [&](const auto&... why) {
      fail(kOp, "parameter ", names_[k], " ", why...);
    };
    if (!p.requires_grad())
      refuse("was frozen after the optimizer was made: make a new one for what is left");
    if (!p.is_leaf()) refuse("of shape ", p.shape(), " is the result of an op, not a leaf");
    if (!(p.shape() == shapes_[k])) refuse("has shape ", p.shape(), " now, expected ", shapes_[k]);
    if (!p.is_contiguous()) refuse("of shape ", p.shape(), " is not contiguous");
    if (p.device() != params_[0].device()) {
      refuse("is on ", p.device(), ", but ", names_[0], " is on ", params_[0].device(),
             ": all parameters must be on one device");
    }
  }
  for (const auto& [name, p] : frozen_) {
    if (p.requires_grad()) {
      fail(kOp, "parameter ", name,
           " was thawed after the optimizer was made: make a new one that updates it");
    }
  }
}

void Optimizer::check_gradients() const {
  for (size_t k = 0; k < params_.size(); ++k) {
    const Tensor &p = params_[k], g = p.grad();
    if (!g.defined()) {
      fail(kOp, "parameter ", names_[k], " of shape ", p.shape(),
           " received no gradient: the loss does not reach it (freeze it with "
           "requires_grad_(false) before the optimizer is made if that is meant)");
    }
    if (!(g.shape() == p.shape()) || g.dtype() != p.dtype() || g.device() != p.device())
      fail(kOp, "the gradient ", g, " of parameter ", names_[k], " does not match ", p);
  }
}

// Returns a buffer with the current dtype and device of its parameter.
Tensor Optimizer::followed(size_t buffer, size_t k) const {
  const Tensor &b = buffers_[buffer][k], &p = params_[k];
  return b.to(p.device()).to(p.dtype());
}

void Optimizer::follow_parameters() {
  for (size_t b = 0; b < buffers_.size(); ++b) {
    for (size_t k = 0; k < params_.size(); ++k) buffers_[b][k] = followed(b, k);
  }
}

void Optimizer::step() {
  const NoGrad guard;
  check();
  check_gradients();
  follow_parameters();
  for (size_t k = 0; k < params_.size(); ++k) grads_[k] = params_[k].grad().contiguous();
  rule_.params = params_;
  rule_.grads = grads_;
  rule_.first = buffers_.empty() ? std::span<Tensor>() : std::span<Tensor>(buffers_[0]);
  rule_.second = buffers_.size() < 2 ? std::span<Tensor>() : std::span<Tensor>(buffers_[1]);
  ++rule_.step;
  try {
    backend(params_[0].device()).optimizer_step(rule_);
  } catch (...) {
    --rule_.step;
    throw;
  }
  for (size_t k = 0; k < params_.size(); ++k) {
    params_[k].impl()->storage->bump_version();
    grads_[k] = Tensor();  // drops the handle, so that only the leaf owns its gradient
  }
}

void Optimizer::zero_grad() {
  for (Tensor& p : params_) {
    if (p.requires_grad()) p.set_grad({});
  }
}

void Optimizer::set_lr(double lr) {
  check_rate(lr, "learning rate");
  base_lr_ = rule_.lr = lr;
}

void Optimizer::set_lr_factor(double factor) {
  check_rate(factor, "factor of the learning rate");
  rule_.lr = base_lr_ * factor;
}

std::vector<NamedTensor> Optimizer::state_dict() const {
  std::vector<NamedTensor> state;
  state.emplace_back("step", from_data(std::vector<int64_t>{rule_.step}, {}));
  for (size_t b = 0; b < buffers_.size(); ++b) {
    for (size_t k = 0; k < params_.size(); ++k) {
      state.emplace_back(buffer_names_[b] + "." + names_[k], followed(b, k));
    }
  }
  return state;
}

void Optimizer::check_state_dict(const std::vector<NamedTensor>& state) const {
  check_state(state_dict(), state, "optimizer state");
  constexpr int64_t kMostSteps = int64_t{1} << 53;
  for (const auto& [name, tensor] : state) {
    if (name == "step") {
      const auto steps = tensor.item<int64_t>();
      if (steps < 0 || steps > kMostSteps)
        fail(kOp, "the state has made ", steps, " steps: expected 0 to 2^53");
    } else if (name.starts_with(kSquares)) {
      for (double value : tensor.to_vector<double>()) {
        if (value < 0) fail(kOp, "the state's ", name, " is a mean of squares, but holds ", value);
      }
    }
  }
}

void Optimizer::load_state_dict(const std::vector<NamedTensor>& state) {
  check_state_dict(state);
  follow_parameters();
  const std::vector<NamedTensor> target = state_dict();
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

// Options is AdamOptions or AdamWOptions, which have different defaults.
template <class Options>
OptimizerStep adam_rule(std::string_view op, OptimizerStep::Kind kind, const Options& o) {
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

AdamW::AdamW(std::vector<NamedTensor> parameters, AdamWOptions options)
    : Optimizer(std::move(parameters), adam_rule("AdamW", OptimizerStep::Kind::AdamW, options),
                {"exp_avg", "exp_avg_sq"}) {}

}  // namespace ebb::nn
