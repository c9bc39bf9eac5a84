// Settings of the CPU backend.
#pragma once

namespace ebb::cpu {

/// Lets f32 convolutions with 3x3 kernels, stride 1 and more than 16 channels use Winograd's
/// algorithm where oneDNN has it (oneDNN 2.x on x86). Off at the start.
///
/// A training step of such a convolution is up to 1.9 times faster. The root mean square of its
/// relative rounding errors is 6e-7 to 1.1e-6 instead of 2e-7.
void set_allow_winograd(bool allow);
bool allow_winograd();

}  // namespace ebb::cpu
