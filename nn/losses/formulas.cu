// The CUDA kernels of the pointwise losses. What is missing here is an error when it is called on the GPU.
#include "ebb/nn/losses/formulas.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_losses() {
  enter_formulas<true, L1Loss, MseLoss, SmoothL1Loss, HuberLoss, BceLoss, MultiLabelSoftMargin, BceWithLogits,
                 BceWithLogitsPos, KlDiv, KlDivLogTarget, SoftMarginLoss, HingeEmbeddingLoss, MarginRankingLoss,
                 PoissonNll, PoissonNllLogInput, GaussianNll, SigmoidFocalLoss>();
}

}  // namespace ebb::cuda
