// Device memory is host memory with the exact size of the allocation, so that AddressSanitizer
// detects every access beyond it. It is filled with 0xff, which is NaN in any float format and -1
// in any integer.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "emulation.h"
#include "runtime.h"

namespace ebb::emulation {
namespace {

struct Allocation {
  std::size_t bytes;
  bool device;
  bool given_back = false;  // but pending work may still use it
};

struct Memory {
  std::mutex mutex;
  std::map<std::uintptr_t, Allocation> allocations;  // by address; device and pinned memory
  std::size_t limit = std::size_t{1} << 30, live = 0, peak = 0, pinned = 0;
};

// Never destroyed, like a real device.
Memory& memory() {
  static Memory& memory = *new Memory;
  return memory;
}

cudaError_t allocate(void** pointer, std::size_t bytes, bool device) {
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (device && bytes > m.limit - std::min(m.limit, m.live)) return note(cudaErrorMemoryAllocation);
  if (posix_memalign(pointer, 256, bytes) != 0) return note(cudaErrorMemoryAllocation);
  std::memset(*pointer, 0xff, bytes);
  m.allocations[reinterpret_cast<std::uintptr_t>(*pointer)] = {.bytes = bytes, .device = device};
  if (device) {
    m.peak = std::max(m.peak, m.live += bytes);
    ++tally().mallocs;
  } else {
    m.pinned += bytes;
  }
  return cudaSuccess;
}

// A real device makes the host wait for work that may use the memory. Here the memory is freed
// later instead.
cudaError_t release(void* pointer, bool device) {
  if (pointer == nullptr) return cudaSuccess;
  Memory& m = memory();
  {
    const std::lock_guard lock(m.mutex);
    const auto found = m.allocations.find(reinterpret_cast<std::uintptr_t>(pointer));
    if (found == m.allocations.end() || found->second.device != device ||
        found->second.given_back) {
      return note(cudaErrorInvalidValue);
    }
    (device ? m.live : m.pinned) -= found->second.bytes;
    found->second.given_back = true;
  }
  after_all([pointer] {
    const std::lock_guard lock(memory().mutex);
    memory().allocations.erase(reinterpret_cast<std::uintptr_t>(pointer));
    std::free(pointer);
  });
  return cudaSuccess;
}

// Aborts unless [pointer, pointer + bytes) is memory of the kind that `call` expects.
void expect(bool device, const char* call, const char* role, const void* pointer,
            std::size_t bytes) {
  const Reach r = reach(pointer);
  if (device && !r.device) die("%s: %s %p is no device memory", call, role, pointer);
  if (!device && r.device) die("%s: %s %p is device memory", call, role, pointer);
  if (r.bytes != 0 && bytes > r.bytes) {
    die("%s: %zu bytes at %s %p, where the allocation has only %zu", call, bytes, role, pointer,
        r.bytes);
  }
}

void copy(const char* call, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return;
  const bool any = kind == cudaMemcpyDefault;
  const bool to_device =
      any ? reach(to).device : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device =
      any ? reach(from).device : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  expect(to_device, call, "the destination", to, bytes);
  expect(from_device, call, "the source", from, bytes);
  std::memmove(to, from, bytes);
}

bool known(cudaMemcpyKind kind) {
  return kind >= cudaMemcpyHostToHost && kind <= cudaMemcpyDefault;
}

}  // namespace

Reach reach(const void* pointer) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  auto found = m.allocations.upper_bound(address);
  if (found == m.allocations.begin()) return {};
  --found;
  const std::size_t offset = address - found->first;
  if (offset >= found->second.bytes) return {};
  return {found->second.bytes - offset, found->second.device};
}

void limit_memory(std::size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  memory().limit = bytes;
}

Counters counters() {
  const Tally& t = tally();
  const std::lock_guard lock(memory().mutex);
  return {.launches = t.launches,
          .matmuls = t.matmuls,
          .convolutions = t.convolutions,
          .copies = t.copies,
          .graph_launches = t.graph_launches,
          .synchronizations = t.synchronizations,
          .mallocs = t.mallocs,
          .bytes_live = static_cast<std::int64_t>(memory().live),
          .bytes_peak = static_cast<std::int64_t>(memory().peak),
          .pinned_live = static_cast<std::int64_t>(memory().pinned)};
}

