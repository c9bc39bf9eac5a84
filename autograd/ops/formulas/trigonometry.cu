// The CUDA kernels of trigonometry, rounding and tests for special values.
#include "ebb/autograd/ops/formulas/elementary.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_trigonometry() {
  enter_formulas<false, Sin, Cos, Tan, Atan2, Fmod, FmodScalar, Erfinv, Rsqrt, Reciprocal, Floor,
                 Ceil, Round, Trunc, FloorDivide, IsNan, IsInf, IsFinite>();
}

}  // namespace ebb::cuda
