// Memory of the host: an allocator with size classes, which does not call malloc in a warm program.
//
// Small blocks are in free lists of each thread, larger ones in a central list behind a mutex. If
// the list of a thread grows too long, because it frees blocks that a loader thread allocates, it
// moves some to the central list. Both are bounded. In builds with a sanitizer every block is a
// malloc of its exact size, so that no cache hides an overrun.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ebb::memory {

/// Returns storage of at least `bytes` bytes, aligned to 64. Never null. If the system has no
/// memory, it calls trim() and tries again, and throws Error if that fails.
void* allocate(size_t bytes);

/// Frees a block of allocate(bytes), with the same size. Any thread may call this.
void deallocate(void* block, size_t bytes) noexcept;

struct Stats {
  int64_t live_bytes = 0;    ///< in use
  int64_t cached_bytes = 0;  ///< in the central list, for later allocations
  int64_t system_calls = 0;  ///< calls of the system's malloc since the start
};
Stats stats();

/// Returns the blocks of the central list and of the calling thread to the system.
void trim();

}  // namespace ebb::memory
