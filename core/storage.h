// Storage: a block of bytes on a device, shared by the tensors that view it.
//
// The version counts all writes, through any view. A graph node that has saved a tensor compares
// the version before it uses the tensor. Thread-safety: any thread may add and drop owners. Writing
// during a read is not safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ebb/core/device.h"
#include "ebb/core/ref.h"

namespace ebb {

class Storage {
 public:
  /// Allocates uninitialized bytes on a device. Throws Error if the device has too little memory or
  /// is not built in.
  static Ref<Storage> create(size_t bytes, Device device);
  /// Adopts bytes that others own, and calls release(owner) once, when the last tensor that views
  /// them is gone. Throws Error, without calling it, if there is not enough memory for a Storage.
  static Ref<Storage> adopt(std::byte* data, size_t bytes, Device device,
                            void (*release)(void* owner), void* owner);

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }
  bool unique() const { return count_.unique(); }

  void retain() { count_.retain(); }
  void release() {
    if (count_.release()) destroy(this);
  }

 private:
  Storage(std::byte* data, size_t bytes, Device device, void (*release)(void*) = nullptr,
          void* owner = nullptr)
      : data_(data), bytes_(bytes), release_(release), owner_(owner), device_(device) {}
  ~Storage() = default;
  static void destroy(Storage* storage) noexcept;

  RefCount count_;
  std::atomic<uint32_t> version_{0};
  std::byte* data_;
  size_t bytes_;
  void (*release_)(void*);  // null if the bytes are its own
  void* owner_;
  Device device_;
};

}  // namespace ebb
