// What the parts of the emulation share. Nobody outside this folder includes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "cuda_runtime.h"

namespace ebb::emulation {

using Work = std::function<void()>;

// A mistake that a real device answers with undefined behaviour: says it and aborts.
[[noreturn, gnu::format(printf, 1, 2)]] void die(const char* format, ...);

// Remembers an error as the calling thread's last one, and gives it back.
cudaError_t note(cudaError_t error);

// Runs the work now or later (queue.h), or records it where the stream captures. It is not run under a lock.
cudaError_t submit(cudaStream_t stream, Work work);

// Runs what the stream, or all of them, has yet to run.
void finish(cudaStream_t stream);
void finish_all();

// Does this once all work that was submitted so far has run: now, unless streams run late.
void after_all(Work work);

// EBB_EMULATION_SEED, else 1.
std::uint64_t first_seed();

// For calls that a capture forbids (allocations and the like): where one does, it is invalidated and the error given.
cudaError_t unsafe_call();

// Whether the stream captures now; false for a handle that is none.
bool is_capturing(cudaStream_t stream);

// Runs every block of the grid, one after the other in a shuffled order (block.cpp).
void run_grid(dim3 grid, dim3 block, const void* kernel, const Work& body);

// Fills the shared memory of every kernel with 0xff, as if another block had used it (shared_memory.cpp).
void forget_shared_memory();

// The device allocation or pinned memory around `pointer`, as far as it reaches from there; 0 bytes: neither.
struct Reach {
  std::size_t bytes = 0;
  bool device = false;
};
Reach reach(const void* pointer);

struct Tally {
  std::atomic<std::int64_t> launches{0}, matmuls{0}, copies{0}, graph_launches{0},
      synchronisations{0}, mallocs{0};
};
Tally& tally();

}  // namespace ebb::emulation
