// The CUDA kernels of further activations. A separate file, so that nvcc can compile it in
// parallel.
#include "ebb/autograd/ops/formulas/activation.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_more_activations() {
  enter_formulas<false, Selu, Celu, Relu6, Prelu, Mish, Hardswish, Hardsigmoid, Hardshrink,
                 Softshrink, Tanhshrink, Softsign, Threshold>();
}

}  // namespace ebb::cuda
