// Pooling over contiguous planes (rows.in, cols.in) -> (rows.out, cols.out).
//
// Forward: one thread per output. Adjoints: one thread per input, which sums over the windows that
// read it, in order, so no atomic additions are needed. Neighboring threads have neighbouring
// columns. Positions are 32-bit integers where they fit. Traffic: x read once from memory
// (overlapping windows from the cache), y and offsets written once; adjoints likewise.
#include "ebb/core/pooling.h"

#include <limits>

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/divisor.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

// Planes of (rows.in, cols.in) that become planes of (rows.out, cols.out), with positions of type
// I.
template <class I, class Divisor> struct Planes {
  using Index = I;
  BasicPoolAxis<I, Divisor> rows, cols;
};
using LargePlanes = Planes<int64_t, int64_t>;
using SmallPlanes = Planes<int, Divisor>;  // of less than 2^30 elements

template <class C> __device__ C no_offset() { return static_cast<C>(sizeof(C) == 1 ? 255 : -1); }

template <class I> struct Place { I plane, row, col; };
template <class I, class Size>
__device__ Place<I> place_of(I i, const Size& rows, const Size& cols) {
  const I line = i / cols, plane = line / rows;
  return {plane, line - plane * rows, i - line * cols};
}

// Calls body(i, place) for the elements of this thread in planes of (rows, cols).
template <class I, class Size, class Body>
__device__ void for_elements(I n, const Size& rows, const Size& cols, const Body& body) {
  for (I i = static_cast<I>(first_item()); i < n; i += static_cast<I>(item_step()))
    body(i, place_of(i, rows, cols));
}

template <class S, class T, class C>
__global__ void __launch_bounds__(kThreads)
    max_kernel(S s, const T* x, T* y, C* offsets, typename S::Index n) {
  using I = typename S::Index;
  for_elements(n, s.rows.out, s.cols.out, [&](I i, Place<I> at) {
    const T* from = x + at.plane * s.rows.in * s.cols.in;
    const I row = s.rows.start(at.row), col = s.cols.start(at.col);
    const I first = s.cols.first(at.col), last = s.cols.last(at.col);
    T most = -std::numeric_limits<T>::infinity();
    C chosen = no_offset<C>();
    for (I kr = s.rows.first(at.row); kr < s.rows.last(at.row); ++kr) {
#pragma unroll 4
      for (I kc = first; kc < last; ++kc) {
        const T v = from[(row + kr * s.rows.dilation) * s.cols.in + col + kc * s.cols.dilation];
        if (v > most || v != v || chosen == no_offset<C>()) {
          most = v;
          chosen = static_cast<C>(kr * s.cols.kernel + kc);
        }
      }
    }
    y[i] = most;
    offsets[i] = chosen;
  });
}

// Returns the place in its plane that output `at` chose, or -1.
template <class S, class I, class C>
__device__ I chosen_place(const S& s, const Place<I>& at, C offset) {
  if (offset == no_offset<C>()) return -1;
  const I kr = static_cast<I>(offset) / s.cols.kernel,
          kc = static_cast<I>(offset) - kr * s.cols.kernel;
  return (s.rows.start(at.row) + kr * s.rows.dilation) * s.cols.in + s.cols.start(at.col) +
         kc * s.cols.dilation;
}

template <class S, class T, class C>
__global__ void __launch_bounds__(kThreads)
    take_kernel(S s, const T* x, const C* offsets, T* y, typename S::Index n) {
  using I = typename S::Index;
  for_elements(n, s.rows.out, s.cols.out, [&](I i, Place<I> at) {
    const I place = chosen_place(s, at, offsets[i]);
    y[i] = place < 0 ? T(0) : x[at.plane * s.rows.in * s.cols.in + place];
  });
}

template <class S, class C>
__global__ void __launch_bounds__(kThreads)
    positions_kernel(S s, const C* offsets, int64_t* positions, typename S::Index n) {
  using I = typename S::Index;
  for_elements(n, s.rows.out, s.cols.out,
               [&](I i, Place<I> at) { positions[i] = chosen_place(s, at, offsets[i]); });
}

// Calls body(output, row, col, k_row, k_col) for the windows that read element `at`, in order.
template <class S, class I, class Body>
__device__ void for_windows(const S& s, const Place<I>& at, const Body& body) {
  const I first = s.cols.first_window(at.col), last = s.cols.last_window(at.col);
  for (I r = s.rows.first_window(at.row); r < s.rows.last_window(at.row); ++r) {
    const I kr = s.rows.offset(r, at.row);
    if (kr < 0) continue;
    for (I c = first; c < last; ++c) {
      const I kc = s.cols.offset(c, at.col);
      if (kc >= 0) body((at.plane * s.rows.out + r) * s.cols.out + c, r, c, kr, kc);
    }
  }
}

template <class S, class T, class C>
__global__ void __launch_bounds__(kThreads)
    spread_kernel(S s, const T* g, const C* offsets, T* x, typename S::Index n) {
  using I = typename S::Index;
  for_elements(n, s.rows.in, s.cols.in, [&](I i, Place<I> at) {
    T sum = T(0);
    for_windows(s, at, [&](I o, I, I, I kr, I kc) {
      if (offsets[o] == static_cast<C>(kr * s.cols.kernel + kc)) sum += g[o];
    });
    x[i] = sum;
  });
}

