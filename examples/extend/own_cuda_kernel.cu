// A CUDA kernel of your own, and the kernels of two formulas and of an optimizer.
// own_cuda_kernel.cpp has the op.
#include "own_cuda_kernel.h"
#include "sign_descent.h"

#include <cuda_runtime.h>
#include <ebb/backends/cuda/pointwise_kernels.h>
#include <ebb/backends/cuda/rule_kernels.h>
#include <ebb/core/error.h>

EBB_CUDA_FORMULA(SoftRamp)
EBB_CUDA_LOSS(LogCoshLoss)
EBB_CUDA_RULE(SignDescent)

namespace {

template <class T> __global__ void median3(const T* x, T* y, int64_t* chosen, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  chosen[i] = median3_at(x, i, n);
  y[i] = x[chosen[i]];
}

}  // namespace

template <class T> void launch_median3(const T* x, T* y, int64_t* chosen, int64_t n, void* stream) {
  if (n == 0) return;
  cudaLaunchConfig_t
      config{};  // median3<<<blocks, 256, 0, stream>>>(...), with the error as its result
  config.gridDim = dim3(static_cast<unsigned>((n + 255) / 256));
  config.blockDim = dim3(256);
  config.stream = static_cast<cudaStream_t>(stream);
  const cudaError_t status = cudaLaunchKernelEx(&config, median3<T>, x, y, chosen, n);
  if (status != cudaSuccess) ebb::fail("median3", cudaGetErrorString(status));
}
template void launch_median3(const float*, float*, int64_t*, int64_t, void*);
template void launch_median3(const double*, double*, int64_t*, int64_t, void*);
