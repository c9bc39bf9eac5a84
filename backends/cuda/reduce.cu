// Reductions over the middle axis of a contiguous (outer, n, inner).
//
// If inner is 1, a warp or a block reduces a row. Otherwise a block reduces 32 columns, each warp
// every eighth element of them, so that memory is read along rows. If that gives few blocks with
// much work, rows are divided into pieces, which are reduced to accumulators that are reduced
// again. Sums are computed in f64 (int64_t for integers), always in the same order. Traffic: one
// read.
#include <limits>

#include "ebb/backends/cuda/arg_row.h"
#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"

namespace ebb::cuda {
namespace {

constexpr int kColumns = 32, kRowsOfThreads = 8;

template <class T> using SumType = std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double>;

// The term of an element: the element itself. c is the center of the row, for squares.
struct AsItIs {
  template <class A, class T> __device__ static A enter(T x, double) { return static_cast<A>(x); }
};
struct Sum : AsItIs {
  template <class A> __device__ static A join(A a, A b) { return a + b; }
  template <class A> __device__ static A none() { return A(0); }
  using Parts = Sum;  // joins the results of pieces
};
struct Product : AsItIs {
  template <class A> __device__ static A join(A a, A b) { return a * b; }
  template <class A> __device__ static A none() { return A(1); }
  using Parts = Product;
};
/// The sum of (x - c)^2.
struct Squares {
  template <class A, class T> __device__ static A enter(T x, double c) {
    const double d = static_cast<double>(x) - c;
    return d * d;
  }
  template <class A> __device__ static A join(A a, A b) { return a + b; }
  template <class A> __device__ static A none() { return A(0); }
  using Parts = Sum;
};
struct Max : AsItIs {
  using Parts = Max;
  template <class A> __device__ static A join(A a, A b) { return maximum(a, b); }
  template <class A> __device__ static A none() {
    return std::numeric_limits<A>::has_infinity ? -std::numeric_limits<A>::infinity()
                                                : std::numeric_limits<A>::lowest();
  }
};
struct Min : AsItIs {
  using Parts = Min;
  template <class A> __device__ static A join(A a, A b) { return minimum(a, b); }
  template <class A> __device__ static A none() {
    return std::numeric_limits<A>::has_infinity ? std::numeric_limits<A>::infinity()
                                                : std::numeric_limits<A>::max();
  }
};

// Piece p of row r has elements [p length, (p + 1) length) of n. out is (rows, pieces). sums has
// the sum of each row, whose mean is the center of its squares; null means a center of 0.
template <class Join, class A, class T, class Out, bool kWarpRows>
__global__ void __launch_bounds__(kThreads)
    rows_kernel(const T* x, Out* out, int64_t rows, int64_t n, int64_t pieces, int64_t length,
                const double* sums) {
  const int team = kWarpRows ? kWarp : static_cast<int>(blockDim.x);
  const int teams = kWarpRows ? static_cast<int>(blockDim.x) / kWarp : 1;
  const int rank = static_cast<int>(threadIdx.x) % team;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * teams + static_cast<int>(threadIdx.x) / team;
       k < rows * pieces; k += static_cast<int64_t>(gridDim.x) * teams) {
    const T* row = x + k / pieces * n;
    const int64_t begin = k % pieces * length, end = begin + length < n ? begin + length : n;
    const double center = sums ? sums[k / pieces] / static_cast<double>(n) : 0;
    A a = Join::template none<A>();
    for (int64_t i = begin + rank; i < end; i += team)
      a = Join::template join<A>(a, Join::template enter<A>(row[i], center));
    a = kWarpRows ? warp_join<Join>(a) : block_join<Join>(a);
    if (rank == 0) out[k] = static_cast<Out>(a);
  }
}

// Block (b, p) reduces piece p of 32 columns of one (n, inner) plane. out is (outer, pieces,
// inner).
template <class Join, class A, class T, class Out>
__global__ void __launch_bounds__(kThreads)
    columns_kernel(const T* x, Out* out, int64_t outer, int64_t n, int64_t inner, int64_t pieces,
                   int64_t length, const double* sums) {
  __shared__ A parts[kRowsOfThreads][kColumns];
  const int lane = static_cast<int>(threadIdx.x) % kColumns,
            part = static_cast<int>(threadIdx.x) / kColumns;
  const int64_t blocks = (inner + kColumns - 1) / kColumns;
  for (int64_t k = blockIdx.x; k < outer * pieces * blocks; k += gridDim.x) {
    const int64_t column = k % blocks * kColumns + lane, piece = k / blocks % pieces,
                  plane = k / blocks / pieces;
    const int64_t begin = piece * length, end = begin + length < n ? begin + length : n;
    A a = Join::template none<A>();
    if (column < inner) {
      const double center = sums ? sums[plane * inner + column] / static_cast<double>(n) : 0;
      for (int64_t i = begin + part; i < end; i += kRowsOfThreads) {
        const T element = x[(plane * n + i) * inner + column];
        a = Join::template join<A>(a, Join::template enter<A>(element, center));
      }
    }
    parts[part][lane] = a;
    __syncthreads();
    if (part == 0 && column < inner) {
      for (int j = 1; j < kRowsOfThreads; ++j) a = Join::template join<A>(a, parts[j][lane]);
      out[(plane * pieces + piece) * inner + column] = static_cast<Out>(a);
    }
    __syncthreads();
  }
}

template <class Join, class A, class T, class Out>
void run_pieces(const T* x, Out* out, RowsShape rows, int64_t pieces, int64_t length,
                const double* sums = nullptr) {
  const auto [outer, n, inner] = rows;
  if (inner > 1) {
    const int64_t blocks = outer * pieces * ((inner + kColumns - 1) / kColumns);
    launch(columns_kernel<Join, A, T, Out>, grid_for(blocks, 1), kThreads, x, out, outer, n, inner,
           pieces, length, sums);
  } else if (length <= 512) {
    launch(rows_kernel<Join, A, T, Out, true>, grid_for(outer * pieces, kThreads / kWarp), kThreads,
           x, out, outer, n, pieces, length, sums);
  } else {
    launch(rows_kernel<Join, A, T, Out, false>, grid_for(outer * pieces, 1), kThreads, x, out,
           outer, n, pieces, length, sums);
  }
}

template <class Join, class A, class T, class Out>
void run(const T* x, Out* out, RowsShape rows, const double* sums = nullptr) {
  const auto [outer, n, inner] = rows;
  const int64_t columns = inner > 1 ? (inner + kColumns - 1) / kColumns : 1;
  const int64_t shortest = inner > 1 ? 64 : 4096;  // smaller pieces do not pay off
  const int64_t wanted =
      int64_t{context().multiprocessors} * 8 / std::max<int64_t>(outer * columns, 1);
  const int64_t pieces = std::clamp<int64_t>(std::min(wanted, n / shortest), 1, 1024);
  if (pieces == 1) return run_pieces<Join, A, T, Out>(x, out, rows, 1, n, sums);
  Tensor scratch =
      empty({outer * pieces * inner}, {.dtype = dtype_of<A>, .device = Device::cuda()});
  A* parts = reinterpret_cast<A*>(scratch.raw());
  run_pieces<Join, A, T, A>(x, parts, rows, pieces, (n + pieces - 1) / pieces, sums);
  run_pieces<typename Join::Parts, A, A, Out>(parts, out, {outer, pieces, inner}, 1, pieces);
}

// log(sum(e^x)), shifted by the maximum. One warp per row or column.
template <class T>
__global__ void __launch_bounds__(kThreads) log_sum_exp_kernel(const T* x, T* out, RowsShape rows) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            teams = static_cast<int>(blockDim.x) / kWarp;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * teams + static_cast<int>(threadIdx.x) / kWarp;
       k < rows.outer * rows.inner; k += static_cast<int64_t>(gridDim.x) * teams) {
    const T* row = x + k / rows.inner * rows.n * rows.inner + k % rows.inner;
    T top = Larger::none<T>();
    for (int64_t i = lane; i < rows.n; i += kWarp) top = maximum(top, row[i * rows.inner]);
    top = warp_join<Larger>(top);
    const bool infinite =
        top == std::numeric_limits<T>::infinity() || top == -std::numeric_limits<T>::infinity();
    double sum = 0;
    for (int64_t i = lane; i < rows.n; i += kWarp)
      sum += static_cast<double>(exp(row[i * rows.inner] - top));
    sum = warp_join<AddUp>(sum);
    if (lane == 0) out[k] = infinite ? top : top + static_cast<T>(log(sum));
  }
}

