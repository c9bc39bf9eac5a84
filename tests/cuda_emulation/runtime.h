// Internal functions of the emulation. No file outside of this folder includes this header.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "cuda_runtime.h"

namespace ebb::emulation {

using Work = std::function<void()>;

// Prints a mistake that is undefined behavior on a real device, and aborts.
[[noreturn, gnu::format(printf, 1, 2)]] void die(const char* format, ...);

// Stores an error as the last one of the calling thread, and returns it.
cudaError_t note(cudaError_t error);

// Runs the work now or later (queue.h), or records it if the stream captures. It runs without a
// lock.
cudaError_t submit(cudaStream_t stream, Work work);

// Runs the pending work of the stream, or of all streams.
void finish(cudaStream_t stream);
void finish_all();

// Runs an action after all work that has been submitted: now, unless streams run late.
void after_all(Work work);

// Returns EBB_EMULATION_SEED or 1.
std::uint64_t first_seed();

// For calls that a capture forbids, such as allocations: invalidates the capture and returns the
// error.
cudaError_t unsafe_call();

// Returns true if the stream captures, and false for an invalid handle.
bool is_capturing(cudaStream_t stream);

// Runs every block of the grid, one after the other in a shuffled order (block.cpp).
// shared_bytes: the dynamic shared memory of a block.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, const void* kernel,
              const Work& body);

// Fills the shared memory of every kernel with 0xff, as if another block had used it
// (shared_memory.cpp).
void forget_shared_memory();
void resize_dynamic_shared_memory(std::size_t bytes);

// Returns the part of the device allocation or pinned memory that starts at `pointer`; 0 bytes if
// neither.
struct Reach {
  std::size_t bytes = 0;
  bool device = false;
};
Reach reach(const void* pointer);

struct Tally {
  std::atomic<std::int64_t> launches{0}, matmuls{0}, convolutions{0}, copies{0}, graph_launches{0},
      synchronizations{0}, mallocs{0};
};
Tally& tally();

}  // namespace ebb::emulation
