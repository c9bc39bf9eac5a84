// Properties of the device, names of errors, and launches.
#include <algorithm>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "emulation.h"
#include "runtime.h"

namespace ebb::emulation {
namespace {

constexpr int kThreadsPerBlock = 1024, kThreadsPerMultiprocessor = 2048;
thread_local cudaError_t last_error = cudaSuccess;

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
};

// Returns EBB_EMULATION_MULTIPROCESSORS or 2. The number of blocks depends on it.
int multiprocessors() {
  const char* text = std::getenv("EBB_EMULATION_MULTIPROCESSORS");
  return text != nullptr ? std::max(std::atoi(text), 1) : 2;
}

const ErrorText* find(cudaError_t error) {
  const auto* found = std::find_if(std::begin(kErrors), std::end(kErrors),
                                   [=](auto& e) { return e.error == error; });
  return found == std::end(kErrors) ? nullptr : found;
}

bool launchable(const cudaLaunchConfig_t& c) {
  const auto between = [](unsigned n, unsigned most) { return n >= 1 && n <= most; };
  return between(c.gridDim.x, INT_MAX) && between(c.gridDim.y, 65535) &&
         between(c.gridDim.z, 65535) && between(c.blockDim.x, kThreadsPerBlock) &&
         between(c.blockDim.y, kThreadsPerBlock) && between(c.blockDim.z, 64) &&
         c.blockDim.x * c.blockDim.y * c.blockDim.z <= kThreadsPerBlock;
}

}  // namespace

void die(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::fputs("[cuda emulation] ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputs("\n", stderr);
  va_end(arguments);
  std::abort();
}

cudaError_t note(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

Tally& tally() {
  static Tally tally;
  return tally;
}

namespace {
// Dynamic shared memory: what a kernel with 2 KB of static memory has of 48 KB, unless
// cudaFuncSetAttribute allows more.
constexpr int kSharedBytes = 46 * 1024, kMostSharedBytes = 227 * 1024;
std::mutex shared_mutex;
std::map<const void*, std::size_t> shared_bytes_of;

std::size_t allowed_shared_bytes(const void* kernel) {
  const std::lock_guard lock(shared_mutex);
  const auto found = shared_bytes_of.find(kernel);
  return found == shared_bytes_of.end() ? kSharedBytes : found->second;
}

std::int64_t threads_that_waited = 0;  // of the kernel that runs, for the kernels before it
}  // namespace

void await_previous_kernels() { ++threads_that_waited; }

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, Work body) {
  const bool early = config.numAttrs != 0;
  if (early && (config.numAttrs > 1 ||
                config.attrs->id != cudaLaunchAttributeProgrammaticStreamSerialization))
    die("launch attributes other than programmatic launch are not emulated");
  if (!launchable(config)) return note(cudaErrorInvalidConfiguration);
  if (config.dynamicSmemBytes > allowed_shared_bytes(kernel)) return note(cudaErrorInvalidValue);
  const cudaError_t error = submit(config.stream, [grid = config.gridDim, block = config.blockDim,
                                                   shared_bytes = config.dynamicSmemBytes, kernel,
                                                   early, body = std::move(body)] {
    threads_that_waited = 0;
    run_grid(grid, block, shared_bytes, kernel, body);
    const auto threads = std::int64_t{grid.x} * grid.y * grid.z * block.x * block.y * block.z;
    if (early && threads_that_waited < threads)
      die("a kernel that starts early ended without cudaGridDependencySynchronize in every "
          "thread");
  });
  if (error == cudaSuccess) ++tally().launches;
  return error;
}

}  // namespace ebb::emulation

using namespace ebb::emulation;

const char* cudaGetErrorName(cudaError_t error) {
  const auto* found = find(error);
  return found ? found->name : "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  const auto* found = find(error);
  return found ? found->text : "unrecognized error code";
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  if (value < 0 || value > kMostSharedBytes) return note(cudaErrorInvalidValue);
  const std::lock_guard lock(shared_mutex);
  shared_bytes_of[kernel] = static_cast<std::size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return note(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return note(cudaErrorInvalidDevice);
  *properties = cudaDeviceProp{
      .name = "emulated",
      .totalGlobalMem = 0,
      .sharedMemPerBlock = 48 << 10,
      .totalConstMem = 64 << 10,
      .sharedMemPerMultiprocessor = 64 << 10,
      .sharedMemPerBlockOptin = 48 << 10,
      .regsPerBlock = 65536,
      .regsPerMultiprocessor = 65536,
      .warpSize = warpSize,
      .maxThreadsPerBlock = kThreadsPerBlock,
      .maxThreadsDim = {kThreadsPerBlock, kThreadsPerBlock, 64},
      .maxGridSize = {INT_MAX, 65535, 65535},
      .major = 9,
      .minor = 0,
      .multiProcessorCount = multiprocessors(),
      .maxThreadsPerMultiProcessor = kThreadsPerMultiprocessor,
      .maxBlocksPerMultiProcessor = 32,
      .l2CacheSize = 1 << 20,
      .memoryBusWidth = 64,
      .asyncEngineCount = 1,
      .unifiedAddressing = 1,
      .canMapHostMemory = 1,
      .concurrentKernels = 1,
      .ECCEnabled = 0,
      .integrated = 0,
      .memoryPoolsSupported = 1,
  };
  std::size_t free = 0;
  return cudaMemGetInfo(&free, &properties->totalGlobalMem);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess)
    return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = properties.maxThreadsPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(properties.sharedMemPerBlock);
      break;
    case cudaDevAttrWarpSize: *value = properties.warpSize; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrL2CacheSize: *value = properties.l2CacheSize; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = properties.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = kMostSharedBytes; break;
    case cudaDevAttrMemoryPoolsSupported: *value = properties.memoryPoolsSupported; break;
    default: return note(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  attributes->maxThreadsPerBlock = kThreadsPerBlock;
  attributes->numRegs = 32;
  attributes->ptxVersion = attributes->binaryVersion = 90;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int block_size,
                                                          std::size_t) {
  if (block_size < 1 || block_size > kThreadsPerBlock) return note(cudaErrorInvalidValue);
  *blocks = std::min(kThreadsPerMultiprocessor / block_size, 32);
  return cudaSuccess;
}
