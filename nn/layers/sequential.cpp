#include "ebb/nn/layers/sequential.h"

#include <typeinfo>

#include "ebb/nn/layers/activation.h"

namespace ebb::nn {
namespace {

// Returns the layer as an L, or null if it is of another class or of a class derived from L, whose
// forward may differ.
template <class L> const L* exactly(const Layer& layer) {
  return typeid(layer) == typeid(L) ? static_cast<const L*>(&layer) : nullptr;
}

// Returns the activation of a layer that a Linear can compute as its epilogue.
Activation fusible(const Layer& layer) {
  if (exactly<ReLU>(layer)) return Activation::Relu;
  const auto* gelu = exactly<GELU>(layer);
  return gelu && gelu->approximate() == GeluApproximate::Tanh ? Activation::GeluTanh
                                                              : Activation::None;
}

}  // namespace

void Sequential::append(std::string_view name, std::shared_ptr<Layer> layer) {
  add_child(name, *layer);
  if (!steps_->empty() && steps_->back().linear) steps_->back().follows = fusible(*layer);
  const Linear* linear = exactly<Linear>(*layer);
  steps_->push_back({std::move(layer), linear});
}

const Layer& Sequential::operator[](int64_t i) const {
  return *(*steps_)[detail::layer_index("Sequential", i, size())].layer;
}

Tensor Sequential::forward(const Tensor& x) const {
  Tensor value = x;
  const std::vector<Step>& steps = *steps_;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
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
