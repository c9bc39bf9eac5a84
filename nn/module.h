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

#include <memory>
#include <string>
#include <string_view>
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

  /// All parameters, those of submodules included, in order of registration; names joined with '.': "0.weight".
  std::vector<NamedTensor> named_parameters() const;
  std::vector<Tensor> parameters() const;
  std::vector<NamedTensor> named_buffers() const;
  /// Parameters and buffers: what torch's state_dict() holds, and what a checkpoint saves.
  std::vector<NamedTensor> state_dict() const;
  /// Copies values in by name. Throws Error that lists missing and unexpected names and shapes that differ, and then
  /// changes nothing.
  void load_state_dict(const std::vector<NamedTensor>& source);
  /// Paths of all modules below and of this one (""), with what identifies them: copies of a module have the same.
  std::vector<std::pair<std::string, const void*>> named_modules() const;
  const void* identity() const { return state_.get(); }
  /// The number of elements of all parameters.
  int64_t parameter_count() const;

  /// Training mode (dropout on) or evaluation, for this module and everything below.
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return state_->training; }

  /// Moves parameters and buffers; handles that others hold follow. Gradients are forgotten.
  void to(Device device);
  /// Converts floating parameters and buffers.
  void to(DType dtype);
  /// Forgets the gradients of all parameters.
  void zero_grad();
  /// Freezes (false) or thaws all parameters.
  void requires_grad_(bool on = true);

 protected:
  /// Registers and returns; the tensor is made to require grad. Throws Error on a name that is taken or has a '.'.
  Tensor add_parameter(std::string_view name, Tensor tensor);
  /// A tensor that is saved and moved, and not trained. An undefined one is ignored, as torch does.
  Tensor add_buffer(std::string_view name, Tensor tensor);
  template <class M> M add_module(std::string_view name, M module) {
    add_child(name, module);
    return module;
  }
  void add_child(std::string_view name, const Module& module);

 private:
  struct State {
    std::vector<NamedTensor> parameters, buffers;
    std::vector<std::pair<std::string, std::shared_ptr<State>>> children;
    bool training = true;
  };
  template <class Visit> static void visit(State& state, const std::string& prefix, Visit&& each);
  void check_name(std::string_view name) const;

  std::shared_ptr<State> state_;
};

/// Is told of each call of a layer on this thread while its Scope lives. What summary() sees a model with.
class LayerWatch {
 public:
  virtual ~LayerWatch() = default;
  virtual void enter(const Module& module, const Tensor& input) = 0;
  virtual void leave(const Tensor& output) = 0;

  class Scope {
   public:
    explicit Scope(LayerWatch& watch) : before_(active_) { active_ = &watch; }
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

/// A module from one tensor to one: what Sequential chains.
class Layer : public Module {
 public:
  virtual Tensor forward(const Tensor& x) const = 0;
  Tensor operator()(const Tensor& x) const {
    LayerWatch* watch = LayerWatch::active();
    if (!watch) [[likely]]
      return forward(x);
    watch->enter(*this, x);
    Tensor out = forward(x);
    watch->leave(out);
    return out;
  }
};

}  // namespace ebb::nn
