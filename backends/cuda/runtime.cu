#include "ebb/backends/cuda/runtime.h"

#include <atomic>

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/faults.h"
#include "ebb/core/cuda.h"

namespace ebb::cuda {
namespace {

std::atomic<int64_t> waits{0};

// Cleared on the stream of the kernels, which does not wait for the default stream.
template <class T> T* device_zeros(size_t count, cudaStream_t stream) {
  void* data = nullptr;
  check(cudaMalloc(&data, count * sizeof(T)), "cudaMalloc");
  check(cudaMemsetAsync(data, 0, count * sizeof(T), stream), "cudaMemset");
  return static_cast<T*>(data);
}

__global__ void probe_kernel() {}

// Programmatic dependent launch: compute capability 9, a driver that supports it in captures, and
// kernels that were compiled with the wait. Machine code that the driver makes of older PTX has
// none.
bool supports_early_launches() {
  int major = 0, driver = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0),
        "cudaDeviceGetAttribute");
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  cudaFuncAttributes compiled{};
  check(cudaFuncGetAttributes(&compiled, probe_kernel), "cudaFuncGetAttributes");
  return major >= 9 && driver >= 12030 && compiled.ptxVersion >= 90;
}

Context make_context() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();
    fail("cuda", "no device: ",
         status == cudaSuccess ? "the driver lists none" : cudaGetErrorString(status));
  }
  Context c{};
  check(cudaSetDevice(0), "cudaSetDevice");
  check(cudaDeviceGetAttribute(&c.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0),
        "cudaDeviceGetAttribute");
  c.shared_bytes -= 3072;
  check(cudaDeviceGetAttribute(&c.multiprocessors, cudaDevAttrMultiProcessorCount, 0),
        "cudaDeviceGetAttribute");
  c.overlaps = supports_early_launches();
  check(cudaStreamCreateWithFlags(&c.stream, cudaStreamNonBlocking), "cudaStreamCreate");
  c.partials = device_zeros<double>(kMaxPartials, c.stream);
  c.ticket = device_zeros<unsigned>(1, c.stream);
  c.tile_tickets = device_zeros<unsigned>(kMaxSplitTiles, c.stream);
  return c;
}

FaultNote make_fault_note() {
  void* fault = nullptr;
  check(cudaHostAlloc(&fault, sizeof(Fault), cudaHostAllocDefault), "cudaHostAlloc");
  *static_cast<Fault*>(fault) = {};
  return {static_cast<Fault*>(fault), device_zeros<int>(1, context().stream)};
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) [[likely]]
    return;
  cudaGetLastError();  // clears the error, so that the next call does not report it again
  fail("cuda", what, ": ", cudaGetErrorString(status));
}

Context& context() {
  static Context instance = make_context();
  return instance;
}

FaultNote fault_note() {
  context();
  static const FaultNote instance = make_fault_note();
  return instance;
}

void raise_fault() {
  const FaultNote where = fault_note();
  if (!where.fault->set) return;
  const Fault found = *where.fault;
  where.fault->set = 0;
  check(cudaMemsetAsync(where.taken, 0, sizeof(int), context().stream), "cudaMemset");
  const std::string_view op(found.op, found.op_length);
  if (found.text) {
    fail(op, std::string_view(found.text, found.text_length), ", got ", found.value,
         " at position ", found.position);
  }
  fail(op, "index ", found.index, " at position ", found.position,
       " is out of range: expected 0 to ", found.limit - 1);
}

bool is_available() {
  try {
    context();
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string device_name() {
  context();
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  return properties.name;
}

void synchronize() {
  refuse_in_capture("synchronize");
  ++waits;
  check(cudaStreamSynchronize(context().stream), "synchronize");
  raise_fault();
}

void* stream() { return context().stream; }
int64_t synchronizations() { return waits; }

}  // namespace ebb::cuda
