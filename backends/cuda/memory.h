// Memory of the device. Freed blocks are cached by size and can be reused at once, because all work
// runs in one order.
//
// A step that is being captured takes its blocks from its own pool, because the graph writes to
// them as long as it exists. In the emulation every tensor is an allocation of its exact size, so
// that no cache hides an overrun.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "ebb/core/cuda.h"

namespace ebb::cuda {

/// Returns at least `bytes` bytes on the device, aligned to 256. If there is not enough memory,
/// throws Error that states how much is in use.
void* allocate(size_t bytes);
/// Frees a block of allocate(bytes). Any thread may call this.
void deallocate(void* block, size_t bytes) noexcept;

/// Starts to record the stream instead of running it, at a time when no other thread frees an
/// upload.
void begin_capture();
/// The blocks of a captured step, with those that it frees while it is captured. They are returned
/// to the device when the pool and all its tensors are destroyed.
class CapturePool {
 public:
  struct Blocks;  ///< shared with tensors that outlive the pool

  CapturePool();
  ~CapturePool();
  CapturePool(const CapturePool&) = delete;
  CapturePool& operator=(const CapturePool&) = delete;

  /// A scope in which allocations of this thread come from the pool.
  class [[nodiscard]] Scope {
   public:
    [[nodiscard]] explicit Scope(CapturePool& pool);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  /// A scope in which they do not, for tensors that must keep their values between launches. Blocks
  /// of the pool are reused within a launch.
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

/// A block that another stream fills from its own pinned memory of the host.
struct UploadBlock {
  void* data;
  void* pinned;
  cudaEvent_t free;   ///< on the main stream: work with the last tensor in this block has ended
  cudaEvent_t ready;  ///< on the other stream: the copy is complete
};
/// A scope in which allocations of this thread are upload blocks. `block` is the last one.
class [[nodiscard]] UploadScope {
 public:
  [[nodiscard]] UploadScope();
  ~UploadScope();
  UploadScope(const UploadScope&) = delete;
  UploadScope& operator=(const UploadScope&) = delete;

  UploadBlock block{};
};
/// Returns the event to wait for if an upload fills the block at `data`, else null.
cudaEvent_t upload_event(const void* data);

}  // namespace ebb::cuda