// One warp per row or column.
template <class T, bool kMax>
__global__ void __launch_bounds__(kThreads) arg_kernel(const T* x, int64_t* out, RowsShape rows) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            teams = static_cast<int>(blockDim.x) / kWarp;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * teams + static_cast<int>(threadIdx.x) / kWarp;
       k < rows.outer * rows.inner; k += static_cast<int64_t>(gridDim.x) * teams) {
    const T* row = x + k / rows.inner * rows.n * rows.inner + k % rows.inner;
    const int64_t best = warp_arg<kMax>(row, rows.n, rows.inner);
    if (lane == 0) out[k] = best;
  }
}

}  // namespace

void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows) {
  if (out.numel() == 0) return;
  const auto each = [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(in.raw());
    T* to = reinterpret_cast<T*>(out.raw());
    using Whole = std::conditional_t<Number<T>, T, int64_t>;
    if (kind == ReduceKind::Max) return run<Max, Whole>(x, to, rows);
    if (kind == ReduceKind::Min) return run<Min, Whole>(x, to, rows);
    if constexpr (Number<T>) {
      if (kind == ReduceKind::Sum) return run<Sum, SumType<T>>(x, to, rows);
      if (kind == ReduceKind::Product) return run<Product, SumType<T>>(x, to, rows);
    }
    if constexpr (Real<T>) {
      if (kind == ReduceKind::SumOfSquares) return run<Squares, double>(x, to, rows);
      if (kind == ReduceKind::SquaredDeviations) {
        const Tensor sums =
            empty({rows.outer * rows.inner}, {.dtype = DType::F64, .device = Device::cuda()});
        double* each_sum = reinterpret_cast<double*>(sums.raw());
        run<Sum, double>(x, each_sum, rows);
        return run<Squares, double>(x, to, rows, each_sum);
      }
      launch(log_sum_exp_kernel<T>, grid_for(rows.outer * rows.inner, kThreads / kWarp), kThreads,
             x, to, rows);
    }
  };
  if (in.dtype() == DType::Bool) each(uint8_t{});  // a bool is a byte of 0 or 1
  else dispatch_all(in.dtype(), each);
}

void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows) {
  if (index.numel() == 0) return;
  const dim3 grid = grid_for(rows.outer * rows.inner, kThreads / kWarp);
  dispatch_all(in.dtype(), [&]<class T>(T) {
    const auto kernel = kind == ReduceKind::Max ? arg_kernel<T, true> : arg_kernel<T, false>;
    launch(kernel, grid, kThreads, reinterpret_cast<const T*>(in.raw()),
           reinterpret_cast<int64_t*>(index.raw()), rows);
  });
}

}  // namespace ebb::cuda
