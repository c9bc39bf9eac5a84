// The GPU as a program sees it: availability, memory, synchronization, and steps captured as CUDA
// graphs. These functions exist in every build. Without the GPU backend is_available() returns
// false and all other functions throw Error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace ebb::cuda {

/// Returns true if this build has the GPU backend and the machine has a working device.
bool is_available();
/// Returns the name of the device, for example "NVIDIA H100 80GB HBM3".
std::string device_name();
/// Waits until the device has finished all its work. Throws Error if an op has found a wrong value
/// since the last synchronization, such as a class index out of range or a probability above 1.
void synchronize();
/// Returns the stream (a cudaStream_t) of all of Ebb's work, for kernels of your own.
void* stream();

/// Memory of tensors on the device, in bytes.
struct MemoryStats {
  int64_t current_bytes = 0;  ///< in use by tensors
  int64_t peak_bytes = 0;     ///< the largest current_bytes since the start or reset_peak_memory()
  int64_t cached_bytes = 0;   ///< kept for later tensors
  int64_t available_bytes = 0;  ///< free on the device or kept: what new tensors can have
};
MemoryStats memory_stats();
void reset_peak_memory();
/// Returns the cached memory to the device. Waits for the device.
void empty_cache();

/// Allows matrix products and convolutions of f32 to round their inputs to TF32 (10 bits of
/// mantissa), which is several times faster. It is off by default, as
/// torch.backends.cuda.matmul.allow_tf32. Throws Error inside of a step that is being captured,
/// because the first call runs test products on the device.
void set_allow_tf32(bool allow);
bool allow_tf32();

/// Returns true if convolutions use cuDNN where it is faster than Ebb's kernels. cuDNN is optional:
/// libcudnn.so.9 is used if the loader finds it (LD_LIBRARY_PATH can name its folder) or if it is
/// in the folder of the CUDA Toolkit that Ebb was built with. It is loaded by the first call or the
/// first convolution. Throws Error if that call is inside of a step that is being captured.
bool has_cudnn();

/// Returns how often the host has waited for the device since the start.
int64_t synchronizations();

/// A training step that is recorded once as a CUDA graph and then launched as a whole.
///
///     Tensor x = empty({128, 784}, {.device = Device::cuda()});
///     Tensor t = empty({128}, {.dtype = i64, .device = Device::cuda()});
///     Tensor loss;
///     cuda::CapturedStep step([&] {
///       loss = nn::cross_entropy(model(x), t);
///       optimizer.zero_grad();
///       loss.backward();
///       optimizer.step();
///     });
///     for (const data::Batch& batch : loader) {
///       x.copy_(batch.input);
///       t.copy_(batch.target);
///       step();
///     }
///
/// The first call runs the step eagerly, so that buffers and kernels exist. The second call records
/// and launches it, and later calls launch it. Every call is a whole step: optimizers count it and
/// follow set_lr, and dropout draws new numbers from the default generator of the calling thread
/// and advances it. Tensors that the step creates (loss) keep their addresses and have the newest
/// values. A graph contains addresses, so after Module::to() or Tensor::set_data() on any tensor
/// the next call runs the step eagerly, and the call after it records the step again.
///
/// The step must do the same work in every call, with tensors of the same shapes, and must not wait
/// for the device (item(), printing, copies to the CPU). Everything that the step refers to must
/// live as long as this object. Throws Error if the step waits for the device or draws from another
/// generator.
class CapturedStep {
 public:
  explicit CapturedStep(std::function<void()> step);
  ~CapturedStep();
  CapturedStep(CapturedStep&&) noexcept;
  CapturedStep& operator=(CapturedStep&&) noexcept;

  void operator()();
  /// Returns how often the graph has been launched.
  int64_t replays() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Returns CapturedStep(step).
CapturedStep capture(std::function<void()> step);

}  // namespace ebb::cuda
