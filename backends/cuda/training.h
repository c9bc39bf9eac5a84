// The kernels for training loops on the GPU.
#pragma once

#include "ebb/core/training.h"

namespace ebb::cuda {

/// Returns the object behind training_kernels(Device::cuda()). Throws Error without a device.
TrainingKernels& training();

// One function per file, with its name.
void take_rows(std::span<const RowsTaken> tensors, const Tensor& order, const int64_t* position);
void add_figures(const FiguresArgs& args);

}  // namespace ebb::cuda
