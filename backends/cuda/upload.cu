// Copies from pinned memory of the host, on a separate stream, while other work runs on the device.
//
// The block of a copy may have been an earlier batch. The copy waits only for the work that used
// that batch. The user of the copy calls receive(), which makes the main stream wait for it.
#include <cstring>

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/memory.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

// The copy would not belong to the step.
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
        "upload");  // the last upload of the block has read the pinned bytes
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
