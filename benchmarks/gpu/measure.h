// Timing: the median over many batches of steps, and one JSON line a row.
#pragma once

#include <functional>
#include <string>

#include "ebb/ebb.h"

namespace ebb::gpu_bench {

struct Options {
  Device device = Device::cuda();
  bool quick =
      false;  ///< small shapes and few repeats: to try the program out; no figure of such a run counts
  std::string group;   ///< ceiling, training (with its products) or loss; empty: all
  std::string filter;  ///< only rows whose name contains it
};

/// What is timed. Rows of the same group, name and variant in different modes, or of PyTorch, are compared.
struct Row {
  std::string group;    ///< ceiling, products, training or loss
  std::string name;     ///< mlp_64_32_10_b32
  std::string variant;  ///< "adam f32"
  double flops = 0;     ///< of one step; 0: not stated
  double bytes = 0;     ///< that one step has to move at least; 0: not stated
};

class Bench {
 public:
  explicit Bench(Options options) : options_(std::move(options)) {}

  const Options& options() const { return options_; }
  TensorOptions on_device(DType dtype = DType::F32) const {
    return {.dtype = dtype, .device = options_.device};
  }
  bool on_gpu() const { return options_.device.type == DeviceType::CUDA; }
  bool wanted(const Row& row) const { return row.name.find(options_.filter) != std::string::npos; }

  /// Calls step again and again, in batches between two waits for the device, and prints the median time of a step.
  void run(const Row& row, const std::string& mode, const std::function<void()>& step) const;

 private:
  double seconds_of(int64_t steps, const std::function<void()>& step) const;

  Options options_;
};

/// TF32 in matrix products for a scope.
class Tf32 {
 public:
  explicit Tf32(bool on) : on_(on) {
    if (on_) cuda::set_allow_tf32(true);
  }
  ~Tf32() {
    if (on_) cuda::set_allow_tf32(false);
  }
  Tf32(const Tf32&) = delete;
  Tf32& operator=(const Tf32&) = delete;

 private:
  bool on_;
};

/// Throws Error unless the elements of a result are finite: no time is reported of work that went wrong.
void require_finite(const Row& row, const Tensor& result);

void run_ceilings(const Bench& bench);
void run_training(const Bench& bench);
void run_losses(const Bench& bench);

}  // namespace ebb::gpu_bench
