#include "ebb/nn/module.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <set>
#include <sstream>
#include <typeinfo>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/checkpoint.h"

namespace ebb::nn {

struct Module::Seen : std::set<const void*> {};

constinit thread_local LayerWatch* LayerWatch::active_ = nullptr;

// Calls each(state, prefix) for a module and everything below it, parents first. seen: modules that
// have been visited and are skipped. If it is null, a shared module is visited once for each of its
// paths.
template <class Visit>
void Module::visit(State& state, const std::string& prefix, Seen* seen, Visit&& each) {
  if (seen && !seen->insert(&state).second) return;
  each(state, prefix);
  for (auto& [name, child] : state.children) visit(*child, prefix + name + ".", seen, each);
}

std::vector<std::pair<std::string, const void*>> Module::named_modules() const {
  std::vector<std::pair<std::string, const void*>> all;
  Seen modules;
  visit(*state_, "", &modules, [&](State& s, const std::string& prefix) {
    all.emplace_back(prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1), &s);
  });
  return all;
}

// Returns the tensors of one list of every module, without duplicates.
std::vector<NamedTensor> Module::named(std::vector<NamedTensor> State::*list) const {
  std::vector<NamedTensor> all;
  Seen modules, tensors;
  visit(*state_, "", &modules, [&](State& s, const std::string& prefix) {
    for (const auto& [name, tensor] : s.*list) {
      if (tensors.insert(tensor.impl()).second) all.emplace_back(prefix + name, tensor);
    }
  });
  return all;
}

std::vector<NamedTensor> Module::named_parameters() const { return named(&State::parameters); }
std::vector<NamedTensor> Module::named_buffers() const { return named(&State::buffers); }

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> all;
  for (auto& [name, tensor] : named_parameters()) all.push_back(tensor);
  return all;
}

std::vector<NamedTensor> Module::state_dict() const {
  std::vector<NamedTensor> all;
  for (const auto list : {&State::parameters, &State::buffers}) {
    visit(*state_, "", nullptr, [&](State& s, const std::string& prefix) {
      for (const auto& [name, tensor] : s.*list) all.emplace_back(prefix + name, tensor);
    });
  }
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
  Seen modules;
  visit(*state_, "", &modules, [on](State& s, const std::string&) { s.training = on; });
}

// Converts all tensors before it replaces any, so that an error leaves the module unchanged.
template <class Convert> void Module::replace_tensors(Convert&& convert) {
  const NoGrad guard;
  std::vector<std::pair<Tensor, Tensor>> changed;
  for (const auto list : {&State::parameters, &State::buffers}) {
    for (auto& [name, tensor] : named(list)) {
      Tensor converted = convert(tensor);
      if (converted.impl() != tensor.impl()) changed.emplace_back(tensor, std::move(converted));
    }
  }
  for (auto& [tensor, converted] : changed) tensor.set_data(converted);
}

void Module::to(Device device) {
  replace_tensors([&](const Tensor& t) { return t.to(device); });
}

void Module::to(DType dtype) {
  if (!is_floating(dtype)) fail("to", "parameters are floating, cannot become ", dtype);
  replace_tensors([&](const Tensor& t) { return is_floating(t.dtype()) ? t.to(dtype) : t; });
}

void Module::zero_grad() {
  for (auto& [name, tensor] : named_parameters()) {
    if (tensor.requires_grad()) tensor.set_grad({});
  }
}

void Module::requires_grad_(bool on) {
  for (auto& [name, tensor] : named_parameters()) tensor.requires_grad_(on);
}

ModeGuard::ModeGuard(Module& module, bool training) {
  Module::Seen modules;
  const auto note = [&](auto&& self, const std::shared_ptr<Module::State>& state) -> void {
    if (!modules.insert(state.get()).second) return;
    before_.emplace_back(state, state->training);
    for (const auto& [name, child] : state->children) self(self, child);
  };
  note(note, module.state_);
  module.train(training);
}

ModeGuard::~ModeGuard() {
  for (const auto& [state, training] : before_) state->training = training;
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
  for (const auto& [path, identity] : module.named_modules()) {
    if (identity == state_.get())
      fail("module", "'", name, "' cannot be a part of this module: it contains this module");
  }
  state_->children.emplace_back(name, module.state_);
  module.state_->description = module.description();
}

std::string detail::class_name_without(const std::type_info& type, std::string_view suffix) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  std::string name = status == 0 ? text.get() : type.name();
  const size_t arguments = name.find('<');
  const size_t scope = name.rfind("::", arguments);
  if (scope != std::string::npos) name.erase(0, scope + 2);
  if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

std::string detail::class_name(const Module& module) {
  return class_name_without(typeid(module), "");
}

std::string Module::description() const {
  return detail::class_name(*this) + "(" + extra_repr() + ")";
}

void Module::print(std::ostream& out, const State& state, const std::string& description,
                   const std::string& indent) {
  if (state.children.empty()) {
    out << description;
    return;
  }
  // The options and the submodules follow on lines of their own.
  const std::string inner = indent + "  ";
  const size_t open = std::min(description.find('('), description.size());
  out << description.substr(0, open) << "(\n";
  if (open + 2 < description.size())
    out << inner << description.substr(open + 1, description.size() - open - 2) << "\n";
  std::vector<std::string> texts;
  for (const auto& [name, child] : state.children) texts.push_back(text_of(*child, inner));
  // In a list, torch prints equal neighbors once: (0-1): 2 x ReLU().
  const bool is_list = description == "ModuleList()";
  for (size_t i = 0, last; i < texts.size(); i = last + 1) {
    last = i;
    while (is_list && last + 1 < texts.size() && texts[last + 1] == texts[i]) ++last;
    out << inner << "(" << state.children[i].first;
    if (last > i) out << "-" << state.children[last].first;
    out << "): ";
    if (last > i) out << last - i + 1 << " x ";
    out << texts[i] << "\n";
  }
  out << indent << ")";
}

std::string Module::text_of(const State& child, const std::string& indent) {
  std::ostringstream out;
  print(out, child, child.description, indent);
  return out.str();
}

std::ostream& operator<<(std::ostream& out, const Module& module) {
  Module::print(out, *module.state_, module.description(), "");
  return out;
}

}  // namespace ebb::nn
