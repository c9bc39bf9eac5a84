#include "ebb/nn/module.h"

#include <algorithm>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/checkpoint.h"

namespace ebb::nn {

// Calls each(state, prefix) for a module and everything below it, parents first.
template <class Visit> void Module::visit(State& state, const std::string& prefix, Visit&& each) {
  each(state, prefix);
  for (auto& [name, child] : state.children) visit(*child, prefix + name + ".", each);
}

constinit thread_local LayerWatch* LayerWatch::active_ = nullptr;

std::vector<std::pair<std::string, const void*>> Module::named_modules() const {
  std::vector<std::pair<std::string, const void*>> all;
  visit(*state_, "", [&](State& s, const std::string& prefix) {
    all.emplace_back(prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1), &s);
  });
  return all;
}

std::vector<NamedTensor> Module::named_parameters() const {
  std::vector<NamedTensor> all;
  visit(*state_, "", [&](State& s, const std::string& prefix) {
    for (const auto& [name, tensor] : s.parameters) all.emplace_back(prefix + name, tensor);
  });
  return all;
}

std::vector<NamedTensor> Module::named_buffers() const {
  std::vector<NamedTensor> all;
  visit(*state_, "", [&](State& s, const std::string& prefix) {
    for (const auto& [name, tensor] : s.buffers) all.emplace_back(prefix + name, tensor);
  });
  return all;
}

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> all;
  for (auto& [name, tensor] : named_parameters()) all.push_back(tensor);
  return all;
}

std::vector<NamedTensor> Module::state_dict() const {
  std::vector<NamedTensor> all = named_parameters();
  for (NamedTensor& buffer : named_buffers()) all.push_back(std::move(buffer));
  return all;
}

void Module::load_state_dict(const std::vector<NamedTensor>& source) {
  load_state(state_dict(), source, "state_dict");
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const Tensor& p : parameters()) count += p.numel();
  return count;
}

void Module::train(bool on) {
  visit(*state_, "", [on](State& s, const std::string&) { s.training = on; });
}

void Module::to(Device device) {
  const NoGrad guard;
  for (auto& [name, tensor] : state_dict()) tensor.set_data(tensor.to(device));
}

void Module::to(DType dtype) {
  if (!is_floating(dtype)) fail("to", "parameters are floating, cannot become ", dtype);
  const NoGrad guard;
  for (auto& [name, tensor] : state_dict()) {
    if (is_floating(tensor.dtype())) tensor.set_data(tensor.to(dtype));
  }
}

void Module::zero_grad() {
  for (auto& [name, tensor] : named_parameters()) {
    if (tensor.requires_grad()) tensor.set_grad({});
  }
}

void Module::requires_grad_(bool on) {
  for (auto& [name, tensor] : named_parameters()) tensor.requires_grad_(on);
}

void Module::check_name(std::string_view name) const {
  const auto taken = [&](const auto& entry) { return entry.first == name; };
  const State& s = *state_;
  if (name.empty() || name.find('.') != std::string_view::npos)
    fail("module", "name '", name, "' is empty or has a dot");
  if (std::any_of(s.parameters.begin(), s.parameters.end(), taken) ||
      std::any_of(s.buffers.begin(), s.buffers.end(), taken) ||
      std::any_of(s.children.begin(), s.children.end(), taken)) {
    fail("module", "name '", name, "' is taken");
  }
}

Tensor Module::add_parameter(std::string_view name, Tensor tensor) {
  check_name(name);
  check_defined("module", tensor);
  tensor.requires_grad_();
  state_->parameters.emplace_back(name, tensor);
  return tensor;
}

Tensor Module::add_buffer(std::string_view name, Tensor tensor) {
  check_name(name);
  if (tensor.defined()) state_->buffers.emplace_back(name, tensor);
  return tensor;
}

void Module::add_child(std::string_view name, const Module& module) {
  check_name(name);
  state_->children.emplace_back(name, module.state_);
}

}  // namespace ebb::nn
