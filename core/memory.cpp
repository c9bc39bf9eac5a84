#include "ebb/core/memory.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

#include "ebb/core/error.h"

namespace ebb::memory {
namespace {

#if defined(__has_feature)  // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define EBB_HAS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(EBB_HAS_SANITIZER)
constexpr bool kCached = false;
#else
constexpr bool kCached = true;
#endif

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{1} << 21;         // the usual size of huge pages
constexpr size_t kSmall = size_t{1} << 16;            // largest block in the lists of a thread
constexpr int kThreadBlocks = 64;                     // per class and thread
constexpr int64_t kCentralFloor = int64_t{64} << 20;  // the central list can always keep this much

// Four classes per power of two, so at most a fifth of a block is wasted.
struct SizeClass {
  int index;
  size_t bytes;
};

SizeClass size_class(size_t bytes) {
  if (bytes <= 64) return {0, 64};
  const size_t units = (bytes + 63) / 64;  // >= 2
  if (units <= 8) return {static_cast<int>(units) - 1, units * 64};
  const int power = std::bit_width(units - 1) - 1;  // 2^power < units <= 2^(power + 1)
  const size_t step = size_t{1} << (power - 2);
  const size_t rounded = (units + step - 1) / step * step;
  const size_t quarter = (rounded - (size_t{1} << power)) / step;  // 1..4
  return {8 + (power - 3) * 4 + static_cast<int>(quarter) - 1, rounded * 64};
}

constexpr int kClasses = 8 + 4 * 58;

/// Returns the block size of a class, as size_class() returns it with the index.
int64_t bytes_of_class(int index) {
  if (index < 8) return (index + 1) * 64;
  const int power = (index - 8) / 4 + 3, quarter = (index - 8) % 4 + 1;
  return ((int64_t{1} << power) + quarter * (int64_t{1} << (power - 2))) * 64;
}

struct FreeBlock {
  FreeBlock* next;
};

std::atomic<int64_t> system_calls{0};
std::atomic<int64_t> large_live{0};

// Returns memory of the system, or null if it has none.
//
// Large blocks use huge pages. Loops over them run up to a third faster, because few pages are
// looked up and prefetching does not end every 4 KB. The rest after the last whole huge page keeps
// small pages, so that little memory is unused.
void* system_allocate(size_t bytes) {
  system_calls.fetch_add(1, std::memory_order_relaxed);
  const bool large = bytes >= 2 * kHugePage;
  const size_t alignment = large ? kHugePage : kAlignment;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#ifdef MADV_HUGEPAGE
  if (large && block) madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return block;
}

// Created at the start, because memory is exhausted when it is needed. Copying it allocates
// nothing.
const Error& out_of_memory() {
  static const Error error("[memory] out of memory");
  return error;
}

[[noreturn]] void refuse(size_t bytes) {
  try {
    fail("memory", "out of memory: the system has no ", bytes, " bytes");
  } catch (const std::bad_alloc&) {
    throw Error(out_of_memory());
  }
}

// A list of free blocks that is stored in the blocks themselves, so freeing a block needs no
// memory.
class FreeList {
 public:
  bool empty() const { return !head_; }
  void push(void* block) { head_ = new (block) FreeBlock{head_}; }
  void* pop() {
    FreeBlock* block = head_;
    head_ = block->next;
    return block;
  }

 private:
  FreeBlock* head_ = nullptr;
};

// The list of all threads. Never destroyed, because threads and static objects may free memory
// last.
class Central {
 public:
  Central() { out_of_memory(); }

  void* take(const SizeClass& c) {
    std::lock_guard lock(mutex_);
    FreeList& list = lists_[c.index];
    if (list.empty()) return nullptr;
    cached_ -= static_cast<int64_t>(c.bytes);
    return list.pop();
  }

  void put(void* block, const SizeClass& c) {
    {
      std::lock_guard lock(mutex_);
      peak_ = std::max(peak_, large_live.load(std::memory_order_relaxed));
      if (make_room(c, std::max(kCentralFloor, peak_) - static_cast<int64_t>(c.bytes))) {
        lists_[c.index].push(block);
        cached_ += static_cast<int64_t>(c.bytes);
        return;
      }
    }
    std::free(block);
  }

  void trim() {
    std::lock_guard lock(mutex_);
    for (FreeList& list : lists_) {
      while (!list.empty()) std::free(list.pop());
    }
    cached_ = 0;
  }

  // fork() waits until no thread uses the list, so that it is consistent and unlocked in the child.
  void before_fork() { mutex_.lock(); }
  void after_fork() { mutex_.unlock(); }

  int64_t cached() {
    std::lock_guard lock(mutex_);
    return cached_;
  }

 private:
  // Frees blocks of other classes until at most `limit` bytes are cached: what is freed now is more
  // likely to be asked for again than what has been lying here. False when that does not suffice.
  bool make_room(const SizeClass& c, int64_t limit) {
    for (int i = kClasses - 1; i >= 0 && cached_ > limit; --i) {
      if (i == c.index) continue;
      while (cached_ > limit && !lists_[i].empty()) {
        std::free(lists_[i].pop());
        cached_ -= bytes_of_class(i);
      }
    }
    return cached_ <= limit;
  }

