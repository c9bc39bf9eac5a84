// Libraries of NVIDIA's that are not linked but loaded when the GPU backend comes to life.
#pragma once

#include <string>

namespace ebb::cuda {

/// Loads cuBLASLt: from where the loader looks, else from the toolkit that Ebb was built with. Throws Error.
void load_cublas_lt();

/// The library `name`, from where the loader looks or else from `folder`. Throws Error that names both.
void* open_library(const std::string& name, const std::string& folder);

}  // namespace ebb::cuda
