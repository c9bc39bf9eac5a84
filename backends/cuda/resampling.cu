// Nearest and linear resizing of contiguous planes: a thread per output, and for the adjoint a
// thread per input, which sums over the outputs that read it, in order. Neighboring threads have
// neighboring columns.
#include "ebb/core/resampling.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(kThreads)
    resample_kernel(ResampleShape s, const T* x, T* y, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    const int64_t col = i % s.cols.out, row = i / s.cols.out % s.rows.out;
    const T* from = x + i / (s.cols.out * s.rows.out) * s.rows.in * s.cols.in;
    const ResampleTap r = s.rows.tap(row), c = s.cols.tap(col);
    const T *low = from + r.low * s.cols.in, *high = from + r.high * s.cols.in;
    if (!s.cols.linear) {
      y[i] = low[c.low];
      continue;
    }
    const T below = static_cast<T>(r.weight), right = static_cast<T>(c.weight);
    const T above = T(1) - below, left = T(1) - right;
    y[i] = above * (left * low[c.low] + right * low[c.high]) +
           below * (left * high[c.low] + right * high[c.high]);
  }
}

// The part of position p in output i of an axis.
template <class T> __device__ T part_of(const ResampleAxis& axis, int64_t i, int64_t p) {
  const ResampleTap tap = axis.tap(i);
  const T high = static_cast<T>(tap.weight);
  return (tap.low == p ? T(1) - high : T(0)) + (tap.high == p ? high : T(0));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    adjoint_kernel(ResampleShape s, const T* g, T* x, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    const int64_t col = i % s.cols.in, row = i / s.cols.in % s.rows.in;
    const T* from = g + i / (s.cols.in * s.rows.in) * s.rows.out * s.cols.out;
    T sum = T(0);
    for (int64_t r = s.rows.first_output(row); r < s.rows.last_output(row); ++r) {
      const T of_row = part_of<T>(s.rows, r, row);
      if (of_row == T(0)) continue;
      for (int64_t c = s.cols.first_output(col); c < s.cols.last_output(col); ++c) {
        const T part = of_row * part_of<T>(s.cols, c, col);
        if (part != T(0)) sum += part * from[r * s.cols.out + c];
      }
    }
    x[i] = sum;
  }
}

class CudaResampling final : public ResamplingKernels {
 public:
  void resample(Tensor& y, const Tensor& x, const ResampleShape& s) override {
    if (y.numel() == 0) return;
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      launch(resample_kernel<T>, grid_for(y.numel()), kThreads, s,
             reinterpret_cast<const T*>(x.raw()), reinterpret_cast<T*>(y.raw()), y.numel());
    });
  }
  void resample_adjoint(Tensor& x, const Tensor& g, const ResampleShape& s) override {
    if (x.numel() == 0) return;
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      launch(adjoint_kernel<T>, grid_for(x.numel()), kThreads, s,
             reinterpret_cast<const T*>(g.raw()), reinterpret_cast<T*>(x.raw()), x.numel());
    });
  }
};

}  // namespace

ResamplingKernels& resampling() {
  static CudaResampling kernels;
  return kernels;
}

}  // namespace ebb::cuda
