// Dropout: sets elements to zero at random while training (Srivastava et al. 2014).
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/random.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Each element is 0 with probability p, else x / (1 - p). Throws Error unless 0 <= p <= 1.
/// generator: where the numbers come from; the thread's default one when null.
Tensor dropout(const TensorArg& x, double p = 0.5, Generator* generator = nullptr);

/// dropout(x, p) in training mode, x itself in evaluation.
class Dropout : public Layer {
 public:
  explicit Dropout(double p = 0.5);
  Tensor forward(const Tensor& x) const override { return is_training() ? dropout(x, p_) : x; }

 private:
  double p_;
};

}  // namespace ebb::nn
