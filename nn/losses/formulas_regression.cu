// The CUDA kernels of the pointwise losses of regression. Calling a loss whose formula is missing
// is an error on the GPU.
#include "ebb/nn/losses/formulas.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_regression_losses() {
  enter_formulas<true, L1Loss, MseLoss, SmoothL1Loss, HuberLoss, PoissonNll<false>,
                 PoissonNll<true>, PoissonNllLogInput<false>, PoissonNllLogInput<true>,
                 GaussianNll>();
}

}  // namespace ebb::cuda
