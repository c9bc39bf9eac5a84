// Convolutions of f32 by cuDNN's graph API. An engine that gives the same bits in every run is
// chosen once for each problem, by cuDNN's heuristics. Nothing is timed and nothing waits for the
// device.
#pragma once

#include "ebb/core/convolution.h"

namespace ebb::cuda {

/// Computes the tensor that args.kind names, without adding args.bias and without args.y_sum.
/// Returns false, and leaves the tensor to another kernel, without cuDNN, without an engine for the
/// problem that is deterministic and as precise as f32 (as TF32 if it is allowed), or if the engine
/// fails. A problem that first occurs in a captured step gets no engine there.
/// REQUIRES f32.
bool cudnn_convolution(const ConvolutionArgs& args);

/// Returns true if cuDNN is faster than Ebb's kernels for the problem, as measured on an H100.
bool is_faster_on_cudnn(const ConvolutionArgs& args);

/// The problems of f32 for which cuDNN is tried.
enum class CudnnUse { None, Faster, All };

/// Sets these problems and returns the previous setting. It is Faster at first; in the emulation
/// All, so that small tests cover it. Only for tests and benchmarks.
CudnnUse use_cudnn(CudnnUse use);

}  // namespace ebb::cuda
