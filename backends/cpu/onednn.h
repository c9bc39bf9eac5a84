// The adapter to oneDNN 2.x and 3.x: nothing else includes its headers. Built with EBB_WITH_ONEDNN = 1 only.
#pragma once

#include "ebb/backends/cpu/gemm.h"

namespace ebb::cpu {

/// Computes g with oneDNN's matmul on its OpenMP threads and returns true; returns false, with C untouched, when g is
/// empty, an operand is not a row- or column-major matrix, or oneDNN has no optimised implementation for it.
/// Primitives are cached by the calling thread; a repeated product builds nothing.
bool onednn_gemm(const Gemm<float>& g);

/// "oneDNN 2.6.3".
const char* onednn_version();

}  // namespace ebb::cpu
