// NVIDIA's libraries that are loaded when a program first needs them, instead of being linked.
#pragma once

#include <string>

namespace ebb::cuda {

/// Loads cuBLASLt from the search path of the loader, else from the toolkit that Ebb was built
/// with. Throws Error if it is in neither.
void load_cublas_lt();

/// Loads cuDNN 9 from the same places. Returns false if it is in neither, or lacks a function that
/// Ebb uses.
bool load_cudnn();

/// Returns the library `name` from the search path of the loader, else from `folder`. Throws Error
/// that names both if it is in neither.
void* open_library(const std::string& name, const std::string& folder);

}  // namespace ebb::cuda
