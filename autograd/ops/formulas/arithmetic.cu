// The CUDA kernels of arithmetic and comparisons. Calling an op whose formula is missing here and
// in elementary.cu is an error on the GPU.
#include "ebb/autograd/ops/formulas/arithmetic.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

using namespace formulas;

void enter_arithmetic() {
  enter_formulas<false, Add, Sub, Mul, Div, Neg, AddScalar, MulScalar, DivScalar, ScalarSub,
                 ScalarDiv, AddScaled, Maximum, Minimum, ClampMin, ClampMax, Clamp, Where, Less,
                 LessEqual, Greater, GreaterEqual, Equal, NotEqual, LogicalAnd, LogicalOr,
                 LogicalNot>();
}

}  // namespace ebb::cuda