void reset() {
  Tally& t = tally();
  t.launches = t.matmuls = t.convolutions = t.copies = t.graph_launches = t.synchronizations =
      t.mallocs = 0;
  const std::lock_guard lock(memory().mutex);
  memory().peak = memory().live;
}

}  // namespace ebb::emulation

using namespace ebb::emulation;

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  if (const cudaError_t error = unsafe_call(); error != cudaSuccess) return error;
  return allocate(pointer, bytes, true);
}

cudaError_t cudaFree(void* pointer) {
  if (const cudaError_t error = unsafe_call(); error != cudaSuccess) return error;
  if (pointer != nullptr) ++tally().synchronizations;
  return release(pointer, true);
}

// In a capture these two would become nodes of the graph. This is not emulated.
cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  if (is_capturing(stream)) die("cudaMallocAsync on a capturing stream is not emulated");
  if (const cudaError_t error = submit(stream, [] {}); error != cudaSuccess) return error;
  return allocate(pointer, bytes, true);
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  if (is_capturing(stream)) die("cudaFreeAsync on a capturing stream is not emulated");
  if (const cudaError_t error = submit(stream, [] {}); error != cudaSuccess) return error;
  return release(pointer, true);
}

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  if (const cudaError_t error = unsafe_call(); error != cudaSuccess) return error;
  return allocate(pointer, bytes, false);
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes, unsigned flags) {
  return cudaHostAlloc(pointer, bytes, flags);
}

cudaError_t cudaFreeHost(void* pointer) {
  if (const cudaError_t error = unsafe_call(); error != cudaSuccess) return error;
  if (pointer != nullptr) ++tally().synchronizations;
  return release(pointer, false);
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  const Reach r = reach(host);
  if (r.bytes == 0 || r.device) return note(cudaErrorInvalidValue);
  *device = host;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(memory().mutex);
  *total = memory().limit;
  *free = memory().limit - std::min(memory().limit, memory().live);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (!known(kind)) return note(cudaErrorInvalidMemcpyDirection);
  if (const cudaError_t error = unsafe_call(); error != cudaSuccess) return error;
  ++tally().synchronizations;
  ++tally().copies;
  return submit(nullptr, [=] { copy("cudaMemcpy", to, from, bytes, kind); });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (!known(kind)) return note(cudaErrorInvalidMemcpyDirection);
  ++tally().copies;
  const bool recorded = is_capturing(stream), from_device = reach(from).device;
  // Pageable host memory is read at once.
  if (!recorded && !from_device && reach(from).bytes == 0 && reach(to).device) {
    const auto* first = static_cast<const std::byte*>(from);
    return submit(stream, [=, staged = std::vector<std::byte>(first, first + bytes)] {
      copy("cudaMemcpyAsync", to, staged.data(), bytes, kind);
    });
  }
  const cudaError_t error = submit(stream, [=] { copy("cudaMemcpyAsync", to, from, bytes, kind); });
  // A real device makes the host wait if it cannot write to the host memory itself.
  if (error == cudaSuccess && !recorded && from_device && reach(to).bytes == 0) {
    ++tally().synchronizations;
    finish(stream);
  }
  return error;
}

cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
  if (const cudaError_t error = unsafe_call(); error != cudaSuccess) return error;
  return cudaMemsetAsync(pointer, value, bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
  ++tally().copies;
  return submit(stream, [=] {
    if (bytes == 0) return;
    if (const Reach r = reach(pointer); bytes > r.bytes) {
      die("cudaMemsetAsync: %zu bytes at %p, where a device allocation has %zu", bytes, pointer,
          r.bytes);
    }
    std::memset(pointer, value, bytes);
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  if (device != 0) return note(cudaErrorInvalidDevice);
  *pool = reinterpret_cast<cudaMemPool_t>(&memory());
  return cudaSuccess;
}

// The pool keeps nothing: freed memory is returned whatever the threshold is.
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value) {
  const std::lock_guard lock(memory().mutex);
  switch (attribute) {
    case cudaMemPoolAttrReservedMemCurrent:
    case cudaMemPoolAttrUsedMemCurrent: *static_cast<std::uint64_t*>(value) = memory().live; break;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh: *static_cast<std::uint64_t*>(value) = memory().peak; break;
    default: return note(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}
