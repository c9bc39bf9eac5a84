// The kernels of a backend that resize planes.
#pragma once

#include <cmath>
#include <cstdint>

#include "ebb/core/host_device.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Output i of an axis is (1 - weight) x[low] + weight x[high].
struct ResampleTap {
  int64_t low, high;
  double weight;
};

/// The map from positions of the output to an axis of the input.
struct ResampleAxis {
  int64_t in, out;
  double scale;  ///< positions of the input per position of the output
  bool linear = false;
  bool align_corners = false;
  /// Nearest positions are rounded to f32, as in torch; also the scale if this is true.
  bool in_f32 = false;

  EBB_HD ResampleTap tap(int64_t i) const {
    const double at = static_cast<double>(i);
    if (!linear) {
      const float rounded = in_f32 ? static_cast<float>(i) * static_cast<float>(scale)
                                   : static_cast<float>(at * scale);
      const int64_t low = static_cast<int64_t>(rounded);
      const int64_t nearest = low < in ? low : in - 1;
      return {nearest, nearest, 0};
    }
    const double center = align_corners ? at * scale : (at + 0.5) * scale - 0.5;
    const double source = center > 0 ? center : 0;
    const int64_t floor = static_cast<int64_t>(source), low = floor < in ? floor : in - 1;
    return {low, low + 1 < in ? low + 1 : low, source - static_cast<double>(low)};
  }
  /// Returns bounds of the outputs that can read position p: [first, last).
  EBB_HD int64_t first_output(int64_t p) const {
    if (scale <= 0) return 0;
    const double i = static_cast<double>(p - 1) / scale - 2;
    return i > 0 ? static_cast<int64_t>(i) : 0;
  }
  EBB_HD int64_t last_output(int64_t p) const {
    if (scale <= 0 || p + 1 >= in) return out;
    const double i = (static_cast<double>(p) + 2) / scale + 2;
    return i < static_cast<double>(out) ? static_cast<int64_t>(i) : out;
  }
};

/// Planes of (rows.in, cols.in) that become planes of (rows.out, cols.out).
struct ResampleShape {
  int64_t planes;
  ResampleAxis rows, cols;
};

/// The planes of a call, and the shapes of its input and output.
struct ResamplePlan {
  ResampleShape planes;
  Shape in, out;
};

/// All tensors are contiguous and of one floating dtype. Every function writes all of its result,
/// in an order of additions that does not depend on the number of threads.
class ResamplingKernels {
 public:
  virtual ~ResamplingKernels() = default;

  /// y = x resized.
  virtual void resample(Tensor& y, const Tensor& x, const ResampleShape& shape) = 0;
  /// x = the adjoint of resample, applied to g.
  virtual void resample_adjoint(Tensor& x, const Tensor& g, const ResampleShape& shape) = 0;
};

}  // namespace ebb
