// The GPU as a program sees it: is it there, how much memory is used, waiting for it, steps
// captured as CUDA graphs. Everything here is there in every build; without the GPU backend
// is_available() is false and all else throws Error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace ebb::cuda {

/// True when this build has the GPU backend and the machine has a device that works.
bool is_available();
/// The name of the device, "NVIDIA H100 80GB HBM3".
std::string device_name();
/// Waits until the device has done all that was asked of it. Throws Error when an op has found
/// something wrong since the last time: a class index out of range, a probability above 1.
void synchronize();
/// The stream (a cudaStream_t) that all work of Ebb goes to: for kernels of one's own.
void* stream();

/// Memory of tensors on the device, in bytes.
struct MemoryStats {
  int64_t current_bytes = 0;  ///< held by tensors now
  int64_t peak_bytes = 0;     ///< the most since the start or reset_peak_memory()
  int64_t cached_bytes = 0;   ///< kept for later tensors
};
MemoryStats memory_stats();
void reset_peak_memory();
/// Gives the cached memory back to the device. Waits for it.
void empty_cache();

/// Lets matrix products of f32 round their inputs to TF32 (10 bits of mantissa), which is several
/// times faster; off at the start, as in torch. Throws Error in a step that is being captured: the
/// first time, it tries what the device's products do. torch.backends.cuda.matmul.allow_tf32.
void set_allow_tf32(bool allow);
bool allow_tf32();

/// How often the host has waited for the device, since the start.
int64_t synchronizations();

/// A training step as one CUDA graph: recorded once, then launched as a whole.
///
///   Tensor x = empty({128, 784}, {.device = Device::cuda()}), t = ..., loss;
///   cuda::CapturedStep step([&] { loss = ...; optimizer.zero_grad(); loss.backward(); optimizer.step(); });
///   for (batch) { x.copy_(batch.input); t.copy_(batch.target); step(); }
///
/// The first call runs the step as it is (what is made once is made then); the second records and
/// launches it; further ones launch it. Every call is a whole step: optimizers count it and follow
/// set_lr, dropout draws new numbers from the calling thread's default generator, whose position
/// moves on. Tensors that the step made (loss) keep their place and hold the newest values. After
/// Module::to() or Tensor::set_data(), on whatever tensor, the next call runs the step as it is and
/// the one after it records it anew, since a graph holds addresses. The step must do the same work
/// every time, in tensors of the same shapes, and must not wait for the device (item(), printing,
/// copies to the CPU). Everything that the step refers to must live as long as this object. Throws
/// Error when the step waits for the device or draws from another generator.
class CapturedStep {
 public:
  explicit CapturedStep(std::function<void()> step);
  ~CapturedStep();
  CapturedStep(CapturedStep&&) noexcept;
  CapturedStep& operator=(CapturedStep&&) noexcept;

  void operator()();
  /// Launches of the graph so far.
  int64_t replays() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// CapturedStep(step).
CapturedStep capture(std::function<void()> step);

}  // namespace ebb::cuda
