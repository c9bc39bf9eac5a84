// Sequential: layers one after the other, named "0", "1", ... as in torch.
#pragma once

#include <memory>
#include <vector>

#include "ebb/nn/layers/linear.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// A chain of layers, each of which receives the result of the previous one.
///
///     nn::Sequential model{nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10)};
///
/// Its parts are Layers, or Modules with Tensor forward(const Tensor&). A layer may occur several
/// times; its parameters are then shared. Like every module it is a handle: copies share their
/// layers, including those appended later. A Linear followed by a ReLU, or by a GELU in its tanh
/// form, runs as one op with it. This applies only to these classes. A class derived from one of
/// them runs its own forward.
class Sequential : public Layer {
 public:
  template <class... Modules>
  requires(std::is_base_of_v<Module, Modules>&&...) explicit Sequential(Modules... modules) {
    (push_back(std::move(modules)), ...);
  }

  // Moving is copying: a handle that was moved from is still a chain.
  Sequential(const Sequential&) = default;
  Sequential& operator=(const Sequential&) = default;

  /// Appends a layer, or a module with Tensor forward(const Tensor&).
  template <class M>
  requires(std::is_base_of_v<Module, M>) void push_back(M module) {
    append(std::to_string(size()), as_layer(std::move(module)));
  }
  /// Appends it under a name of its own instead of its number. Throws Error on a name that is taken
  /// or has a '.'.
  ///
  ///     model.push_back("hidden", nn::Linear(784, 128));
  template <class M>
  requires(std::is_base_of_v<Module, M>) void push_back(std::string_view name, M module) {
    append(name, as_layer(std::move(module)));
  }
  /// As torch's module holders: model->push_back(...).
  Sequential* operator->() { return this; }
  const Sequential* operator->() const { return this; }

  Tensor forward(const Tensor& x) const override;
  int64_t size() const { return static_cast<int64_t>(steps_->size()); }

 private:
  struct Step {
    std::shared_ptr<Layer> layer;
    const Linear* linear = nullptr;         // the layer, when it is a Linear and nothing more
    Activation follows = Activation::None;  // the next layer, when it runs together with this one
  };
  void append(std::string_view name, std::shared_ptr<Layer> layer);

  std::shared_ptr<std::vector<Step>> steps_ = std::make_shared<std::vector<Step>>();
};

}  // namespace ebb::nn
