// Counts how often a tensor has been rebound: made to refer to other elements by Tensor::set_data
// or Module::to. Objects that keep addresses of tensors between calls, such as a captured step,
// notice rebinding by comparing the count.
#pragma once

#include <cstdint>

namespace ebb::detail {

/// Returns how many tensors of this process have been rebound so far.
uint64_t rebindings();
/// Increments the count.
void count_rebinding();

}  // namespace ebb::detail
