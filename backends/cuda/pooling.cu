// Pooling over contiguous planes (rows.in, cols.in) -> (rows.out, cols.out).
//
// Forward: one thread per output. Adjoints: one thread per input, which sums over the windows that
// read it, in order, so no atomic additions are needed. Neighboring threads have neighboring
// columns. Traffic: x read once from memory (overlapping windows from the cache), y and offsets
// written once; adjoints likewise.
#include "ebb/core/pooling.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

template <class C> __device__ C no_offset() { return static_cast<C>(sizeof(C) == 1 ? 255 : -1); }

struct Place {
  int64_t plane, row, col;
};
__device__ Place place_of(int64_t i, int64_t rows, int64_t cols) {
  return {i / (rows * cols), i / cols % rows, i % cols};
}

template <class T, class C>
__global__ void __launch_bounds__(kThreads)
    max_kernel(PoolShape s, const T* x, T* y, C* offsets, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    const Place at = place_of(i, s.rows.out, s.cols.out);
    const T* from = x + at.plane * s.rows.in * s.cols.in;
    const int64_t row = s.rows.start(at.row), col = s.cols.start(at.col);
    const int64_t first = s.cols.first(at.col), last = s.cols.last(at.col);
    T most = -std::numeric_limits<T>::infinity();
    C chosen = no_offset<C>();
    for (int64_t kr = s.rows.first(at.row); kr < s.rows.last(at.row); ++kr) {
      for (int64_t kc = first; kc < last; ++kc) {
        const T v = from[(row + kr * s.rows.dilation) * s.cols.in + col + kc * s.cols.dilation];
        if (v > most || v != v || chosen == no_offset<C>()) {
          most = v;
          chosen = static_cast<C>(kr * s.cols.kernel + kc);
        }
      }
    }
    y[i] = most;
    offsets[i] = chosen;
  }
}

// Returns the place in its plane that output `at` chose, or -1.
template <class C> __device__ int64_t chosen_place(const PoolShape& s, Place at, C offset) {
  if (offset == no_offset<C>()) return -1;
  const int64_t kr = offset / s.cols.kernel, kc = offset % s.cols.kernel;
  return (s.rows.start(at.row) + kr * s.rows.dilation) * s.cols.in + s.cols.start(at.col) +
         kc * s.cols.dilation;
}

template <class T, class C>
__global__ void __launch_bounds__(kThreads)
    take_kernel(PoolShape s, const T* x, const C* offsets, T* y, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    const Place at = place_of(i, s.rows.out, s.cols.out);
    const int64_t place = chosen_place(s, at, offsets[i]);
    y[i] = place < 0 ? T(0) : x[at.plane * s.rows.in * s.cols.in + place];
  }
}

template <class C>
__global__ void __launch_bounds__(kThreads)
    positions_kernel(PoolShape s, const C* offsets, int64_t* places, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step())
    places[i] = chosen_place(s, place_of(i, s.rows.out, s.cols.out), offsets[i]);
}

// Calls body(output, row, col, k_row, k_col) for the windows that read element `at`, in order.
template <class Body> __device__ void for_windows(const PoolShape& s, Place at, const Body& body) {
  for (int64_t r = s.rows.first_window(at.row); r < s.rows.last_window(at.row); ++r) {
    const int64_t kr = s.rows.offset(r, at.row);
    if (kr < 0) continue;
    for (int64_t c = s.cols.first_window(at.col); c < s.cols.last_window(at.col); ++c) {
      const int64_t kc = s.cols.offset(c, at.col);
      if (kc >= 0) body((at.plane * s.rows.out + r) * s.cols.out + c, r, c, kr, kc);
    }
  }
}

