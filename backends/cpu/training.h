// The kernels for training loops on the CPU.
#pragma once

#include "ebb/core/training.h"

namespace ebb::cpu {

/// Returns the object behind training_kernels(Device::cpu()).
TrainingKernels& training();

}  // namespace ebb::cpu
