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

 protected:
  double p_;
};

/// Sets whole channels of (N, C, ...) to 0 with probability p, and scales the others by 1
/// / (1 - p). Derivative, errors and generator: as dropout.
///
/// dropout1d takes (C, L) or (N, C, L), dropout2d (N, C) or (N, C, ...).
///
///     Tensor y = dropout2d(ones({1, 2, 3, 3}), 0.5);  // channels of 0 or of 2
Tensor dropout1d(const TensorArg& x, double p = 0.5, bool training = true,
                 Generator* generator = nullptr);
Tensor dropout2d(const TensorArg& x, double p = 0.5, bool training = true,
                 Generator* generator = nullptr);

/// Sets each element to -1.7581 with probability p, and scales and shifts the result so that mean 0
/// and variance 1 are kept: for networks with SELU. Returns x itself if training is false.
Tensor alpha_dropout(const TensorArg& x, double p = 0.5, bool training = true,
                     Generator* generator = nullptr);
/// The same for whole channels of (N, C, ...).
Tensor feature_alpha_dropout(const TensorArg& x, double p = 0.5, bool training = true,
                             Generator* generator = nullptr);

/// Returns dropout1d of (C, L) or (N, C, L) in training mode, and x itself in evaluation mode.
class Dropout1d : public Dropout {
 public:
  explicit Dropout1d(double p = 0.5) : Dropout(p) {}
  Tensor forward(const Tensor& x) const override { return dropout1d(x, p_, is_training()); }
};
/// Returns dropout2d of (N, C, H, W) in training mode. Three dims are (N, C, L), as in torch.
class Dropout2d : public Dropout {
 public:
  explicit Dropout2d(double p = 0.5) : Dropout(p) {}
  Tensor forward(const Tensor& x) const override { return dropout2d(x, p_, is_training()); }
};
/// Returns alpha_dropout in training mode.
class AlphaDropout : public Dropout {
 public:
  explicit AlphaDropout(double p = 0.5) : Dropout(p) {}
  Tensor forward(const Tensor& x) const override { return alpha_dropout(x, p_, is_training()); }
};
/// Returns feature_alpha_dropout in training mode.
class FeatureAlphaDropout : public Dropout {
 public:
  explicit FeatureAlphaDropout(double p = 0.5) : Dropout(p) {}
  Tensor forward(const Tensor& x) const override {
    return feature_alpha_dropout(x, p_, is_training());
  }
};

}  // namespace ebb::nn
