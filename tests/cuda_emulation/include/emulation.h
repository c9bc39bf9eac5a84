// Lets tests read and change the state of the emulated device. All functions are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ebb::emulation {

struct Counters {
  // Kernels, cuBLAS products, and copies or fills (cudaMemcpy, cudaMemset and related functions)
  // that the host has launched or recorded. Replays of a graph do not count.
  std::int64_t launches = 0;
  std::int64_t matmuls = 0;
  std::int64_t convolutions = 0;      // of cuDNN
  std::int64_t copies = 0;
  std::int64_t graph_launches = 0;    // calls of cudaGraphLaunch
  std::int64_t synchronizations = 0;  // calls that make the host wait for the device, see below
  std::int64_t mallocs = 0;           // device allocations
  std::int64_t bytes_live = 0;        // allocated device bytes; reset() does not change it
  std::int64_t bytes_peak = 0;        // the maximum of bytes_live since reset()
  std::int64_t pinned_live = 0;       // allocated pinned bytes; reset() does not change it
};

// Synchronizations are cudaDeviceSynchronize, cudaStreamSynchronize, cudaEventSynchronize,
// cudaMemcpy, cudaFree, cudaFreeHost, and cudaMemcpyAsync from the device into memory that is not
// pinned, which waits on a real device.
Counters counters();
void reset();

// Returns the address of a function of cuDNN, or null if there is none with this name or if
// EBB_EMULATION_CUDNN is "absent". (Ebb loads cuDNN instead of linking it.)
void* cudnn_function(const char* name);

// Sets the memory of the device (initially 1 GiB). A larger allocation is
// cudaErrorMemoryAllocation.
void limit_memory(std::size_t bytes);

// Seeds the order of blocks and threads. The initial seed is EBB_EMULATION_SEED or 1.
void seed(std::uint64_t value);

// Selects if streams run their work only when something waits for it, or at a time that the seed
// decides, instead of at once. Initially true if EBB_EMULATION_STREAMS is "late".
void run_late(bool on);

}  // namespace ebb::emulation
