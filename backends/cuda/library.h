// NVIDIA's libraries that are loaded when the GPU backend is first used, instead of being linked.
#pragma once

#include <string>

namespace ebb::cuda {

/// Loads cuBLASLt from the search path of the loader, else from the toolkit that Ebb was built
/// with. Throws Error if it is in neither.
void load_cublas_lt();

/// Returns the library `name` from the search path of the loader, else from `folder`. Throws Error
/// that names both if it is in neither.
void* open_library(const std::string& name, const std::string& folder);

}  // namespace ebb::cuda
