#include "ebb/core/storage.h"

#include <new>

#include "ebb/core/backend.h"
#include "ebb/core/memory.h"

namespace ebb {
namespace {
// On the host the header and the bytes are one block: one allocation a tensor less.
constexpr size_t kHeader = 64;
static_assert(sizeof(Storage) <= kHeader);
}  // namespace

Ref<Storage> Storage::create(size_t bytes, Device device) {
  if (device.type == DeviceType::CPU) {
    auto* block = static_cast<std::byte*>(memory::allocate(kHeader + bytes));
    return Ref<Storage>::adopt(new (block) Storage(block + kHeader, bytes, device));
  }
  void* header = memory::allocate(sizeof(Storage));
  try {
    auto* data = static_cast<std::byte*>(backend(device).allocate(bytes));
    return Ref<Storage>::adopt(new (header) Storage(data, bytes, device));
  } catch (...) {
    memory::deallocate(header, sizeof(Storage));
    throw;
  }
}

Ref<Storage> Storage::adopt(std::byte* data, size_t bytes, Device device, void (*release)(void*),
                            void* owner) {
  void* header = memory::allocate(sizeof(Storage));
  return Ref<Storage>::adopt(new (header) Storage(data, bytes, device, release, owner));
}

void Storage::destroy(Storage* storage) noexcept {
  if (storage->release_) {
    storage->release_(storage->owner_);
    return memory::deallocate(storage, sizeof(Storage));
  }
  if (storage->device_.type == DeviceType::CPU)
    return memory::deallocate(storage, kHeader + storage->bytes_);
  backend(storage->device_).deallocate(storage->data_, storage->bytes_);
  memory::deallocate(storage, sizeof(Storage));
}

}  // namespace ebb
