// The CUDA kernels of the pointwise losses of labels and distributions. What is missing is an error when it is called
// on the GPU.
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
