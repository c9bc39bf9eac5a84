#include "ebb/nn/layers/sequential.h"

#include "ebb/nn/layers/activation.h"

namespace ebb::nn {

void Sequential::append(std::shared_ptr<Layer> layer) {
  add_child(std::to_string(layers_.size()), *layer);
  if (!layers_.empty() && layers_.back().linear) {
    const auto* gelu = dynamic_cast<const GELU*>(layer.get());
    if (dynamic_cast<const ReLU*>(layer.get())) layers_.back().follows = Activation::Relu;
    else if (gelu && gelu->approximate() == GeluApproximate::Tanh)
      layers_.back().follows = Activation::GeluTanh;
  }
  layers_.push_back({layer, dynamic_cast<const Linear*>(layer.get())});
}

Tensor Sequential::forward(const Tensor& x) const {
  Tensor value = x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Step& step = layers_[i];
    if (step.follows != Activation::None && !LayerWatch::active()) {
      value = ebb::linear(value, step.linear->weight, step.linear->bias, step.follows);
      ++i;
    } else {
      value = (*step.layer)(value);
    }
  }
  return value;
}

}  // namespace ebb::nn
