#include "ebb/nn/optim/optimizer_base.h"

#include <cmath>
#include <map>

#include "ebb/autograd/graph/node.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/core/backend.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/rebinding.h"

namespace ebb::nn {

using detail::Batch;
using detail::Parameter;

namespace {

constexpr std::string_view kOp = "optimizer";

void check_names(const std::vector<Parameter>& earlier,
                 const std::vector<NamedTensor>& parameters) {
  std::map<std::string_view, const TensorImpl*> names;
  std::map<const TensorImpl*, std::string_view> tensors;
  const auto add = [&](std::string_view name, const Tensor& p) {
    check_defined(kOp, p);
    const auto [other, is_new] = tensors.emplace(p.impl(), name);
    if (!is_new) {
      fail(kOp, "parameter ", name, " is the same tensor as ", other->second,
           ": it would be updated twice");
    }
    if (!names.emplace(name, p.impl()).second)
      fail(kOp, "two parameters have the name ", name, ": a checkpoint could not tell them apart");
  };
  for (const Parameter& p : earlier) add(p.name, p.tensor);
  for (const auto& [name, p] : parameters) add(name, p);
}

void check_rate(double value, std::string_view what) {
  if (!(value >= 0) || !std::isfinite(value))
    fail(kOp, "expected a ", what, " of at least 0, got ", value);
}

// Returns the gradient of a leaf without creating a handle of it. REQUIRES that p is a leaf that
// requires grad.
Tensor& gradient_of(const Tensor& p) {
  return static_cast<LeafNode*>(static_cast<Node*>(p.impl()->node.get()))->grad;
}

}  // namespace

std::vector<NamedTensor> numbered(const std::vector<Tensor>& parameters) {
  std::vector<NamedTensor> named;
  for (const Tensor& p : parameters) named.emplace_back(std::to_string(named.size()), p);
  return named;
}

// ---- parameters ----

void Optimizer::add_group(std::vector<NamedTensor> parameters, detail::RuleChoice rule) {
  check_names(parameters_, parameters);
  for (std::string_view buffer : rule.table->buffers) {
    for (std::string_view taken : {"step", "average", "grad"}) {
      if (buffer == taken)
        fail(kOp, "a buffer of ", rule.table->name, " is called ", taken, ", as other state is");
    }
  }
  if (!(rule.lr >= 0) || !std::isfinite(rule.lr))
    fail(kOp, "expected a finite learning rate of at least 0, got ", rule.lr);
  const size_t before = parameters_.size();
  for (auto& [name, p] : parameters) {
    Parameter& added = parameters_.emplace_back();
    added.name = std::move(name);
    added.tensor = p;
    added.shape = p.shape();
    added.group = groups_.size();
  }
  groups_.push_back({rule, rule.lr});
  try {
    validate();
    for (size_t k = before; k < parameters_.size(); ++k) {
      buffers_for(parameters_[k]);  // throws for a shape that the optimizer does not take
      if (parameters_[k].tensor.requires_grad())
        parameters_[k].buffers = new_buffers(parameters_[k]);
    }
  } catch (...) {
    parameters_.resize(before);
    groups_.pop_back();
    throw;
  }
  regroup();
}

// Returns true if parameters have been frozen or thawed since the batches were built.
bool Optimizer::validate() const {
  const Parameter* first = nullptr;
  bool changed = false;
  for (const Parameter& p : parameters_) {
    const TensorImpl& body = *p.tensor.impl();
    const bool active = static_cast<bool>(body.node);
    changed |= active != p.active;
    if (!active) continue;
    if (!first) first = &p;
    const auto refuse = [&](const auto&... why) { fail(kOp, "parameter ", p.name, " ", why...); };
    if (!p.tensor.is_leaf()) refuse("of shape ", body.shape, " is the result of an op, not a leaf");
    if (!(body.shape == p.shape)) refuse("has shape ", body.shape, " now, expected ", p.shape);
    if (!body.contiguous) refuse("of shape ", body.shape, " is not contiguous");
    if (body.storage->device() != first->tensor.device()) {
      refuse("is on ", p.tensor.device(), ", but ", first->name, " is on ", first->tensor.device(),
             ": all parameters must be on one device");
    }
  }
  if (!first) {
    fail(kOp, "got no parameter that requires grad",
         batches_.empty() ? "" : ": all of them were frozen");
  }
  return changed;
}

void Optimizer::check() {
  if (!validate()) return;
  regroup();
  ebb::detail::count_rebinding();  // steps that were captured update other parameters
}

int64_t Optimizer::steps() const {
  return batches_.empty() ? total_ : batches_[0]->passes[0].step + offset_;
}

int64_t Optimizer::steps_of(const Parameter& p) const {
  return p.active ? batches_[p.batch]->passes[0].step : p.steps;
}

// Puts the parameters that require grad into batches of one group and one number of steps.
void Optimizer::regroup() {
  total_ = steps();
  for (Parameter& p : parameters_) p.steps = steps_of(p);
  batches_.clear();
  std::map<std::pair<size_t, int64_t>, size_t> batch_of;
  for (size_t k = 0; k < parameters_.size(); ++k) {
    Parameter& p = parameters_[k];
    p.active = p.tensor.requires_grad();
    if (!p.active) continue;
    if (p.buffers.empty()) p.buffers = new_buffers(p);
    const auto [entry, is_new] = batch_of.emplace(std::pair(p.group, p.steps), batches_.size());
    p.batch = entry->second;
    if (is_new) {
      Batch& batch = *batches_.emplace_back(std::make_unique<Batch>());
      batch.group = p.group;
      for (OptimizerStep& pass : batch.passes) pass.step = p.steps;
      batch.passes[0].table = rule(p.group).table;
      batch.passes[0].rule = rule(p.group).rule.get();
    }
    batches_[p.batch]->members.push_back(k);
  }
  for (const auto& batch : batches_) {
    for (size_t k : batch->members) {
      Parameter& p = parameters_[k];
      OptimizerItem item{&p.tensor, &p.grad, {}};
      for (size_t b = 0; b < p.buffers.size(); ++b) item.buffers[b] = &p.buffers[b];
      if (decay_ > 0) {
        if (!p.average.defined()) p.average = p.tensor.detach().clone();
        item.average = &p.average;
      }
      batch->items.push_back(item);
    }
    batch->passes[0].items = batch->items;
  }
  offset_ = batches_.empty() ? 0 : total_ - batches_[0]->passes[0].step;
  apply_rates();
}

detail::BufferShapes Optimizer::buffers_for(const Parameter& p) const {
  const detail::RuleChoice& choice = rule(p.group);
  if (choice.buffers) return choice.buffers(p.tensor);
  detail::BufferShapes buffers;
  for (std::string_view name : choice.table->buffers) buffers.emplace_back(name, p.shape);
  return buffers;
}

std::vector<Tensor> Optimizer::new_buffers(const Parameter& p) const {
  const NoGrad guard;
  std::vector<Tensor> buffers;
  for (const auto& [name, shape] : buffers_for(p))
    buffers.push_back(zeros(shape, {.dtype = p.tensor.dtype(), .device = p.tensor.device()}));
  return buffers;
}

// ---- a step ----

void Optimizer::check_gradients() const {
  for (const Parameter& p : parameters_) {
    if (!p.tensor.impl()->node) continue;
    const Tensor& g = gradient_of(p.tensor);
    if (!g.defined()) {
      fail(kOp, "parameter ", p.name, " of shape ", p.shape,
           " received no gradient: the loss does not reach it (freeze it with "
           "requires_grad_(false) if that is meant)");
    }
    const TensorImpl &body = *p.tensor.impl(), &of = *g.impl();
    if (!(of.shape == body.shape) || of.dtype != body.dtype ||
        of.storage->device() != body.storage->device())
      fail(kOp, "the gradient ", g, " of parameter ", p.name, " does not match ", p.tensor);
  }
}

// Converts and moves buffers and averages to the dtype and device of their parameters.
void Optimizer::follow_parameters() {
  for (Parameter& p : parameters_) {
    const TensorImpl& body = *p.tensor.impl();
    const auto follow = [&](Tensor& t) {
      if (t.dtype() != body.dtype || t.device() != body.storage->device())
        t = t.to(body.storage->device()).to(body.dtype);
    };
    for (Tensor& buffer : p.buffers) follow(buffer);
    if (p.average.defined()) follow(p.average);
  }
}

// Counts a call of step(). Returns true if the call only adds up gradients.
bool Optimizer::accumulates() {
  const int64_t of = grad_options_.accumulate;
  if (of == 1) return false;
  OptimizerStep nothing;  // refused in a captured step, which would do the same in every call
  nothing.skips = true;
  backend(parameters_[0].tensor.device()).optimizer_step(nothing);
  if (accumulated_ + 1 == of) return false;
  ++accumulated_;
  return true;
}

void Optimizer::take_gradients() {
  std::vector<const Tensor*> gradients;
  const bool clips = grad_options_.max_norm < std::numeric_limits<double>::infinity();
  for (const auto& batch : batches_) {
    for (size_t i = 0; i < batch->members.size(); ++i) {
      Parameter& p = parameters_[batch->members[i]];
      Tensor* g = &gradient_of(p.tensor);
      if (!g->impl()->contiguous) {
        p.grad = g->contiguous();
        g = &p.grad;
      }
      batch->items[i].grad = g;
      if (clips) gradients.push_back(g);
    }
  }
  double scale = grad_options_.scale;
  if (grad_options_.accumulate > 1) scale /= static_cast<double>(grad_options_.accumulate);
  if (clips) {
    const Device device = gradients[0]->device();
    Tensor squares = empty({}, {.dtype = DType::F64, .device = device});
    backend(device).sum_of_squares(squares, gradients);
    grad_norm_ = sqrt(squares) * std::fabs(scale);
    clip_factor_ = clamp_max(grad_options_.max_norm / (grad_norm_ + 1e-6), 1);
  }
  for (const auto& batch : batches_) {
    OptimizerStep& pass = batch->passes[0];
    pass.grad_scale = rule(batch->group).maximize ? -scale : scale;
    pass.clip_value = grad_options_.max_value;
    pass.average_rate = !averaged_ ? 1 : 1 - decay_;
    for (OptimizerItem& item : batch->items) item.factor = clips ? &clip_factor_ : nullptr;
  }
}

void Optimizer::apply(Batch& batch) {
  backend(batch.items[0].param->device()).optimizer_step(batch.passes[0]);
}

void Optimizer::step() {
  const NoGrad guard;
  const bool changed = validate();
  if (accumulates()) return;
  check_gradients();
  if (changed) check();
  follow_parameters();
  take_gradients();
  const auto count = [&](int64_t by) {
    for (const auto& batch : batches_) {
      for (OptimizerStep& pass : batch->passes) pass.step += by;
    }
  };
  count(1);
  const auto drop_copies = [&] {
    for (Parameter& p : parameters_) {
      if (p.grad.defined()) p.grad = Tensor();
    }
    clip_factor_ = Tensor();
  };
  try {
    for (const auto& batch : batches_) apply(*batch);
  } catch (...) {
    count(-1);
    drop_copies();
    throw;
  }
  for (const Parameter& p : parameters_) {
    if (p.active) p.tensor.impl()->storage->bump_version();
  }
  drop_copies();
  accumulated_ = 0;
  averaged_ = decay_ > 0;
}

void Optimizer::zero_grad() {
  if (accumulated_ > 0) return;
  for (const Parameter& p : parameters_) {
    if (p.tensor.requires_grad()) p.tensor.set_grad({});
  }
}

// ---- rates and options ----

const Optimizer::Group& Optimizer::at(size_t group) const {
  if (group >= groups_.size())
    fail(kOp, "there is no group ", group, ": there are ", groups_.size());
  return groups_[group];
}

void Optimizer::apply_rates() {
  for (const auto& batch : batches_) {
    for (OptimizerStep& pass : batch->passes) pass.lr = lr(batch->group);
  }
}

void Optimizer::set_lr(double lr) {
  check_rate(lr, "learning rate");
  for (Group& group : groups_) group.base_lr = lr;
  factor_ = 1;
  apply_rates();
}

void Optimizer::set_lr(double lr, size_t group) {
  check_rate(lr, "learning rate");
  at(group);
  groups_[group].base_lr = lr;
  factor_ = 1;
  apply_rates();
}

void Optimizer::set_lr_factor(double factor) {
  check_rate(factor, "factor of the learning rate");
  factor_ = factor;
  apply_rates();
}

void Optimizer::set_grad_options(const GradOptions& o) {
  if (accumulated_ > 0) {
    fail(kOp, "gradients are being accumulated: ", accumulated_, " of ", grad_options_.accumulate,
         " calls of step() were made");
  }
  if (!std::isfinite(o.scale)) fail(kOp, "expected a finite scale, got ", o.scale);
  if (!(o.max_norm >= 0)) fail(kOp, "expected a max_norm of at least 0, got ", o.max_norm);
  if (!(o.max_value >= 0)) fail(kOp, "expected a max_value of at least 0, got ", o.max_value);
  if (o.accumulate < 1) fail(kOp, "expected to accumulate at least 1 call, got ", o.accumulate);
  grad_options_ = o;
  ebb::detail::count_rebinding();  // captured steps hold the old ones
}

void Optimizer::average_weights(double decay) {
  if (!(decay > 0 && decay < 1)) fail(kOp, "expected a decay between 0 and 1, got ", decay);
  decay_ = decay;
  regroup();
  ebb::detail::count_rebinding();
}

std::vector<NamedTensor> Optimizer::named_parameters() const {
  std::vector<NamedTensor> all;
  for (const Parameter& p : parameters_) all.emplace_back(p.name, p.tensor);
  return all;
}

std::vector<NamedTensor> Optimizer::averages() const {
  std::vector<NamedTensor> averages;
  for (const Parameter& p : parameters_) {
    if (p.average.defined()) averages.emplace_back(p.name, p.average);
  }
  return averages;
}

std::vector<std::pair<Tensor, Tensor>> Optimizer::averaged_parameters() const {
  std::vector<std::pair<Tensor, Tensor>> pairs;
  for (const Parameter& p : parameters_) {
    if (p.average.defined()) pairs.emplace_back(p.tensor, p.average);
  }
  return pairs;
}

}  // namespace ebb::nn
