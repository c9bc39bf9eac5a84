// AveragedWeights: uses the moving averages of the weights, to evaluate or save the averaged model.
#pragma once

#include <vector>

#include "ebb/nn/optim/optimizer_base.h"

namespace ebb::nn {

/// Replaces the parameters of an optimizer by their moving averages (Optimizer::average_weights)
/// for a scope. The end of the scope restores the trained values.
///
///     optimizer.average_weights(0.999);  // before the training
///     {
///       const nn::AveragedWeights averaged(optimizer);
///       nn::evaluate(model, test, 10);
///     }
///
/// Parameters without an average keep their values, and all tensors keep their memory. REQUIRES
/// that step() is not called within the scope.
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
