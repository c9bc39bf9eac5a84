// The list of backends that this build has.
#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/training.h"
#if EBB_WITH_CUDA
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/training.h"
#endif

namespace ebb {

#if EBB_WITH_CUDA
namespace {
Backend& cuda_backend() {
  static Backend& instance = [&]() -> Backend& {
    cuda::enter_arithmetic();
    cuda::enter_elementary();
    cuda::enter_trigonometry();
    cuda::enter_activations();
    cuda::enter_more_activations();
    cuda::enter_recurrent_gates();
    cuda::enter_regression_losses();
    cuda::enter_optimizer_rules();
    cuda::enter_label_losses();
    return cuda::backend();
  }();
  return instance;
}
}  // namespace
#endif

Backend& backend(Device device) {
  if (device.type == DeviceType::CPU) [[likely]]
    return cpu::backend();
#if EBB_WITH_CUDA
  if (device.index == 0) return cuda_backend();
  fail("backend", device, ": Ebb works on one GPU, cuda:0; choose it with CUDA_VISIBLE_DEVICES");
#else
  fail("backend", "device ", device, " is not built in: this build has only the cpu");
#endif
}

TrainingKernels& training_kernels(Device device) {
  backend(device);  // throws Error if there is none
#if EBB_WITH_CUDA
  if (device.type == DeviceType::CUDA) return cuda::training();
#endif
  return cpu::training();
}

}  // namespace ebb
