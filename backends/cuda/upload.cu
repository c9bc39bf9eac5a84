// Copies from the host beside the work in progress: on a stream of their own, out of pinned memory.
//
// The block that a copy goes to may have been a batch before: the copy waits for the work that used it, and for nothing
// else. Whoever uses the copy makes the main stream wait for it (receive).
#include <cstring>

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/memory.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

// Its copy would not be one of the step's.
constexpr std::string_view kInCapture =
    "take a loader's batch: copy it to tensors of the step's before";

cudaStream_t make_stream() {
  context();
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

cudaStream_t upload_stream() {
  static const cudaStream_t stream = make_stream();
  return stream;
}

}  // namespace

Tensor upload(const Tensor& host) {
  refuse_in_capture("upload", kInCapture);
  UploadScope scope;
  Tensor out = empty(host.shape(), {.dtype = host.dtype(), .device = Device::cuda()});
  const UploadBlock& block = scope.block;
  const size_t bytes = static_cast<size_t>(host.numel()) * size_of(host.dtype());
  if (bytes == 0) return out;
  check(cudaEventSynchronize(block.ready),
        "upload");  // the pinned bytes of the block's last upload have been read
  std::memcpy(block.pinned, host.raw(), bytes);
  check(cudaStreamWaitEvent(upload_stream(), block.free, 0), "upload");
  check(cudaMemcpyAsync(block.data, block.pinned, bytes, cudaMemcpyHostToDevice, upload_stream()),
        "upload");
  check(cudaEventRecord(block.ready, upload_stream()), "upload");
  return out;
}

void receive(const Tensor& uploaded) {
  if (const cudaEvent_t ready = upload_event(uploaded.raw())) {
    refuse_in_capture("receive", kInCapture);
    check(cudaStreamWaitEvent(context().stream, ready, 0), "receive");
  }
}

}  // namespace ebb::cuda
