#include "ebb/nn/optim/layerwise.h"

#include <cmath>
#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/optim/option_checks.h"
#include "ebb/nn/optim/passes.h"
#include "ebb/nn/optim/rule_optimizer.h"

namespace ebb::nn {

using detail::Batch;

namespace {

// Runs one pass of a rule over the items.
template <class Rule>
void run_pass(OptimizerStep& pass, const Rule& rule, std::span<const OptimizerItem> items) {
  if (items.empty()) return;
  pass.table = &kRuleTable<Rule>;
  pass.rule = &rule;
  pass.items = items;
  backend(items[0].param->device()).optimizer_step(pass);
  pass.rule = nullptr;
  pass.items = {};
}

// Prepares the last pass, whose gradients have been scaled and clamped already, and which updates
// the moving averages.
void begin_last_pass(const Batch& batch, OptimizerStep& last) {
  last.grad_scale = 1;
  last.clip_value = std::numeric_limits<double>::infinity();
  last.average_rate = batch.passes[0].average_rate;
}

// Returns the sum of squares of one tensor: 0-d, f64, on its device.
Tensor squares(const Tensor& x) {
  Tensor out = empty({}, {.dtype = DType::F64, .device = x.device()});
  const Tensor* in[] = {&x};
  backend(x.device()).sum_of_squares(out, in);
  return out;
}

Tensor constant_like(const Tensor& parameter, double value) {
  return full({}, value, {.dtype = DType::F64, .device = parameter.device()});
}

// Returns the gradient as an element-wise rule would receive it: scaled and clamped.
Tensor adjusted(const OptimizerItem& item, const OptimizerStep& pass) {
  Tensor g = *item.grad;
  if (item.factor) g = g * (*item.factor * pass.grad_scale).to(g.dtype());
  else if (pass.grad_scale != 1) g = g * pass.grad_scale;
  if (std::isfinite(pass.clip_value)) g = clamp(g, -pass.clip_value, pass.clip_value);
  return g;
}

detail::BufferShapes lamb_buffers(const Tensor& parameter) {
  return {{"exp_avg", parameter.shape()}, {"exp_avg_sq", parameter.shape()}};
}

detail::BufferShapes muon_buffers(const Tensor& parameter) {
  if (parameter.dim() != 2)
    fail("Muon", "expected matrices, got a parameter of shape ", parameter.shape());
  return {{"momentum_buffer", parameter.shape()}};
}

detail::BufferShapes adafactor_buffers(const Tensor& parameter) {
  const int dims = parameter.dim();
  if (dims < 2) return {{"variance", parameter.shape()}};
  Shape rows = parameter.shape(), columns = parameter.shape();
  rows[dims - 1] = 1;
  columns[dims - 2] = 1;
  return {{"row_var", rows}, {"col_var", columns}};
}

}  // namespace

namespace detail {

template <> RuleChoice rule_of(const LAMBOptions& o) {
  check_adam("LAMB", o);
  return {&kRuleTable<rules::LambDirection>, std::make_shared<const LAMBOptions>(o), o.lr,
          o.maximize, lamb_buffers};
}

template <> RuleChoice rule_of(const MuonOptions& o) {
  check_not_negative(
      "Muon",
      {{"lr", o.lr}, {"weight_decay", o.weight_decay}, {"momentum", o.momentum}, {"eps", o.eps}});
  if (o.ns_steps < 0 || o.ns_steps >= 100)
    fail("Muon", "expected ns_steps from 0 to 99, got ", o.ns_steps);
  return {&kRuleTable<rules::MuonMomentum>, std::make_shared<const MuonOptions>(o), o.lr, false,
          muon_buffers};
}

template <> RuleChoice rule_of(const AdafactorOptions& o) {
  check_not_negative("Adafactor", {{"lr", o.lr},
                                   {"eps1", o.eps1.value_or(0)},
                                   {"eps2", o.eps2},
                                   {"weight_decay", o.weight_decay}});
  if (!(o.beta2_decay <= 0))
    fail("Adafactor", "expected a beta2_decay of at most 0, got ", o.beta2_decay);
  if (!(o.d >= 1)) fail("Adafactor", "expected d of at least 1, got ", o.d);
  return {&kRuleTable<rules::AdafactorVariance>, std::make_shared<const AdafactorOptions>(o), o.lr,
          o.maximize, adafactor_buffers};
}

}  // namespace detail

// ---- LAMB ----

void LAMB::apply(Batch& batch) {
  const auto& o = *static_cast<const LAMBOptions*>(rule(batch.group).rule.get());
  const size_t n = batch.items.size();
  std::vector<OptimizerItem> first = batch.items, last = batch.items;
  std::vector<Tensor> directions(n), ratios(n);
  for (size_t k = 0; k < n; ++k) {
    directions[k] = empty_like(*first[k].param);
    first[k].buffers[2] = &directions[k];
    first[k].average = nullptr;
  }
  run_pass(batch.passes[0], rules::LambDirection{o.beta1, o.beta2, o.eps, o.weight_decay}, first);
  for (size_t k = 0; k < n; ++k) {
    const Tensor weights = squares(*first[k].param), sizes = squares(directions[k]);
    const Tensor one = ones_like(weights);
    ratios[k] = where(weights > 0, where(sizes > 0, sqrt(weights / sizes), one), one);
    last[k] = {first[k].param, &directions[k], {}, batch.items[k].average, &ratios[k]};
  }
  begin_last_pass(batch, batch.passes[1]);
  run_pass(batch.passes[1], rules::Descend{}, last);
}

// ---- Muon ----

namespace {

Tensor orthogonal(const Tensor& u, const MuonOptions& o) {
  const bool tall = u.size(0) > u.size(1);
  const auto [a, b, c] = o.ns_coefficients;
  Tensor x = tall ? transpose(u, 0, 1) : u;
  x = x / clamp_min(sqrt(squares(u)), o.eps).to(u.dtype());
  for (int64_t i = 0; i < o.ns_steps; ++i) {
    const Tensor gram = matmul(x, transpose(x, 0, 1));
    x = x * a + matmul(gram * b + matmul(gram, gram) * c, x);
  }
  return (tall ? transpose(x, 0, 1) : x).contiguous();
}

double ratio_of(const MuonOptions& o, const Shape& shape) {
  const double rows = static_cast<double>(shape[0]), columns = static_cast<double>(shape[1]);
  if (o.adjust_lr_fn == AdjustLr::MatchRmsAdamW) return 0.2 * std::sqrt(std::max(rows, columns));
  const double ratio = rows / columns;
  return std::sqrt(o.adjust_lr_fn == AdjustLr::Original ? std::max(1.0, ratio) : ratio);
}

}  // namespace

void Muon::apply(Batch& batch) {
  const auto& o = *static_cast<const MuonOptions*>(rule(batch.group).rule.get());
  const size_t n = batch.items.size();
  std::vector<OptimizerItem> first = batch.items, last = batch.items;
  std::vector<Tensor> updates(n), ratios(n);
  for (size_t k = 0; k < n; ++k) {
    updates[k] = empty_like(*first[k].param);
    first[k].param = first[k].buffers[0];
    first[k].buffers[0] = &updates[k];
    first[k].average = nullptr;
  }
  run_pass(batch.passes[0], rules::MuonMomentum{o.momentum, o.nesterov}, first);
  for (size_t k = 0; k < n; ++k) {
    Tensor& p = *batch.items[k].param;
    if (p.numel() > 0) updates[k] = orthogonal(updates[k], o);
    ratios[k] = constant_like(p, p.numel() > 0 ? ratio_of(o, p.shape()) : 1);
    last[k] = {&p, &updates[k], {}, batch.items[k].average, &ratios[k]};
  }
  begin_last_pass(batch, batch.passes[1]);
  run_pass(batch.passes[1], rules::Descend{o.weight_decay}, last);
}

// ---- Adafactor ----

namespace {

// Returns the variance of each element, computed from the buffers.
Tensor variance_of(const OptimizerItem& item, double eps1) {
  if (item.param->dim() < 2) return *item.buffers[0];
  const Tensor &rows = *item.buffers[0], &columns = *item.buffers[1];
  return rows * columns / clamp_min(mean(rows, {-2}, true), eps1);
}

}  // namespace

void Adafactor::apply(Batch& batch) {
  const auto& o = *static_cast<const AdafactorOptions*>(rule(batch.group).rule.get());
  const size_t n = batch.items.size();
  std::vector<Tensor> gradients(n), updates(n), factors(n), means(2 * n);
  std::vector<OptimizerItem> first, last = batch.items;
  for (size_t k = 0; k < n; ++k) {
    const OptimizerItem& item = batch.items[k];
    gradients[k] = adjusted(item, batch.passes[0]);
    const Tensor squared = square(gradients[k]);
    if (squared.dim() < 2) {
      means[2 * k] = squared;
      first.push_back({item.buffers[0], &means[2 * k], {}});
      continue;
    }
    for (int side = 0; side < 2; ++side) {
      Tensor& mean_of = means[2 * k + static_cast<size_t>(side)];
      mean_of = mean(squared, {-1 - side}, true).contiguous();
      first.push_back({item.buffers[side], &mean_of, {}});
    }
  }
  OptimizerStep& variance_pass = batch.passes[0];
  variance_pass.grad_scale = 1;
  variance_pass.clip_value = std::numeric_limits<double>::infinity();
  run_pass(variance_pass, rules::AdafactorVariance{o.beta2_decay}, first);
  for (size_t k = 0; k < n; ++k) {
    const OptimizerItem& item = batch.items[k];
    Tensor& p = *item.param;
    const double eps1 =
        o.eps1.value_or(p.dtype() == DType::F32 ? double{std::numeric_limits<float>::epsilon()}
                                                : std::numeric_limits<double>::epsilon());
    const Tensor variance = clamp_min(variance_of(item, eps1), eps1 * eps1);
    updates[k] = (gradients[k] / sqrt(variance)).contiguous();
    const double root = std::sqrt(static_cast<double>(std::max<int64_t>(p.numel(), 1)));
    const Tensor size = clamp_min(sqrt(squares(p)) / root, o.eps2);
    factors[k] = size / clamp_min(sqrt(squares(updates[k])) / (root * o.d), 1);
    last[k] = {&p, &updates[k], {}, item.average, &factors[k]};
  }
  begin_last_pass(batch, batch.passes[1]);
  run_pass(batch.passes[1], rules::AdafactorDescend{o.weight_decay}, last);
}

}  // namespace ebb::nn
