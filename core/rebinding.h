// A count of the tensors that were made to refer to other elements (Tensor::set_data, hence Module::to). What keeps
// addresses of tensors from one call to the next, as a captured step does, compares it with the count that it saw.
#pragma once

#include <cstdint>

namespace ebb::detail {

/// Returns how many tensors of this process have been rebound so far.
uint64_t rebindings();
/// Adds one.
void count_rebinding();

}  // namespace ebb::detail