template <class S, class T>
__global__ void __launch_bounds__(kThreads)
    average_kernel(S s, PoolDivisor divisor, const T* x, T* y, typename S::Index n) {
  using I = typename S::Index;
  for_elements(n, s.rows.out, s.cols.out, [&](I i, Place<I> at) {
    const T* from = x + at.plane * s.rows.in * s.cols.in;
    const I row = s.rows.start(at.row), col = s.cols.start(at.col);
    const I first = s.cols.first(at.col), last = s.cols.last(at.col);
    double sum = 0;
    for (I kr = s.rows.first(at.row); kr < s.rows.last(at.row); ++kr) {
#pragma unroll 4
      for (I kc = first; kc < last; ++kc)
        sum += static_cast<double>(from[(row + kr) * s.cols.in + col + kc]);
    }
    const int64_t count = divisor.of(s, at.row, at.col);
    y[i] = static_cast<T>(sum / static_cast<double>(count == 0 ? 1 : count));
  });
}

template <class S, class T>
__global__ void __launch_bounds__(kThreads)
    average_spread_kernel(S s, PoolDivisor divisor, const T* g, T* x, typename S::Index n) {
  using I = typename S::Index;
  for_elements(n, s.rows.in, s.cols.in, [&](I i, Place<I> at) {
    T sum = T(0);
    for_windows(s, at,
                [&](I o, I r, I c, I, I) { sum += g[o] / static_cast<T>(divisor.of(s, r, c)); });
    x[i] = sum;
  });
}

SmallPlanes small_planes(const PoolShape& s) {
  const auto axis = [](const PoolAxis& a) {
    const auto number = [](int64_t i) { return static_cast<int>(i); };
    return BasicPoolAxis<int, Divisor>{number(a.in),     number(a.out),     number(a.kernel),
                                       number(a.stride), number(a.padding), number(a.dilation),
                                       a.adaptive};
  };
  return {axis(s.rows), axis(s.cols)};
}
bool is_small(const PoolShape& s) {
  constexpr int64_t kMost = int64_t{1} << 30;
  for (const PoolAxis& a : {s.rows, s.cols}) {
    if (a.in > kMost || a.out > kMost || a.kernel > kMost || a.stride > kMost ||
        a.dilation > kMost || a.padding > kMost / 2)
      return false;
    if ((a.in + 1) * (a.out + 1) > kMost || a.out * a.stride > kMost / 2 ||
        a.kernel * a.dilation > kMost / 2)
      return false;
  }
  const int64_t rows = std::max<int64_t>(s.rows.in, s.rows.out);
  return rows * std::max<int64_t>(s.cols.in, s.cols.out) <= kMost / std::max<int64_t>(s.planes, 1);
}
// Calls body(Planes) with the smallest integers for the positions of s.
template <class Body> void with_planes(const PoolShape& s, const Body& body) {
  if (is_small(s)) body(small_planes(s));
  else body(LargePlanes{s.rows, s.cols});
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
    run(y, s, [&]<class S, class T>(S planes, T, dim3 grid, auto n) {
      with_offsets(s, [&]<class C>(C) {
        launch(max_kernel<S, T, C>, grid, kThreads, planes, read<T>(x), write<T>(y),
               write<C>(offsets), n);
      });
    });
  }
  void take(Tensor& y, const Tensor& x, const Tensor& offsets, const PoolShape& s) override {
    run(y, s, [&]<class S, class T>(S planes, T, dim3 grid, auto n) {
      with_offsets(s, [&]<class C>(C) {
        launch(take_kernel<S, T, C>, grid, kThreads, planes, read<T>(x), read<C>(offsets),
               write<T>(y), n);
      });
    });
  }
  void spread(Tensor& x, const Tensor& g, const Tensor& offsets, const PoolShape& s) override {
    run(x, s, [&]<class S, class T>(S planes, T, dim3 grid, auto n) {
      with_offsets(s, [&]<class C>(C) {
        launch(spread_kernel<S, T, C>, grid, kThreads, planes, read<T>(g), read<C>(offsets),
               write<T>(x), n);
      });
    });
  }
  void positions(Tensor& positions, const Tensor& offsets, const PoolShape& s) override {
    if (positions.numel() == 0) return;
    with_planes(s, [&]<class S>(S planes) {
      with_offsets(s, [&]<class C>(C) {
        launch(positions_kernel<S, C>, grid_of(positions.numel()), kThreads, planes,
               read<C>(offsets), write<int64_t>(positions),
               static_cast<typename S::Index>(positions.numel()));
      });
    });
  }
  void average(Tensor& y, const Tensor& x, const PoolShape& s, PoolDivisor divisor) override {
    run(y, s, [&]<class S, class T>(S planes, T, dim3 grid, auto n) {
      launch(average_kernel<S, T>, grid, kThreads, planes, divisor, read<T>(x), write<T>(y), n);
    });
  }
  void average_spread(Tensor& x, const Tensor& g, const PoolShape& s,
                      PoolDivisor divisor) override {
    run(x, s, [&]<class S, class T>(S planes, T, dim3 grid, auto n) {
      launch(average_spread_kernel<S, T>, grid, kThreads, planes, divisor, read<T>(g), write<T>(x),
             n);
    });
  }

 private:
  // A thread for each element: faster than a loop in each thread.
  static dim3 grid_of(int64_t n) {
    return dim3(static_cast<unsigned>(std::min<int64_t>((n + kThreads - 1) / kThreads, INT32_MAX)));
  }
  // Calls body(planes, zero of the dtype, grid, number of elements) unless the result is empty.
  template <class Body>
  static void run(const Tensor& result, const PoolShape& s, const Body& body) {
    if (result.numel() == 0) return;
    with_planes(s, [&]<class S>(S planes) {
      dispatch_floating(result.dtype(), [&]<class T>(T zero) {
        body(planes, zero, grid_of(result.numel()), static_cast<typename S::Index>(result.numel()));
      });
    });
  }
};

}  // namespace

PoolingKernels& pooling() {
  static CudaPooling kernels;
  return kernels;
}

}  // namespace ebb::cuda
