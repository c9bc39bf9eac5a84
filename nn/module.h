// Module: parameters, buffers and submodules with names, as torch names them.
//
//   struct Net : nn::Module {
//     nn::Linear hidden = add_module("hidden", nn::Linear(784, 128));
//     nn::Linear out = add_module("out", nn::Linear(128, 10));
//     Tensor forward(const Tensor& x) { return out(relu(hidden(x))); }
//   };
//
// A Module is a handle like a Tensor: copies share parameters, buffers and the training flag.
#pragma once

#include <concepts>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::nn {

using NamedTensor = std::pair<std::string, Tensor>;

class Module {
 public:
  Module() : state_(std::make_shared<State>()) {}
  virtual ~Module() = default;
  Module(const Module&) = default;
  Module& operator=(const Module&) = default;

  /// Returns the parameters of this module and of all modules below it, in order of registration,
  /// with names joined by '.': "0.weight". A parameter that is registered several times (a tied
  /// weight, a layer used twice) is listed once, under its first name, as in torch; so are buffers
  /// and modules.
  ///
  ///     nn::Linear layer(2, 2);
  ///     nn::Sequential(layer, nn::ReLU(), layer).named_parameters();  // "0.weight", "0.bias"
  std::vector<NamedTensor> named_parameters() const;
  std::vector<Tensor> parameters() const;
  std::vector<NamedTensor> named_buffers() const;
  /// Returns parameters and buffers under all their names, as torch's state_dict() does. A
  /// checkpoint saves this list. A tied weight is listed once for each of its names.
  std::vector<NamedTensor> state_dict() const;
  /// Copies values by name. Throws Error that lists missing and unexpected names, different shapes
  /// and dtypes, and names of one tied weight that have different values. If it throws, nothing has
  /// changed.
  void load_state_dict(const std::vector<NamedTensor>& source);
  /// Returns path and identity of this module ("") and of all modules below it. Each module is
  /// listed once, under its first path.
  std::vector<std::pair<std::string, const void*>> named_modules() const;
  /// Identifies a module: copies of one module have the same identity.
  const void* identity() const { return state_.get(); }
  /// Returns the number of elements of all parameters, each parameter counted once.
  int64_t parameter_count() const;

  /// Sets training mode (dropout on) or evaluation mode for this module and all modules below it.
  /// ModeGuard sets a mode for a scope.
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return state_->training; }

  /// Returns the line that printing shows for this module: its class and, in parentheses, the
  /// options that extra_repr() returns. std::cout << model prints it with all modules below it, as
  /// torch does.
  virtual std::string description() const;

  /// Moves parameters and buffers to a device. Other handles of these tensors, and optimizers,
  /// follow. The gradient of a tensor that is moved is cleared. If a tensor cannot be moved, it
  /// throws Error and moves none.
  void to(Device device);
  /// Converts floating parameters and buffers to a dtype, with the same guarantees.
  void to(DType dtype);
  /// Clears the gradients of all parameters.
  void zero_grad();
  /// Freezes (false) or thaws all parameters.
  void requires_grad_(bool on = true);

 protected:
  /// Registers and returns a tensor, which then requires grad. Throws Error if the name is in use
  /// or contains a '.'.
  Tensor add_parameter(std::string_view name, Tensor tensor);
  /// Registers and returns a tensor that is saved and moved, but not trained. An undefined tensor
  /// is ignored, as in torch.
  Tensor add_buffer(std::string_view name, Tensor tensor);
  template <class M> M add_module(std::string_view name, M module) {
    add_child(name, module);
    return module;
  }
  /// Registers a module. Throws Error if the name is in use or contains a '.', or if this module is
  /// `module` or is below it.
  void add_child(std::string_view name, const Module& module);
  // The same under torch's names.
  Tensor register_parameter(std::string_view name, Tensor tensor) {
    return add_parameter(name, std::move(tensor));
  }
  Tensor register_buffer(std::string_view name, Tensor tensor) {
    return add_buffer(name, std::move(tensor));
  }
  template <class M> M register_module(std::string_view name, M module) {
    return add_module(name, std::move(module));
  }

  /// Returns the options that printing shows: "in_features=3, out_features=4, bias=True". Empty
  /// unless overridden.
  virtual std::string extra_repr() const { return {}; }

 private:
  friend class ModeGuard;
  friend std::ostream& operator<<(std::ostream& out, const Module& module);
  struct State {
    std::vector<NamedTensor> parameters, buffers;
    std::vector<std::pair<std::string, std::shared_ptr<State>>> children;
    bool training = true;
    std::string description;  // of a submodule, at the time of its registration
  };
  static void print(std::ostream& out, const State& state, const std::string& description,
                    const std::string& indent);
  static std::string text_of(const State& child, const std::string& indent);
  struct Seen;  // the tensors and modules that have been visited
  template <class Visit>
  static void visit(State& state, const std::string& prefix, Seen* seen, Visit&& each);
  std::vector<NamedTensor> named(std::vector<NamedTensor> State::*list) const;
  template <class Convert> void replace_tensors(Convert&& convert);
  void check_name(std::string_view name) const;

  std::shared_ptr<State> state_;
};

