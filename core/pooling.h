// The kernels of a backend that pool: windows over the two last axes of contiguous planes.
#pragma once

#include <cstdint>

#include "ebb/core/host_device.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The windows along one axis, with integers of type I. Window i reads the positions i stride -
/// padding + k dilation for k in [0, kernel) that are in [0, in). Adaptive: it reads [floor(i in /
/// out), ceil((i + 1) in / out)), and kernel is the longest window.
template <class I, class Divisor = I> struct BasicPoolAxis {
  Divisor in, out;
  I kernel = 1;
  Divisor stride = 1;
  I padding = 0;
  Divisor dilation = 1;
  bool adaptive = false;

  /// Returns the position that window i reads for k = 0. It can be negative.
  EBB_HD I start(I i) const { return adaptive ? i * in / out : i * stride - padding; }
  /// Returns the first and the last k + 1 of window i that are inside of the axis.
  EBB_HD I first(I i) const {
    const I before = -start(i);
    return before <= 0 ? 0 : (before + dilation - 1) / dilation;
  }
  EBB_HD I last(I i) const {
    if (adaptive) return ((i + 1) * in + out - 1) / out - start(i);
    const I rest = in - start(i);
    const I most = rest <= 0 ? 0 : (rest + dilation - 1) / dilation;
    return most < kernel ? most : kernel;
  }
  /// Returns the first window that can read position p, and the last one + 1.
  EBB_HD I first_window(I p) const {
    if (adaptive) return p * out / in;
    const I least = p + padding - (kernel - 1) * dilation;
    return least <= 0 ? 0 : (least + stride - 1) / stride;
  }
  EBB_HD I last_window(I p) const {
    if (adaptive) return ((p + 1) * out + in - 1) / in;
    const I most = (p + padding) / stride + 1;
    return most < out ? most : static_cast<I>(out);
  }
  /// Returns the k for which window i reads position p, or -1.
  EBB_HD I offset(I i, I p) const {
    const I from_start = p - start(i);
    if (from_start < 0 || from_start % dilation != 0) return -1;
    const I k = from_start / dilation;
    return k < (adaptive ? last(i) : kernel) ? k : -1;
  }
};
using PoolAxis = BasicPoolAxis<int64_t>;

/// Planes of (rows.in, cols.in) that become planes of (rows.out, cols.out).
struct PoolShape {
  int64_t planes;
  PoolAxis rows, cols;

  /// Returns true if the offsets of chosen elements are u8: see PoolingKernels::max.
  bool has_small_windows() const { return rows.kernel * cols.kernel < 255; }
};

/// The windows of a call, and the shapes of its input and output.
struct PoolPlan {
  PoolShape pool;
  Shape in, out;
};

/// The number that a window's sum is divided by: the number of its elements, those in the padding
/// included if count_include_pad; or `divisor` if it is not 0.
struct PoolDivisor {
  bool count_include_pad = true;
  int64_t divisor = 0;

  template <class Planes, class I> EBB_HD int64_t of(const Planes& shape, I row, I col) const {
    return divisor != 0 ? divisor : count(shape.rows, row) * count(shape.cols, col);
  }
  template <class Axis, class I> EBB_HD int64_t count(const Axis& axis, I i) const {
    if (axis.adaptive || !count_include_pad) return axis.last(i) - axis.first(i);
    const I start = axis.start(i), rest = axis.in + axis.padding - start;
    return rest < axis.kernel ? rest : axis.kernel;
  }
};

/// All tensors are contiguous and of one floating dtype, apart from offsets and positions. Every
/// function writes all of its result, in an order of additions that does not depend on the number
/// of threads.
class PoolingKernels {
 public:
  virtual ~PoolingKernels() = default;

  /// y = the largest element of each window. offsets: which one, as k_row kernel_cols + k_col; the
  /// first of equal ones, and the last NaN if there is one. u8 if shape.has_small_windows(), with
  /// 255 for a window without elements; otherwise i64 with -1.
  virtual void max(Tensor& y, Tensor& offsets, const Tensor& x, const PoolShape& shape) = 0;
  /// y = the element of x that `offsets` chose for each window; 0 for a window without elements.
  virtual void take(Tensor& y, const Tensor& x, const Tensor& offsets, const PoolShape& shape) = 0;
  /// x = the sums of g over the windows that chose an element: the adjoint of take.
  virtual void spread(Tensor& x, const Tensor& g, const Tensor& offsets,
                      const PoolShape& shape) = 0;
  /// positions (i64) = row cols.in + col of the chosen elements; -1 for a window without elements.
  virtual void positions(Tensor& positions, const Tensor& offsets, const PoolShape& shape) = 0;

  /// y = the sum of each window, divided by its divisor; 0 for a window without elements.
  virtual void average(Tensor& y, const Tensor& x, const PoolShape& shape, PoolDivisor divisor) = 0;
  /// The adjoint of average.
  virtual void average_spread(Tensor& x, const Tensor& g, const PoolShape& shape,
                              PoolDivisor divisor) = 0;
};

}  // namespace ebb
