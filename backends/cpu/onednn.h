// The adapters to oneDNN 2.x and 3.x. Only onednn*.cpp include oneDNN's headers. Built only with
// EBB_WITH_ONEDNN = 1.
#pragma once

#include "ebb/backends/cpu/gemm.h"
#include "ebb/core/convolution.h"

namespace ebb::cpu {

/// Computes g with oneDNN's matmul on its OpenMP threads and returns true. Returns false and leaves
/// C unchanged if g is empty, an operand is not a row- or column-major matrix, or oneDNN has no
/// optimized implementation. The calling thread caches primitives, so a repeated product builds
/// nothing.
bool onednn_gemm(const Gemm<float>& g);

/// Computes a convolution of f32 with oneDNN and returns true. Returns false and writes nothing if
/// oneDNN has no optimized implementation. y_sum is left to the caller. The calling thread caches
/// primitives, as for products.
bool onednn_convolution(const ConvolutionArgs& args);
/// Computes an InputGradient and a WeightGradient of the same y in the same way, and reorders y
/// once where the two want it in one format. Returns false if either has no optimized
/// implementation.
bool onednn_gradients(const ConvolutionArgs& input, const ConvolutionArgs& weight);

/// Returns the version, for example "oneDNN 2.6.3".
const char* onednn_version();

}  // namespace ebb::cpu
