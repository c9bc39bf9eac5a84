// Counts how often a tensor has been made to refer to other elements (Tensor::set_data, and therefore Module::to). Objects
// that keep addresses of tensors between calls, such as a captured step, compare the count with the one that they saw.
#pragma once

#include <cstdint>

namespace ebb::detail {

/// Returns how many tensors of this process have been rebound so far.
uint64_t rebindings();
/// Increments the count.
void count_rebinding();

}  // namespace ebb::detail