  std::mutex mutex_;
  FreeList lists_[kClasses];
  int64_t cached_ = 0;
  int64_t peak_ = 0;  // largest number of bytes in use in large blocks
};

Central& central() {
  static Central* instance = [] {
    alignas(Central) static std::byte place[sizeof(Central)];
    auto* made = new (place) Central;
    pthread_atfork([] { central().before_fork(); }, [] { central().after_fork(); },
                   [] { central().after_fork(); });
    return made;
  }();
  return *instance;
}

// Made before main(): a fork() while another thread makes it would leave the child waiting for
// ever.
[[maybe_unused]] const Central& made_early = central();

// A block of a class that no list has, from the system; once more after the lists have been given
// back to it.
void* new_block(const SizeClass& c) {
  void* block = system_allocate(c.bytes);
  if (!block) {
    trim();
    block = system_allocate(c.bytes);
  }
  if (!block) refuse(c.bytes);
  return block;
}

// The free lists of one thread, constant-initialized and trivially destroyed, so that reaching them
// costs one instruction and they outlive every other object of the thread. A separate object hands
// them back at thread exit.
struct ThreadLists {
  FreeBlock* head[64];
  int count[64];
  int64_t live;
  bool armed;
  bool closed;
};
constinit thread_local ThreadLists lists{};
std::atomic<int64_t> finished_threads_live{0};

struct ThreadExit {
  ~ThreadExit() {
    lists.closed = true;
    for (int i = 0; i < 64; ++i) {
      while (FreeBlock* block = lists.head[i]) {
        lists.head[i] = block->next;
        std::free(block);
      }
      lists.count[i] = 0;
    }
    finished_threads_live.fetch_add(lists.live, std::memory_order_relaxed);
    lists.live = 0;
  }
};

void arm_thread_exit() {
  static thread_local ThreadExit at_exit;
  (void)at_exit;
  lists.armed = true;
}

// Counts bytes of a thread whose own count has been added to the total already.
void count_late(int64_t bytes) {
  lists.live -= bytes;
  finished_threads_live.fetch_add(bytes, std::memory_order_relaxed);
}

void* allocate_small(const SizeClass& c) {
  if (FreeBlock* block = lists.head[c.index]) {
    lists.head[c.index] = block->next;
    --lists.count[c.index];
    return block;
  }
  if (!lists.armed) arm_thread_exit();  // also for threads that only allocate
  void* block = central().take(c);
  if (!block) block = new_block(c);
  if (lists.closed) count_late(static_cast<int64_t>(c.bytes));
  return block;
}

void deallocate_small(void* block, const SizeClass& c) {
  if (lists.closed) {
    count_late(-static_cast<int64_t>(c.bytes));
    return central().put(block, c);
  }
  if (!lists.armed) arm_thread_exit();
  // Moves half of a full list, so that there is room for the next blocks.
  if (lists.count[c.index] == kThreadBlocks) {
    for (int i = 0; i < kThreadBlocks / 2; ++i) {
      FreeBlock* spilled = lists.head[c.index];
      lists.head[c.index] = spilled->next;
      central().put(spilled, c);
    }
    lists.count[c.index] -= kThreadBlocks / 2;
  }
  auto* free_block = static_cast<FreeBlock*>(block);
  free_block->next = lists.head[c.index];
  lists.head[c.index] = free_block;
  ++lists.count[c.index];
}

}  // namespace

void* allocate(size_t bytes) {
  if constexpr (!kCached) {
    large_live.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
    void* block = nullptr;
    system_calls.fetch_add(1, std::memory_order_relaxed);
    if (posix_memalign(&block, kAlignment, bytes ? bytes : 1) != 0) {
      large_live.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
      refuse(bytes);
    }
    return block;
  }
  if (bytes > (size_t{1} << 46)) fail("memory", "out of memory: asked for ", bytes, " bytes");
  const SizeClass c = size_class(bytes);
  if (c.bytes <= kSmall) {
    void* block = allocate_small(c);
    lists.live += static_cast<int64_t>(c.bytes);
    return block;
  }
  void* block = central().take(c);
  if (!block) block = new_block(c);
  large_live.fetch_add(static_cast<int64_t>(c.bytes), std::memory_order_relaxed);
  return block;
}

void deallocate(void* block, size_t bytes) noexcept {
  if (!block) return;
  if constexpr (!kCached) {
    large_live.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
    std::free(block);
    return;
  }
  const SizeClass c = size_class(bytes);
  if (c.bytes <= kSmall) {
    lists.live -= static_cast<int64_t>(c.bytes);
    deallocate_small(block, c);
    return;
  }
  central().put(block, c);
  large_live.fetch_sub(static_cast<int64_t>(c.bytes), std::memory_order_relaxed);
}

Stats stats() {
  Stats s;
  s.live_bytes = large_live.load() + finished_threads_live.load() + lists.live;
  s.cached_bytes = central().cached();
  s.system_calls = system_calls.load();
  return s;
}

void trim() {
  central().trim();
  for (int i = 0; i < 64; ++i) {
    while (FreeBlock* block = lists.head[i]) {
      lists.head[i] = block->next;
      std::free(block);
    }
    lists.count[i] = 0;
  }
#if defined(__GLIBC__)
  malloc_trim(0);  // the free memory of the heap
#endif
}

}  // namespace ebb::memory
