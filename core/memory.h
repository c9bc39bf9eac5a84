// Memory of the host: a size-class allocator that never returns to malloc once a program has warmed up.
//
// Small blocks lie in free lists of the thread, larger ones in a central list behind a mutex; a thread's list that
// grows too long (a loader thread makes what another thread frees) spills into the central one. Both are bounded.
// Built with a sanitizer, every block is its own exact malloc, so that no cache hides an overrun.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ebb::memory {

/// Returns storage of at least `bytes` bytes, aligned to 64; never null. When the system has no more, calls trim() and
/// tries once more. Throws Error when that does not help.
void* allocate(size_t bytes);

/// Gives back what allocate(bytes) returned, with the same size. Any thread may do so.
void deallocate(void* block, size_t bytes) noexcept;

struct Stats {
  int64_t live_bytes = 0;    ///< handed out now
  int64_t cached_bytes = 0;  ///< kept for the next allocation, in the central list
  int64_t system_calls = 0;  ///< times that the system's malloc was asked since the start
};
Stats stats();

/// Returns the blocks of the central list and of the calling thread to the system.
void trim();

}  // namespace ebb::memory
