// Small products on Ebb's own kernels (small_product.h). cuBLASLt is slow for them: it splits k and
// adds a kernel for the sum, and another kernel for the gradient of a bias.
#pragma once

#include "ebb/core/backend.h"

namespace ebb::cuda {

/// Returns true if Ebb's kernel is faster for (m, k) by (k, n), as measured on an H100.
bool is_small_product(int64_t m, int64_t n, int64_t k);

/// Switches the kernels on or off and returns the previous setting. Off: all products use cuBLASLt.
/// Only for tests.
bool use_small_products(bool use);

/// Computes one product, or two in one launch. REQUIRES takes_small_product() of each, and the same
/// dtype.
void small_products(const MatmulArgs& first, const MatmulArgs* second);

/// Returns true if small_products() can compute the product and is faster.
bool takes_small_product(const MatmulArgs& args);

}  // namespace ebb::cuda
