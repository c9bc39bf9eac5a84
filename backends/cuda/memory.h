// Memory of the device: blocks are kept by size and handed out again at once, since all work runs in one order.
//
// A step that is being captured takes its blocks from a pool of its own: the graph goes on writing to them for as long
// as it lives. In the emulation every tensor is its own exact allocation, so that no cache hides an overrun.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "ebb/core/cuda.h"

namespace ebb::cuda {

/// At least `bytes` bytes on the device, aligned to 256. Throws Error that states what is in use when there is no more.
void* allocate(size_t bytes);
/// Gives back what allocate(bytes) returned. Any thread may do so.
void deallocate(void* block, size_t bytes) noexcept;

/// Starts to record the stream instead of running it; no upload of another thread is being given back meanwhile.
void begin_capture();
/// The blocks of a captured step, and those that it frees while it is captured. They go back to the device when the
/// pool and all tensors in it are gone.
class CapturePool {
 public:
  struct Blocks;  ///< shared with the tensors that outlive the pool

  CapturePool();
  ~CapturePool();
  CapturePool(const CapturePool&) = delete;
  CapturePool& operator=(const CapturePool&) = delete;

  /// While one is alive, allocations of this thread come from the pool.
  class [[nodiscard]] Scope {
   public:
    [[nodiscard]] explicit Scope(CapturePool& pool);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  /// While one is alive, they do not: for what has to keep its value between launches. Blocks of the pool may have been
  /// other tensors before, which every launch writes again.
  class [[nodiscard]] Pause {
   public:
    [[nodiscard]] Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    std::shared_ptr<Blocks> active_;
  };

 private:
  std::shared_ptr<Blocks> blocks_;
};

/// A block that another stream fills from pinned memory of the host, its own.
struct UploadBlock {
  void* data;
  void* pinned;
  cudaEvent_t free;   ///< on the main stream: the last tensor that lay here is done with
  cudaEvent_t ready;  ///< on the other stream: the copy has arrived
};
/// While one is alive, allocations of this thread are upload blocks; the last one is `block`.
class [[nodiscard]] UploadScope {
 public:
  [[nodiscard]] UploadScope();
  ~UploadScope();
  UploadScope(const UploadScope&) = delete;
  UploadScope& operator=(const UploadScope&) = delete;

  UploadBlock block{};
};
/// When the block that begins at `data` was filled by an upload: the event to wait for; null else.
cudaEvent_t upload_event(const void* data);

}  // namespace ebb::cuda
