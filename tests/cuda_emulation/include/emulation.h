// What a test may ask of the emulated device, and change in it. Safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ebb::emulation {

struct Counters {
  std::int64_t launches = 0;  // kernels that the host launched or recorded; not those of a replay
  std::int64_t matmuls = 0;   // cuBLAS products, counted likewise
  std::int64_t copies =
      0;  // copies and fills (cudaMemcpy, cudaMemset and their kin), counted likewise
  std::int64_t graph_launches = 0;  // cudaGraphLaunch
  std::int64_t synchronisations =
      0;                         // calls after which the host has waited for the device, see below
  std::int64_t mallocs = 0;      // device allocations
  std::int64_t bytes_live = 0;   // device bytes now allocated; reset() leaves it
  std::int64_t bytes_peak = 0;   // the most that bytes_live was since reset()
  std::int64_t pinned_live = 0;  // pinned bytes of the host now allocated; reset() leaves it
};

// Synchronisations are cudaDeviceSynchronize, cudaStreamSynchronize, cudaEventSynchronize, cudaMemcpy, cudaFree and
// cudaFreeHost, and a cudaMemcpyAsync from the device into memory that is not pinned, which waits on a real device.
Counters counters();
void reset();

// The bytes that the device has (1 GiB at first); an allocation beyond them is cudaErrorMemoryAllocation.
void limit_memory(std::size_t bytes);

// Starts the order of blocks and threads anew. The first seed is EBB_EMULATION_SEED, else 1.
void seed(std::uint64_t value);

// Streams run their work when somebody waits for it, or when the seed says so, rather than at once. At first so where
// EBB_EMULATION_STREAMS is "late".
void run_late(bool on);

}  // namespace ebb::emulation