template <class T, class C>
__global__ void __launch_bounds__(kThreads)
    spread_kernel(PoolShape s, const T* g, const C* offsets, T* x, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    T sum = T(0);
    for_windows(s, place_of(i, s.rows.in, s.cols.in),
                [&](int64_t o, int64_t, int64_t, int64_t kr, int64_t kc) {
                  if (offsets[o] == static_cast<C>(kr * s.cols.kernel + kc)) sum += g[o];
                });
    x[i] = sum;
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    average_kernel(PoolShape s, PoolDivisor divisor, const T* x, T* y, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    const Place at = place_of(i, s.rows.out, s.cols.out);
    const T* from = x + at.plane * s.rows.in * s.cols.in;
    const int64_t row = s.rows.start(at.row), col = s.cols.start(at.col);
    const int64_t first = s.cols.first(at.col), last = s.cols.last(at.col);
    double sum = 0;
    for (int64_t kr = s.rows.first(at.row); kr < s.rows.last(at.row); ++kr) {
      for (int64_t kc = first; kc < last; ++kc)
        sum += static_cast<double>(from[(row + kr) * s.cols.in + col + kc]);
    }
    const int64_t count = divisor.of(s, at.row, at.col);
    y[i] = static_cast<T>(sum / static_cast<double>(count == 0 ? 1 : count));
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    average_spread_kernel(PoolShape s, PoolDivisor divisor, const T* g, T* x, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    T sum = T(0);
    for_windows(s, place_of(i, s.rows.in, s.cols.in),
                [&](int64_t o, int64_t r, int64_t c, int64_t, int64_t) {
                  sum += g[o] / static_cast<T>(divisor.of(s, r, c));
                });
    x[i] = sum;
  }
}

template <class T> const T* read(const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); }
template <class T> T* write(Tensor& t) { return reinterpret_cast<T*>(t.raw()); }

template <class Body> void with_offsets(const PoolShape& s, const Body& body) {
  if (s.has_small_windows()) body(uint8_t{});
  else body(int64_t{});
}

class CudaPooling final : public PoolingKernels {
 public:
  void max(Tensor& y, Tensor& offsets, const Tensor& x, const PoolShape& s) override {
    if (y.numel() == 0) return;
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      with_offsets(s, [&]<class C>(C) {
        launch(max_kernel<T, C>, grid_for(y.numel()), kThreads, s, read<T>(x), write<T>(y),
               write<C>(offsets), y.numel());
      });
    });
  }
  void take(Tensor& y, const Tensor& x, const Tensor& offsets, const PoolShape& s) override {
    if (y.numel() == 0) return;
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      with_offsets(s, [&]<class C>(C) {
        launch(take_kernel<T, C>, grid_for(y.numel()), kThreads, s, read<T>(x), read<C>(offsets),
               write<T>(y), y.numel());
      });
    });
  }
  void spread(Tensor& x, const Tensor& g, const Tensor& offsets, const PoolShape& s) override {
    if (x.numel() == 0) return;
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      with_offsets(s, [&]<class C>(C) {
        launch(spread_kernel<T, C>, grid_for(x.numel()), kThreads, s, read<T>(g), read<C>(offsets),
               write<T>(x), x.numel());
      });
    });
  }
  void positions(Tensor& positions, const Tensor& offsets, const PoolShape& s) override {
    if (positions.numel() == 0) return;
    with_offsets(s, [&]<class C>(C) {
      launch(positions_kernel<C>, grid_for(positions.numel()), kThreads, s, read<C>(offsets),
             write<int64_t>(positions), positions.numel());
    });
  }
  void average(Tensor& y, const Tensor& x, const PoolShape& s, PoolDivisor divisor) override {
    if (y.numel() == 0) return;
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      launch(average_kernel<T>, grid_for(y.numel()), kThreads, s, divisor, read<T>(x), write<T>(y),
             y.numel());
    });
  }
  void average_spread(Tensor& x, const Tensor& g, const PoolShape& s,
                      PoolDivisor divisor) override {
    if (x.numel() == 0) return;
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      launch(average_spread_kernel<T>, grid_for(x.numel()), kThreads, s, divisor, read<T>(g),
             write<T>(x), x.numel());
    });
  }
};

}  // namespace

PoolingKernels& pooling() {
  static CudaPooling kernels;
  return kernels;
}

}  // namespace ebb::cuda