/// Prints a module and all modules below it, as torch does:
///
///     Sequential(
///       (0): Linear(in_features=3, out_features=4, bias=True)
///       (1): ReLU()
///     )
std::ostream& operator<<(std::ostream& out, const Module& module);

/// Puts a module and all modules below it into one mode for a scope. The end of the scope, also
/// after an exception, restores the mode of each of them.
///
///     {
///       const nn::ModeGuard guard(model, false);
///       scores = model(x);  // dropout is off
///     }
class [[nodiscard]] ModeGuard {
 public:
  ModeGuard(Module& module, bool training);
  ~ModeGuard();
  ModeGuard(const ModeGuard&) = delete;
  ModeGuard& operator=(const ModeGuard&) = delete;

 private:
  std::vector<std::pair<std::shared_ptr<Module::State>, bool>> before_;
};

/// Receives each call of a layer on this thread while its Scope exists. summary() uses it.
class LayerWatch {
 public:
  virtual ~LayerWatch() = default;
  virtual void enter(const Module& module, const Tensor& input) = 0;
  virtual void leave(const Tensor& output) = 0;

  class [[nodiscard]] Scope {
   public:
    [[nodiscard]] explicit Scope(LayerWatch& watch) : before_(active_) { active_ = &watch; }
    ~Scope() { active_ = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    LayerWatch* before_;
  };
  static LayerWatch* active() { return active_; }

 private:
  static constinit thread_local LayerWatch* active_;
};

/// A module that maps one tensor to one tensor, for Sequential and Trainer. They also accept a
/// Module that is not a Layer but has Tensor forward(const Tensor&): see as_layer().
class Layer : public Module {
 public:
  Layer() = default;
  virtual Tensor forward(const Tensor& x) const = 0;
  /// Allows layer->forward(x), as torch's module holders do.
  Layer* operator->() { return this; }
  const Layer* operator->() const { return this; }
  Tensor operator()(const Tensor& x) const {
    LayerWatch* watch = LayerWatch::active();
    if (!watch) [[likely]]
      return forward(x);
    watch->enter(described(), x);
    Tensor out = forward(x);
    watch->leave(out);
    return out;
  }

 protected:
  /// Creates a layer that shares parameters, children and mode with `module`.
  explicit Layer(const Module& module) : Module(module) {}

 private:
  /// Returns the module that a LayerWatch receives.
  virtual const Module& described() const { return *this; }
};

namespace detail {

/// Returns "Linear" for a module of class ebb::nn::Linear.
std::string class_name(const Module& module);
/// Returns the name of a class without its namespace and without `suffix` at its end.
std::string class_name_without(const std::type_info& type, std::string_view suffix);

template <class M>
concept HasForward = requires(M& module, const Tensor& x) {
  { module.forward(x) } -> std::convertible_to<Tensor>;
};

/// A Layer for a Module that has its own forward().
class ModuleLayer final : public Layer {
 public:
  ModuleLayer(const Module& module, std::function<Tensor(const Tensor&)> forward)
      : Layer(module), module_(module), forward_(std::move(forward)) {}
  Tensor forward(const Tensor& x) const override { return forward_(x); }

 private:
  const Module& described() const override { return module_; }
  std::string description() const override { return module_.description(); }

  const Module& module_;  // kept alive by forward_ or by the caller
  std::function<Tensor(const Tensor&)> forward_;
};

template <class M> constexpr void check_is_layer() {
  static_assert(std::is_base_of_v<Module, M> && HasForward<M>,
                "expected a Layer, or a Module with Tensor forward(const Tensor&)");
}

}  // namespace detail

/// Returns the module as a Layer that refers to it. REQUIRES that the module outlives the result.
/// Does not compile unless M is a Layer, or a Module with Tensor forward(const Tensor&).
template <class M> std::shared_ptr<Layer> as_layer(M& module) {
  detail::check_is_layer<M>();
  if constexpr (std::is_base_of_v<Layer, M>) {
    return std::shared_ptr<Layer>(std::shared_ptr<void>(), &module);
  } else {
    return std::make_shared<detail::ModuleLayer>(
        module, [&module](const Tensor& x) -> Tensor { return module.forward(x); });
  }
}

/// Returns the module as a Layer that owns it.
template <class M>
requires(!std::is_lvalue_reference_v<M>) std::shared_ptr<Layer> as_layer(M&& module) {
  detail::check_is_layer<M>();
  auto kept = std::make_shared<M>(std::move(module));
  if constexpr (std::is_base_of_v<Layer, M>) {
    return kept;
  } else {
    return std::make_shared<detail::ModuleLayer>(
        *kept, [kept](const Tensor& x) -> Tensor { return kept->forward(x); });
  }
}

}  // namespace ebb::nn
