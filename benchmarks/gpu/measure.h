// Measuring: the median over many batches of steps, printed as one JSON line per row.
#pragma once

#include <functional>
#include <string>

#include "ebb/ebb.h"

namespace ebb::gpu_bench {

struct Options {
  Device device = Device::cuda();
  /// Uses small shapes and few repetitions, to test the program. The figures have no meaning.
  bool quick = false;
  bool once = false;   ///< runs each step twice and measures nothing, for a profiler
  std::string group;   ///< ceiling, training (with its products), layer or loss; empty: all
  std::string filter;  ///< only rows whose name contains it
};

/// A measurement. Rows with the same group, name and variant are compared between modes and with
/// PyTorch.
struct Row {
  std::string group;    ///< ceiling, products, training, layer or loss
  std::string name;     ///< for example mlp_64_32_10_b32
  std::string variant;  ///< for example "adam f32"
  double flops = 0;     ///< of one step; 0: unknown
  double bytes = 0;     ///< that one step must at least read and write; 0: unknown
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

  /// Calls step repeatedly, in batches between two waits for the device, and prints the median time
  /// of a step.
  void run(const Row& row, const std::string& mode, const std::function<void()>& step) const;

 private:
  double seconds_of(int64_t steps, const std::function<void()>& step) const;

  Options options_;
};

/// Allows TF32 in matrix products during its lifetime.
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

/// Throws Error unless all elements of a result are finite, so that no time is reported for wrong
/// work.
void require_finite(const Row& row, const Tensor& result);

void run_ceilings(const Bench& bench);
void run_training(const Bench& bench);
void run_epochs(const Bench& bench);
void run_layers(const Bench& bench);
void run_losses(const Bench& bench);

}  // namespace ebb::gpu_bench
