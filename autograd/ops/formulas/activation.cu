// The CUDA kernels of activations. Calling an op whose formula is missing here is an error on the
// GPU.
#include "ebb/autograd/ops/formulas/activation.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_activations() {
  enter_formulas<false, ReluBackward, Relu, LeakyRelu, SigmoidBackward, Sigmoid, TanhBackward, Tanh,
                 LogSigmoid, Softplus, Gelu, GeluTanh, Silu, Elu, Hardtanh>();
}

}  // namespace ebb::cuda
