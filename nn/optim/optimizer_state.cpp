// The state of optimizers in checkpoints.
#include <array>
#include <map>

#include "ebb/core/grad_mode.h"
#include "ebb/core/rebinding.h"
#include "ebb/nn/optim/optimizer_base.h"
#include "ebb/nn/serialize/checkpoint.h"

namespace ebb::nn {

using detail::Parameter;

namespace {

constexpr std::string_view kOp = "optimizer";
constexpr std::string_view kWhat = "optimizer state";
constexpr int64_t kMostSteps = int64_t{1} << 53;

// Buffers whose values cannot be negative.
constexpr std::array<std::string_view, 7> kNotNegative = {
    "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "square_avg", "acc_delta", "row_var", "col_var"};

Tensor number(int64_t n) { return from_data(std::vector<int64_t>{n}, {}); }

const Tensor* find(const std::vector<NamedTensor>& state, std::string_view name) {
  for (const auto& [key, tensor] : state) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

void check_count(std::string_view name, const Tensor& value) {
  const auto n = value.item<int64_t>();
  if (n >= 0 && n <= kMostSteps) return;
  if (name == "step") fail(kOp, "the state has made ", n, " steps: expected 0 to 2^53");
  fail(kOp, "the state's ", name, " is ", n, ": expected 0 to 2^53");
}

}  // namespace

// Returns the buffers of one parameter with their names: zeros before its first step.
std::vector<NamedTensor> Optimizer::buffers_of(const Parameter& p) const {
  const NoGrad guard;
  const std::vector<Tensor> buffers = p.buffers.empty() ? new_buffers(p) : p.buffers;
  const auto names = buffers_for(p);
  std::vector<NamedTensor> named;
  for (size_t b = 0; b < buffers.size(); ++b) {
    named.emplace_back(std::string(names[b].first) + "." + p.name,
                       buffers[b].to(p.tensor.device()).to(p.tensor.dtype()));
  }
  return named;
}

std::vector<NamedTensor> Optimizer::state_dict() const {
  const NoGrad guard;
  std::vector<NamedTensor> state;
  state.emplace_back("step", number(steps()));
  for (size_t group = 0; group < groups_.size(); ++group) {
    std::vector<std::vector<NamedTensor>> of_parameters;
    for (const Parameter& p : parameters_) {
      if (p.group == group && (p.tensor.requires_grad() || !p.buffers.empty()))
        of_parameters.push_back(buffers_of(p));
    }
    for (size_t b = 0; b < kMaxRuleBuffers; ++b) {
      for (auto& buffers : of_parameters) {
        if (b < buffers.size()) state.push_back(std::move(buffers[b]));
      }
    }
  }
  for (const Parameter& p : parameters_) {
    const bool has_buffers = p.tensor.requires_grad() || !p.buffers.empty();
    const int64_t own = steps_of(p);
    // load_state_dict() sets steps() for a parameter with buffers and 0 for the others, unless the
    // state has another number.
    if (own != (has_buffers ? steps() : 0)) state.emplace_back("step." + p.name, number(own));
  }
  if (decay_ > 0) {
    state.emplace_back("averaged", number(averaged_));
    for (const Parameter& p : parameters_) {
      if (p.average.defined()) {
        state.emplace_back("average." + p.name,
                           p.average.to(p.tensor.device()).to(p.tensor.dtype()));
      }
    }
  }
  if (accumulated_ > 0) {
    state.emplace_back("accumulated", number(accumulated_));
    for (const Parameter& p : parameters_) {
      const Tensor g = p.tensor.grad();
      if (g.defined()) state.emplace_back("grad." + p.name, g.contiguous());
    }
  }
  return state;
}

// Returns the entries that this source should have: those of every state, and the optional ones
// that it has and that this optimizer can use.
std::vector<NamedTensor> Optimizer::target_for(const std::vector<NamedTensor>& source) const {
  const NoGrad guard;
  std::vector<NamedTensor> target;
  target.emplace_back("step", number(0));
  const auto has = [&](const std::string& name) { return find(source, name) != nullptr; };
  const bool averages = decay_ > 0 && has("averaged");
  const bool accumulates = grad_options_.accumulate > 1 && has("accumulated");
  if (averages) target.emplace_back("averaged", number(0));
  if (accumulates) target.emplace_back("accumulated", number(0));
  for (const Parameter& p : parameters_) {
    std::vector<NamedTensor> buffers = buffers_of(p);
    bool wanted = p.tensor.requires_grad();
    for (const auto& [name, tensor] : buffers) wanted |= has(name);
    if (wanted) {
      for (auto& [name, tensor] : buffers) target.emplace_back(std::move(name), tensor.clone());
    }
    if (has("step." + p.name)) target.emplace_back("step." + p.name, number(0));
    if (averages && has("average." + p.name))
      target.emplace_back("average." + p.name, zeros_like(p.tensor));
    if (accumulates && p.tensor.requires_grad() && has("grad." + p.name))
      target.emplace_back("grad." + p.name, zeros_like(p.tensor));
  }
  return target;
}

void Optimizer::check_state_dict(const std::vector<NamedTensor>& state) const {
  check_state(target_for(state), state, kWhat);
  for (const auto& [name, tensor] : state) {
    if (name == "step" || name == "averaged" || name == "accumulated" || name.starts_with("step."))
      check_count(name, tensor);
    for (std::string_view buffer : kNotNegative) {
      if (!name.starts_with(buffer) || name.size() <= buffer.size() || name[buffer.size()] != '.')
        continue;
      for (double value : tensor.to_vector<double>()) {
        if (value < 0) fail(kOp, "the state's ", name, " is a mean of squares, but holds ", value);
      }
    }
  }
  const Tensor* pending = find(state, "accumulated");
  if (pending && pending->item<int64_t>() >= grad_options_.accumulate) {
    fail(kOp, "the state has accumulated ", pending->item<int64_t>(),
         " calls, expected fewer than ", grad_options_.accumulate);
  }
  const int64_t total = find(state, "step")->item<int64_t>();
  for (const auto& [name, tensor] : state) {
    if (name.starts_with("step.") && tensor.item<int64_t>() > total)
      fail(kOp, "the state's ", name, " is above its step, ", total);
  }
}

void Optimizer::load_state_dict(const std::vector<NamedTensor>& state) {
  check_state_dict(state);
  const NoGrad guard;
  const std::vector<NamedTensor> loaded = target_for(state);
  load_state(loaded, state, kWhat);
  std::map<std::string_view, const Tensor*> by_name;
  for (const auto& [name, tensor] : loaded) by_name.emplace(name, &tensor);
  const auto get = [&](const std::string& name) {
    const auto entry = by_name.find(name);
    return entry == by_name.end() ? Tensor() : *entry->second;
  };
  total_ = get("step").item<int64_t>();
  batches_.clear();
  for (Parameter& p : parameters_) {
    std::vector<NamedTensor> buffers = buffers_of(p);
    const Tensor own = get("step." + p.name);
    const bool has_state = p.tensor.requires_grad() || own.defined() ||
                           (!buffers.empty() && get(buffers[0].first).defined());
    p.active = false;
    p.buffers.clear();
    p.steps = !has_state ? 0 : own.defined() ? own.item<int64_t>() : total_;
    for (size_t b = 0; has_state && b < buffers.size(); ++b) {
      const Tensor value = get(buffers[b].first);
      p.buffers.push_back(value.defined() ? value : buffers[b].second);
    }
    p.average = get("average." + p.name);
    const Tensor grad = get("grad." + p.name);
    if (grad.defined()) p.tensor.set_grad(grad);
  }
  const Tensor averaged = get("averaged"), pending = get("accumulated");
  averaged_ = averaged.defined() && averaged.item<int64_t>() > 0;
  accumulated_ = pending.defined() ? pending.item<int64_t>() : 0;
  regroup();
  ebb::detail::count_rebinding();  // steps that were captured hold the old tensors
}

}  // namespace ebb::nn
