// The CUDA kernels of the gates of recurrent cells.
#include "ebb/autograd/ops/formulas/recurrent.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_recurrent_gates() {
  enter_formulas<false, GateSigmoid, GateTanh, GateRelu, GruCandidate, GruState, LstmCell,
                 LstmState, GateTanhBackward, GateReluBackward, GateSum>();
}

}  // namespace ebb::cuda
