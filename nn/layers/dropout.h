// Dropout: sets elements to zero at random while training (Srivastava et al. 2014).
#pragma once

#include <concepts>
#include <string>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/random.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Sets each element to 0 with probability p, and to x / (1 - p) otherwise.
///
/// Derivative: 1 / (1 - p) for the elements that are kept, else 0. Shape: that of x. Throws Error
/// unless 0 <= p <= 1. generator: the source of random numbers; the default generator of the thread
/// if null.
Tensor dropout(const TensorArg& x, double p = 0.5, Generator* generator = nullptr);
/// Returns dropout(x, p) when train is true, and x itself otherwise: the order of torch::dropout.
Tensor dropout(const TensorArg& x, double p, std::same_as<bool> auto train,
               Generator* generator = nullptr) {
  return train ? dropout(x, p, generator) : *x;
}

/// Returns dropout(x, p) in training mode, and x itself in evaluation mode.
class Dropout : public Layer {
 public:
  explicit Dropout(double p = 0.5);
  Tensor forward(const Tensor& x) const override { return is_training() ? dropout(x, p_) : x; }
  std::string extra_repr() const override;

 private:
  double p_;
};

}  // namespace ebb::nn
