// Averages of weights in use: evaluate, save or ship the averaged model.
#pragma once

#include <vector>

#include "ebb/nn/optim/optimizer_base.h"

namespace ebb::nn {

/// Puts the moving averages that an optimizer keeps (Optimizer::average_weights) into its
/// parameters while it lives, and the trained weights back afterwards.
///
///     optimizer.average_weights(0.999);
///     ...
///     {
///       const nn::AveragedWeights averaged(optimizer);
///       evaluate(model, validation, 10);
///     }
///
/// Parameters without an average keep their values. The tensors keep their memory; in between,
/// step() must not be called.
class [[nodiscard]] AveragedWeights {
 public:
  explicit AveragedWeights(const Optimizer& optimizer);
  ~AveragedWeights();
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  struct Swapped {
    Tensor parameter, weights;
  };
  std::vector<Swapped> swapped_;
};

}  // namespace ebb::nn
