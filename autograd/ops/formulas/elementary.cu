// The CUDA kernels of elementary functions. A separate file, so that nvcc can compile it in
// parallel.
#include "ebb/autograd/ops/formulas/arithmetic.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_elementary() {
  enter_formulas<false, Pow, PowScalar, Square, ExpBackward, Exp, Log, Log1p, Expm1, Sqrt, Erf, Abs,
                 Sign>();
}

}  // namespace ebb::cuda
