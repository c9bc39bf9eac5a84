#include "ebb/nn/optim/ema.h"

#include "ebb/core/grad_mode.h"

namespace ebb::nn {

AveragedWeights::AveragedWeights(const Optimizer& optimizer) {
  const NoGrad guard;
  for (const auto& [parameter, average] : optimizer.averaged_parameters())
    swapped_.push_back({parameter, parameter.detach().clone()});
  size_t k = 0;
  for (const auto& [parameter, average] : optimizer.averaged_parameters())
    swapped_[k++].parameter.copy_(average);
}

AveragedWeights::~AveragedWeights() {
  const NoGrad guard;
  for (Swapped& s : swapped_) s.parameter.copy_(s.weights);
}

}  // namespace ebb::nn
