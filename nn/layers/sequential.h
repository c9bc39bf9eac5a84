// Sequential: layers one after the other, named "0", "1", ... as in torch.
#pragma once

#include <memory>
#include <vector>

#include "ebb/nn/layers/layer_list.h"
#include "ebb/nn/layers/linear.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// A chain of layers, each of which receives the result of the previous one.
///
///     nn::Sequential model{nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10)};
///
/// Its parts are Layers, or Modules with Tensor forward(const Tensor&). A layer may occur several
/// times; its parameters are then shared. Like every module it is a handle: copies share their
/// layers, including those appended later. A Linear runs as one op with a ReLU, or a GELU in its
/// tanh form, that follows it; a class derived from one of these runs its own forward().
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
  /// Appends a layer under a name instead of its number. Throws Error if the name is in use or
  /// contains a '.'.
  ///
  ///     model.push_back("hidden", nn::Linear(784, 128));
  template <class M>
  requires(std::is_base_of_v<Module, M>) void push_back(std::string_view name, M module) {
    append(name, as_layer(std::move(module)));
  }
  /// Allows model->push_back(...), as torch's module holders do.
  Sequential* operator->() { return this; }
  const Sequential* operator->() const { return this; }

  Tensor forward(const Tensor& x) const override;
  int64_t size() const { return static_cast<int64_t>(steps_->size()); }
  bool is_empty() const { return steps_->empty(); }

  /// Returns layer i. A negative i counts from the end. Throws Error if i is out of range.
  const Layer& operator[](int64_t i) const;
  /// Returns layer i as an M. Throws Error if it is of another class.
  ///
  ///     model.at<nn::Linear>(0).weight;
  template <class M> const M& at(int64_t i) const {
    return detail::layer_as<M>("Sequential", (*this)[i]);
  }
  /// Iterate over the layers: for (const nn::Layer& layer : model).
  detail::LayerIterator<Sequential> begin() const { return {*this, 0}; }
  detail::LayerIterator<Sequential> end() const { return {*this, size()}; }

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
