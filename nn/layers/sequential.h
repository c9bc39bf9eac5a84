// Sequential: layers one after the other, named "0", "1", ... as in torch.
#pragma once

#include <memory>

#include "ebb/nn/layers/linear.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// nn::Sequential model{nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10)};
/// A Linear that a ReLU, or a GELU in its tanh form, follows runs together with it.
class Sequential : public Layer {
 public:
  template <class... Layers>
  requires(std::is_base_of_v<Layer, Layers>&&...) explicit Sequential(Layers... layers) {
    (push_back(std::move(layers)), ...);
  }

  /// Appends a layer.
  template <class L>
  requires(std::is_base_of_v<Layer, L>) void push_back(L layer) {
    append(std::make_shared<L>(std::move(layer)));
  }

  Tensor forward(const Tensor& x) const override;
  int64_t size() const { return static_cast<int64_t>(layers_.size()); }

 private:
  struct Step {
    std::shared_ptr<Layer> layer;
    const Linear* linear = nullptr;         // the layer, when it is one
    Activation follows = Activation::None;  // the next layer, where it is skipped
  };
  void append(std::shared_ptr<Layer> layer);

  std::vector<Step> layers_;
};

}  // namespace ebb::nn
