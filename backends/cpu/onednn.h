// The adapter to oneDNN 2.x and 3.x. No other file includes oneDNN's headers. Built only with
// EBB_WITH_ONEDNN = 1.
#pragma once

#include "ebb/backends/cpu/gemm.h"

namespace ebb::cpu {

/// Computes g with oneDNN's matmul on its OpenMP threads and returns true. Returns false and leaves
/// C unchanged if g is empty, an operand is not a row- or column-major matrix, or oneDNN has no
/// optimised implementation. The calling thread caches primitives, so a repeated product builds
/// nothing.
bool onednn_gemm(const Gemm<float>& g);

/// Returns the version, for example "oneDNN 2.6.3".
const char* onednn_version();

}  // namespace ebb::cpu
