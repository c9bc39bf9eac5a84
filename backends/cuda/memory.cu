#include "ebb/backends/cuda/memory.h"

#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

#if defined(EBB_CUDA_EMULATION)  // exact allocations by default
const bool cached = std::getenv("EBB_EMULATION_CACHE") != nullptr;
#else
constexpr bool cached = true;
#endif

using FreeLists = std::unordered_map<size_t, std::vector<void*>>;

// Four sizes per power of two, so that a block fits other tensors of about its size. At most a
// fifth is wasted.
size_t rounded(size_t bytes) {
  if (!cached) return bytes ? bytes : 1;
  if (bytes <= 512) return 512;
  const size_t step = size_t{1} << (std::bit_width(bytes - 1) - 3);
  return (bytes + step - 1) / step * step;
}

struct State {
  std::mutex mutex;
  FreeLists free;
  // Blocks of pools that are in use.
  std::unordered_map<void*, std::shared_ptr<CapturePool::Blocks>> captured;
  std::unordered_map<const void*, UploadBlock> uploads;  // in use
  std::unordered_map<size_t, std::vector<UploadBlock>> free_uploads;
  // Freed in a capture, and not reusable before it ends.
  std::vector<std::pair<size_t, UploadBlock>> late_uploads;
  MemoryStats stats;
};

// Never destroyed, because static tensors are destroyed last.
State& state() {
  static State* instance = new State;
  return *instance;
}

void* take(FreeLists& lists, size_t bytes) {
  const auto found = lists.find(bytes);
  if (found == lists.end() || found->second.empty()) return nullptr;
  void* block = found->second.back();
  found->second.pop_back();
  return block;
}

// Caches a block for a later tensor. Returns false if there is no host memory for the entry. The
// block is then returned to the device, or is never reused if a graph may still write to it.
bool keep(FreeLists& lists, size_t bytes, void* block, bool in_graph) noexcept {
  try {
    lists[bytes].push_back(block);
    return true;
  } catch (const std::bad_alloc&) {
    if (!in_graph) cudaFree(block);
    return false;
  }
}

void release(FreeLists& lists) {
  for (auto& [bytes, blocks] : lists) {
    for (void* block : blocks) cudaFree(block);
  }
  lists.clear();
}

void release(const UploadBlock& block) {
  if (block.ready) cudaEventDestroy(block.ready);
  if (block.free) cudaEventDestroy(block.free);
  cudaFreeHost(block.pinned);
  cudaFree(block.data);
}

bool is_capturing() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(context().stream, &status) == cudaSuccess &&
         status != cudaStreamCaptureStatusNone;
}

// In a capture the event would belong to the graph, and an upload that waits on it would join the
// capture.
void give_back(State& s, size_t bytes, const UploadBlock& block) noexcept {
  try {
    if (is_capturing()) {
      s.late_uploads.emplace_back(bytes, block);
      return;
    }
    s.free_uploads[bytes].push_back(block);
    cudaEventRecord(block.free, context().stream);
    s.stats.cached_bytes += static_cast<int64_t>(bytes);
  } catch (const std::bad_alloc&) {  // no host memory for the entry
    release(block);
  }
}

void give_back_late(State& s) {
  for (const auto& [bytes, block] : std::exchange(s.late_uploads, {})) give_back(s, bytes, block);
}

// Returns blocks that are not in use to the device. cudaFree waits for work that may still use
// them.
void release_cache(State& s) {
  give_back_late(s);
  release(s.free);
  s.stats.cached_bytes = 0;
  for (auto& [bytes, blocks] : s.free_uploads) {
    for (const UploadBlock& block : blocks) release(block);
  }
  s.free_uploads.clear();
}

// Allocates from the device. If that fails, it frees the cache and tries again.
void* device_allocate(State& s, size_t bytes) {
  void* block = nullptr;
  if (cudaMalloc(&block, bytes) == cudaSuccess) return block;
  cudaGetLastError();  // clears the error
  release_cache(s);
  const cudaError_t status = cudaMalloc(&block, bytes);
  if (status == cudaSuccess) return block;
  cudaGetLastError();
  if (status != cudaErrorMemoryAllocation) check(status, "cudaMalloc");
  size_t free_bytes = 0, total = 0;
  cudaMemGetInfo(&free_bytes, &total);
  fail("cuda", "out of memory: asked for ", bytes, " bytes; tensors hold ", s.stats.current_bytes,
       " bytes (at most ", s.stats.peak_bytes, " so far), the device has ", free_bytes, " of ",
       total, " bytes free");
}

void count(State& s, size_t bytes) {
  s.stats.current_bytes += static_cast<int64_t>(bytes);
  s.stats.peak_bytes = std::max(s.stats.peak_bytes, s.stats.current_bytes);
}

}  // namespace

