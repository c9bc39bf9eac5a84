// Pointwise calls on the GPU: describes the operands, and selects the kernel of the formula.
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/pointwise_kernels.h"

namespace ebb::cuda {

void prepare_pointwise(const PointwiseCall& call, Space& space, PointwiseInput* in,
                       PointwiseOutput* out) {
  using Mode = PointwiseInput::Mode;
  Shape strides[kMaxPassInputs];
  Strides steps[kMaxPassInputs];
  int gathered[kMaxPassInputs], count = 0;
  for (size_t k = 0; k < call.in.size(); ++k) {
    const Tensor& x = *call.in[k];
    in[k] = {x.raw(), 0, {}, x.dtype(), Mode::Gathered};
    if (x.device() == Device::cpu()) {  // a number, see core/pointwise.h
      in[k] = {nullptr, x.item(), {}, x.dtype(), Mode::Constant};
    } else if (x.numel() == 1) {
      in[k].mode = Mode::Constant;
    } else if (x.dtype() == call.compute && x.is_contiguous() && x.shape() == *call.shape &&
               is_aligned(x.raw())) {
      in[k].mode = Mode::Direct;
    } else {
      strides[count] = broadcast_strides(x.shape(), x.strides(), *call.shape);
      gathered[count++] = static_cast<int>(k);
    }
  }
  space = make_space(*call.shape, strides, count, steps);
  for (int i = 0; i < count; ++i) in[gathered[i]].strides = steps[i];
  for (size_t k = 0; k < call.out.size(); ++k) {
    const Tensor* y = call.out[k];
    if (!y || (k == 0 && call.sum_first)) out[k] = {};
    else out[k] = {y->raw(), y->dtype(), y->dtype() == call.compute && is_aligned(y->raw())};
  }
}

void pointwise(const PointwiseCall& call) {
  const auto* kernels = static_cast<const FormulaKernels*>(*call.table->cuda_kernels);
  if (!kernels) {
    fail(call.table->name,
         "this formula has no CUDA kernels: enter it with EBB_CUDA_FORMULA in a file for nvcc");
  }
  const auto run = call.compute == DType::I64
                       ? kernels->integer_value
                       : kernels->floating[static_cast<int>(call.pass)][call.compute == DType::F64];
  run(call);
}

}  // namespace ebb::cuda
