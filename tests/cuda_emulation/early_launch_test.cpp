// Kernels that may start before the previous kernel has ended: they must wait for it.
#include <gtest/gtest.h>

#include "cuda_runtime.h"
#include "test_support.h"

namespace {

using ebb::emulation::Device;
using ebb::emulation::Stream;

__global__ void waits(int* out) {
  cudaGridDependencySynchronize();
  out[threadIdx.x] = 1;
}
__global__ void waits_in_one_thread(int* out) {
  if (threadIdx.x == 0) cudaGridDependencySynchronize();
  out[threadIdx.x] = 1;
}

cudaError_t launch_early(void (*kernel)(int*), cudaStream_t stream, int* out) {
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(2);
  config.blockDim = dim3(32);
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, kernel, out);
}

TEST(EarlyLaunch, AKernelThatWaitsRuns) {
  const Device<int> out(32);
  const Stream stream;
  ASSERT_EQ(launch_early(waits, stream, out.data()), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(out.values(), std::vector<int>(32, 1));
}

TEST(EarlyLaunch, AKernelThatDoesNotWaitEndsTheProgram) {
  const Device<int> out(32);
  const auto run = [&](void (*kernel)(int*)) {
    const Stream stream;
    launch_early(kernel, stream, out.data());
    cudaStreamSynchronize(stream);
  };
  EXPECT_DEATH(run(waits_in_one_thread), "without cudaGridDependencySynchronize in every thread");
}

}  // namespace
