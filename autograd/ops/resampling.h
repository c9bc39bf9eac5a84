// Resizing images: interpolation, and moving pixels between channels and positions. Gradients of
// every order.
#pragma once

#include <optional>
#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Nearest: the element at the floor of the position, which is rounded as in torch. Linear (one
/// dimension) and Bilinear (two): weighted averages of the neighbors. Area: averages, as
/// adaptive_avg_pool1d and adaptive_avg_pool2d.
enum class InterpolateMode { Nearest, Linear, Bilinear, Area };

struct InterpolateOptions {
  Shape size = {};                        ///< (L) or (H, W), or one number for both; or:
  std::vector<double> scale_factor = {};  ///< one number, or one for each dim
  InterpolateMode mode = InterpolateMode::Nearest;
  /// True: the corners of input and output have the same position. False: their outer edges. Linear
  /// modes alone.
  std::optional<bool> align_corners = {};
  /// With scale_factor: positions follow from the rounded size instead of the factor.
  bool recompute_scale_factor = false;
};

/// Returns x (N, C, L) or (N, C, H, W) resized to `size`, or to floor(size of x times
/// scale_factor).
///
/// Derivative: the upstream gradient, added up with the same weights. Throws Error unless exactly
/// one of size and scale_factor is given, for a mode of another number of dims, and for sizes below
/// 1. Only the batch may be empty.
///
///     Tensor y = interpolate(tensor({{{1., 3.}}}), {.size = 4});  // [[[1, 1, 3, 3]]]
///
/// Struct: Interpolate in resampling.cpp. Kernels: resampling. Test: interpolate in
/// rows_resampling.cpp.
Tensor interpolate(const TensorArg& x, const InterpolateOptions& options);

/// Returns x (..., C r^2, H, W) as (..., C, H r, W r): each group of r^2 channels becomes a square
/// of r x r pixels. Throws Error unless r^2 divides the channels.
///
/// Composed in resampling.cpp. Test: pixel_shuffle in rows_resampling.cpp.
Tensor pixel_shuffle(const TensorArg& x, int64_t upscale_factor);
/// Returns x (..., C, H r, W r) as (..., C r^2, H, W), the inverse. Throws Error unless r divides
/// both sizes.
///
/// Composed in resampling.cpp. Test: pixel_unshuffle in rows_resampling.cpp.
Tensor pixel_unshuffle(const TensorArg& x, int64_t downscale_factor);

}  // namespace ebb
