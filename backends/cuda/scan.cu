// Running sums, products and linear recurrences along the middle axis of a contiguous (outer, n,
// inner).
//
// Each element is a map s -> a s + b, and maps are composed. If inner is 1, a warp processes a row,
// 32 elements at a time, which five exchanges compose. Otherwise a thread processes a column, and
// neighboring threads neighboring columns. It computes in f64 (int64_t for integers). Traffic:
// one read and one write.
#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"

namespace ebb::cuda {
namespace {

template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double>;

/// The map s -> a s + b. A sum uses only b and a product only a, because 0 times infinity would be
/// NaN.
template <ScanKind kKind, class A> struct Map {
  A a, b;
  __device__ Map after(const Map& first) const {
    if constexpr (kKind == ScanKind::Sum) return {a, first.b + b};
    else if constexpr (kKind == ScanKind::Product) return {a * first.a, b};
    else return {a * first.a, a * first.b + b};
  }
  __device__ A operator()(A s) const {
    if constexpr (kKind == ScanKind::Sum) return s + b;
    else if constexpr (kKind == ScanKind::Product) return a * s;
    else return a * s + b;
  }
};

template <ScanKind kKind, class A, class T>
__device__ Map<kKind, A> map_of(const T* x, const T* b, int64_t at, bool first) {
  const A value = static_cast<A>(x[at]);
  if constexpr (kKind == ScanKind::Sum) return {A(1), value};
  else if constexpr (kKind == ScanKind::Product) return {value, A(0)};
  else return {first ? A(0) : value, static_cast<A>(b[at])};
}

template <ScanKind kKind, class T>
__global__ void __launch_bounds__(kThreads)
    rows_kernel(const T* x, const T* b, T* out, int64_t rows, int64_t n, bool reverse) {
  using A = Accumulator<T>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            teams = static_cast<int>(blockDim.x) / kWarp;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * teams + threadIdx.x / kWarp; row < rows;
       row += static_cast<int64_t>(gridDim.x) * teams) {
    A before = kKind == ScanKind::Product ? A(1) : A(0);
    for (int64_t first = 0; first < n; first += kWarp) {
      const int64_t i = first + lane;
      const int64_t at = row * n + (reverse ? n - 1 - i : i);
      Map<kKind, A> map = i < n ? map_of<kKind, A>(x, b, at, i == 0) : Map<kKind, A>{A(1), A(0)};
#pragma unroll
      for (int distance = 1; distance < kWarp; distance *= 2) {
        const Map<kKind, A> earlier{__shfl_up_sync(kAllLanes, map.a, distance),
                                    __shfl_up_sync(kAllLanes, map.b, distance)};
        if (lane >= distance) map = map.after(earlier);
      }
      const A sum = map(before);
      if (i < n) out[at] = static_cast<T>(sum);
      before = __shfl_sync(kAllLanes, sum, kWarp - 1);
    }
  }
}

template <ScanKind kKind, class T>
__global__ void __launch_bounds__(kThreads)
    columns_kernel(const T* x, const T* b, T* out, RowsShape rows, bool reverse) {
  using A = Accumulator<T>;
  for (int64_t k = first_item(); k < rows.outer * rows.inner; k += item_step()) {
    const int64_t start = k / rows.inner * rows.n * rows.inner + k % rows.inner;
    A sum = kKind == ScanKind::Product ? A(1) : A(0);
    for (int64_t i = 0; i < rows.n; ++i) {
      const int64_t at = start + (reverse ? rows.n - 1 - i : i) * rows.inner;
      sum = map_of<kKind, A>(x, b, at, i == 0)(sum);
      out[at] = static_cast<T>(sum);
    }
  }
}

template <ScanKind kKind, class T>
void run(const T* x, const T* b, T* out, RowsShape rows, bool reverse) {
  if (rows.inner == 1) {
    launch(rows_kernel<kKind, T>, grid_for(rows.outer, kThreads / kWarp), kThreads, x, b, out,
           rows.outer, rows.n, reverse);
  } else {
    launch(columns_kernel<kKind, T>, grid_for(rows.outer * rows.inner), kThreads, x, b, out, rows,
           reverse);
  }
}

}  // namespace

void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
          bool reverse) {
  if (out.numel() == 0) return;
  const auto each = [&]<class T>(T) {
    const T* from = reinterpret_cast<const T*>(x.raw());
    T* to = reinterpret_cast<T*>(out.raw());
    if (kind == ScanKind::Sum) return run<ScanKind::Sum, T>(from, nullptr, to, rows, reverse);
    if (kind == ScanKind::Product)
      return run<ScanKind::Product, T>(from, nullptr, to, rows, reverse);
    if constexpr (!std::is_same_v<T, int64_t>) {
      run<ScanKind::Recurrence, T>(from, reinterpret_cast<const T*>(b->raw()), to, rows, reverse);
    }
  };
  if (x.dtype() == DType::I64) each(int64_t{});
  else dispatch_floating(x.dtype(), each);
}

}  // namespace ebb::cuda
