// The CUDA kernels of the pointwise losses of labels and distributions. Calling a loss whose
// formula is missing here is an error on the GPU.
#include "ebb/nn/losses/formulas.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_label_losses() {
  enter_formulas<false, FocalLoss>();
  enter_formulas<true, BceLoss, MultiLabelSoftMargin, BceWithLogits, BceWithLogitsPos, KlDiv,
                 KlDivLogTarget, SoftMarginLoss, HingeEmbeddingLoss, MarginRankingLoss,
                 SigmoidFocalLoss<false>, SigmoidFocalLoss<true>>();
}

}  // namespace ebb::cuda