struct CapturePool::Blocks {
  FreeLists free;
  ~Blocks() { release(free); }
};

namespace {
thread_local std::shared_ptr<CapturePool::Blocks> active_pool;
thread_local UploadScope* active_upload = nullptr;

UploadBlock take_upload(State& s, size_t bytes) {
  give_back_late(s);
  if (std::vector<UploadBlock>& kept = s.free_uploads[bytes]; !kept.empty()) {
    const UploadBlock block = kept.back();
    kept.pop_back();
    s.stats.cached_bytes -= static_cast<int64_t>(bytes);
    return block;
  }
  UploadBlock block{};
  try {
    block.data = device_allocate(s, bytes);
    if (cudaHostAlloc(&block.pinned, bytes, cudaHostAllocDefault) != cudaSuccess) {
      cudaGetLastError();  // clears it
      release_cache(s);    // with the pinned memory of other uploads
      check(cudaHostAlloc(&block.pinned, bytes, cudaHostAllocDefault), "cudaHostAlloc");
    }
    check(cudaEventCreateWithFlags(&block.free, cudaEventDisableTiming), "cudaEventCreate");
    check(cudaEventCreateWithFlags(&block.ready, cudaEventDisableTiming), "cudaEventCreate");
  } catch (...) {
    release(block);
    throw;
  }
  return block;
}
}  // namespace

namespace {
// Adds a block to a list of blocks in use. Throws Error if there is no memory for that.
template <class List, class Value> void hand_out(List& list, void* block, const Value& value) {
  try {
    list.emplace(block, value);
  } catch (const std::bad_alloc&) {
    fail("memory", "out of memory: the system has none left");
  }
}
}  // namespace

void* allocate(size_t bytes) {
  context();
  const size_t size = rounded(bytes);
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (active_upload) {
    active_upload->block = take_upload(s, size);
    hand_out(s.uploads, active_upload->block.data, active_upload->block);
    count(s, size);
    return active_upload->block.data;
  }
  void* block = cached ? take(active_pool ? active_pool->free : s.free, size) : nullptr;
  if (!block) block = device_allocate(s, size);
  else if (!active_pool) s.stats.cached_bytes -= static_cast<int64_t>(size);
  if (active_pool) hand_out(s.captured, block, active_pool);
  count(s, size);
  return block;
}

void deallocate(void* block, size_t bytes) noexcept {
  if (!block) return;
  const size_t size = rounded(bytes);
  State& s = state();
  std::shared_ptr<CapturePool::Blocks> last;  // is destroyed after the lock
  const std::lock_guard lock(s.mutex);
  s.stats.current_bytes -= static_cast<int64_t>(size);
  if (const auto found = s.captured.find(block); found != s.captured.end()) {
    last = std::move(found->second);
    s.captured.erase(found);
    keep(last->free, size, block, true);
    return;
  }
  if (const auto found = s.uploads.find(block); found != s.uploads.end()) {
    give_back(s, size, found->second);
    s.uploads.erase(found);
    return;
  }
  if (active_pool) {  // the recorded step may use it
    keep(active_pool->free, size, block, true);
    return;
  }
  if (!cached) {
    cudaFree(block);
    return;
  }
  if (keep(s.free, size, block, false)) s.stats.cached_bytes += static_cast<int64_t>(size);
}

UploadScope::UploadScope() { active_upload = this; }
UploadScope::~UploadScope() { active_upload = nullptr; }

cudaEvent_t upload_event(const void* data) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto found = s.uploads.find(data);
  return found == s.uploads.end() ? nullptr : found->second.ready;
}

void begin_capture() {
  const std::lock_guard lock(state().mutex);
  check(cudaStreamBeginCapture(context().stream, cudaStreamCaptureModeRelaxed), "begin capture");
}

CapturePool::CapturePool() : blocks_(std::make_shared<Blocks>()) {}
CapturePool::~CapturePool() = default;
CapturePool::Scope::Scope(CapturePool& pool) { active_pool = pool.blocks_; }
CapturePool::Scope::~Scope() { active_pool.reset(); }
CapturePool::Pause::Pause() : active_(std::move(active_pool)) {}
CapturePool::Pause::~Pause() { active_pool = std::move(active_); }

MemoryStats memory_stats() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  size_t free_bytes = 0, total = 0;
  check(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
  s.stats.available_bytes = static_cast<int64_t>(free_bytes) + s.stats.cached_bytes;
  return s.stats;
}

void reset_peak_memory() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.stats.peak_bytes = s.stats.current_bytes;
}

void empty_cache() {
  synchronize();
  State& s = state();
  const std::lock_guard lock(s.mutex);
  release_cache(s);
}

}  // namespace ebb::cuda
