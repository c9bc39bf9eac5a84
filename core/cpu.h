// Settings of the CPU backend.
#pragma once

namespace ebb::cpu {

/// Lets f32 convolutions with 3x3 kernels, stride 1 and more than 16 channels use Winograd's
/// algorithm where oneDNN has it (oneDNN 2.x on x86). Off at the start.
///
/// A convolution takes 0.5 to 0.75 of the time. Its rounding errors, relative to the result, are
/// 8e-7 to 1.1e-6 instead of 2e-7 (root mean square, 64 to 256 channels); docs/numerics.md has
/// them.
void set_allow_winograd(bool allow);
bool allow_winograd();

}  // namespace ebb::cpu
