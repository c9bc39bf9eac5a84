// The basis of all CUDA sources: errors of the runtime, the stream, and launch(), which starts all
// kernels. Only for .cu files, because it needs the header of the CUDA runtime.
//
// All work of all threads goes to one stream of device 0, in program order. Freed memory can
// therefore be reused at once, and only reads on the host have to wait.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "ebb/core/error.h"

namespace ebb::cuda {

/// Throws Error with CUDA's message unless status is success.
void check(cudaError_t status, const char* what);

/// The largest number of blocks of a sum in two steps, for which there is scratch memory.
inline constexpr int kMaxPartials = 4096;
/// The largest number of tiles of a product whose tiles several blocks share.
inline constexpr int kMaxSplitTiles = 128;

/// The device and the objects that are created once for it. Never destroyed, because static tensors
/// may be destroyed last.
struct Context {
  cudaStream_t stream;
  int multiprocessors;
  double* partials;        ///< kMaxPartials numbers of scratch memory for a sum
  unsigned* ticket;        ///< 0 between kernels
  bool overlaps;           ///< supports programmatic dependent launch, also in captures
  unsigned* tile_tickets;  ///< kMaxSplitTiles numbers, 0 between kernels
  int shared_bytes;        ///< dynamic shared memory that a block can have, with 3 KB of static
};

/// Returns the context. Throws Error with the reason if there is no device.
Context& context();

namespace detail {
// shared_bytes: dynamic shared memory of each block.
template <class... P>
void start(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, bool early,
           std::type_identity_t<P>... args) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = context().stream;
  config.attrs = &attribute;
  config.numAttrs = early && context().overlaps ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, args...), "kernel launch");
}
}  // namespace detail

/// Starts kernel(args...) on the stream. Throws Error if it cannot start.
template <class... P>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, std::type_identity_t<P>... args) {
  detail::start(kernel, grid, block, 0, false, args...);
}

/// Starts kernel(args...) before the previous kernel of the stream has ended, if the device
/// supports it (programmatic dependent launch). This hides the launch of short kernels. REQUIRES
/// that every thread calls await_previous() before it accesses memory.
template <class... P>
void launch_early(void (*kernel)(P...), dim3 grid, dim3 block, std::type_identity_t<P>... args) {
  detail::start(kernel, grid, block, 0, true, args...);
}
/// Does the same for a kernel that uses `shared_bytes` of dynamic shared memory in each block.
template <class... P>
void launch_early(size_t shared_bytes, void (*kernel)(P...), dim3 grid, dim3 block,
                  std::type_identity_t<P>... args) {
  // Without it, static and dynamic memory together have 48 KB. The same value for every launch, so
  // that launches of other threads and graphs do not get less.
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             context().shared_bytes),
        "cudaFuncSetAttribute");
  detail::start(kernel, grid, block, shared_bytes, true, args...);
}

/// Returns the dynamic shared memory of the block, aligned to 16 bytes.
template <class T> __device__ T* dynamic_shared_memory() {
#if defined(__CUDACC__)
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
#else
  return static_cast<T*>(emulation::dynamic_shared_memory());
#endif
}

/// Allows the next kernel of the stream to start if it is launched early, then waits until all
/// earlier kernels have ended and their results are visible. The next kernel waits for the end of
/// this one, so it may start at any time.
__device__ inline void await_previous() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
  cudaGridDependencySynchronize();
#endif
}

/// The default number of threads of a block.
inline constexpr int kThreads = 256;

/// Returns the number of blocks for a grid-stride loop over `items`, with a limit of blocks per
/// multiprocessor.
inline dim3 grid_for(int64_t items, int per_block = kThreads, int a_multiprocessor = 16) {
  const int64_t blocks = (items + per_block - 1) / per_block;
  const int64_t most =
      std::min<int64_t>(kMaxPartials, int64_t{context().multiprocessors} * a_multiprocessor);
  return dim3(static_cast<unsigned>(std::clamp<int64_t>(blocks, 1, most)));
}

/// The first item of this thread, and the step to its next one, in a grid-stride loop.
__device__ inline int64_t first_item() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t item_step() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

}  // namespace ebb::cuda
