// Chooses between Ebb's own kernels, and distributes products to threads.
//
// A product is divided into a grid of blocks of C, one per thread. Each block is computed as a
// product of its own with its own packing buffers. k is never split, so the value of an element
// does not depend on the number of threads.
#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "ebb/backends/cpu/gemm_kernels.h"
#include "ebb/backends/cpu/parallel.h"

namespace ebb::cpu {
namespace {

using detail::Blocking;
using detail::gemm_kernels;

/// A buffer of this thread, which grows as needed.
template <class T> class Scratch {
 public:
  T* at_least(int64_t count) {
    if (count > capacity_) {
      data_.reset();
      capacity_ = 0;
      data_.reset(static_cast<T*>(::operator new(static_cast<size_t>(count) * sizeof(T), kAlign)));
      capacity_ = count;
    }
    return data_.get();
  }

 private:
  static constexpr std::align_val_t kAlign{64};
  struct Delete {
    void operator()(T* p) const { ::operator delete(p, kAlign); }
  };
  std::unique_ptr<T, Delete> data_;
  int64_t capacity_ = 0;
};

template <class T> void blocked_here(const Gemm<T>& g) {
  thread_local Scratch<T> a_scratch, b_scratch;
  const auto& kernels = gemm_kernels<T>();
  const Blocking block(g.m, g.n, g.k, kernels.tile_rows, kernels.tile_cols, sizeof(T));
  kernels.blocked(g, block, a_scratch.at_least(block.mc * block.kc + 64),
                  b_scratch.at_least(block.kc * block.nc));
}

/// Returns rows i .. i + m and columns j .. j + n of the product.
template <class T> Gemm<T> part(const Gemm<T>& g, int64_t i, int64_t m, int64_t j, int64_t n) {
  Gemm<T> p = g;
  p.m = m;
  p.n = n;
  p.a += i * g.a_row;
  p.b += j * g.b_col;
  p.c += i * g.c_row + j;
  if (p.bias) p.bias += j;
  return p;
}

int available_threads() {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Runs `kernel` on a grid of at most `threads` parts of g, whose borders are multiples of the
/// tile.
template <class T, class Kernel>
void on_grid(const Gemm<T>& g, int threads, int64_t tile_rows, int64_t tile_cols, Kernel kernel) {
  const int64_t row_tiles = (g.m + tile_rows - 1) / tile_rows;
  const int64_t col_tiles = (g.n + tile_cols - 1) / tile_cols;
  // Chooses the grid whose largest part costs least. The cost is the number of tiles, plus about as
  // much again for packing each row and column of tiles.
  int64_t grid_rows = 1, grid_cols = 1, least = std::numeric_limits<int64_t>::max();
  for (int64_t r = 1; r <= std::min<int64_t>(threads, row_tiles); ++r) {
    const int64_t c = std::min<int64_t>(threads / r, col_tiles);
    const int64_t rows = (row_tiles + r - 1) / r, cols = (col_tiles + c - 1) / c;
    const int64_t cost = rows * cols + rows + cols;
    if (cost < least) grid_rows = r, grid_cols = c, least = cost;
  }
  const int64_t parts = grid_rows * grid_cols;
  if (parts <= 1) return kernel(g);
  parallel_for(parts, 1, [&](int64_t t, int64_t) {
    const int64_t r = t / grid_cols, c = t % grid_cols;
    const int64_t i = row_tiles * r / grid_rows * tile_rows,
                  j = col_tiles * c / grid_cols * tile_cols;
    const int64_t i_end = std::min(g.m, row_tiles * (r + 1) / grid_rows * tile_rows);
    const int64_t j_end = std::min(g.n, col_tiles * (c + 1) / grid_cols * tile_cols);
    kernel(part(g, i, i_end - i, j, j_end - j));
  });
}

/// Computes n = 1 with contiguous columns of A as the transposed product, block by block in a
/// buffer.
template <class T> void column_gemm(const Gemm<T>& g) {
  constexpr int64_t kBlock = 1024;
  T sums[kBlock];
  for (int64_t i = 0; i < g.m; i += kBlock) {
    const int64_t m = std::min(kBlock, g.m - i);
    gemm_kernels<T>().row(Gemm<T>{.m = 1,
                                  .n = m,
                                  .k = g.k,
                                  .a = g.b,
                                  .a_row = 0,
                                  .a_col = g.b_row,
                                  .b = g.a + i,
                                  .b_row = g.a_col,
                                  .b_col = 1,
                                  .c = sums,
                                  .c_row = m});
    for (int64_t r = 0; r < m; ++r) {
      T* const c = g.c + (i + r) * g.c_row;
      const T sum = sums[r] + (g.accumulate ? *c : T(0)) + (g.bias ? *g.bias : T(0));
      *c = g.relu && sum < T(0) ? T(0) : sum;
    }
  }
}

// Measured on Zen 3 (32 KB, 512 KB and 32 MB of cache).

// The borders between threads of kernels that have vectors and a scalar remainder: a multiple of
// the rows and lanes of each, so that an element is computed by the same instructions for any
// number of threads. Compilers may fuse a product and a sum in one of them and not in the other.
constexpr int64_t kVectorBorder = 64;
// From this m n k on, a second thread is worth starting.
constexpr int64_t kThreadWork = 512 << 10;
// Up to this size, reading A in place is faster than packing it; the second bound is for rows of A
// that are not contiguous.
constexpr int64_t kDirectBytes = 512 << 10;
constexpr int64_t kDirectStridedBytes = 128 << 10;
// From this size of B^T on, dot products that read it once are faster than packing it.
constexpr int64_t kStreamBytes = 1 << 20;

/// Returns true if dot products are the best implementation for g.
template <class T> bool dot_pays(const Gemm<T>& g) {
  if (g.a_col != 1 || g.b_row != 1 || g.k < 16) return false;
  return g.m <= 2 || g.n <= 3 ||
         (g.m <= 8 && g.n * g.k * static_cast<int64_t>(sizeof(T)) >= kStreamBytes);
}

template <class T> bool direct_pays(const Gemm<T>& g) {
  const int64_t bytes = g.m * g.k * static_cast<int64_t>(sizeof(T));
  return g.m <= 8 || g.n <= 8 || bytes <= (g.a_col == 1 ? kDirectBytes : kDirectStridedBytes);
}

}  // namespace

template <class T> void own_gemm(const Gemm<T>& g) {
  if (g.m <= 0 || g.n <= 0) return;
  const auto& kernels = gemm_kernels<T>();
  const int64_t work = g.m * g.n * g.k;
  void (*kernel)(const Gemm<T>&) = kernels.direct;
  bool vectors = true;
  if (dot_pays(g)) {
    kernel = kernels.dot;
  } else if (g.m == 1 && g.b_col == 1 && work > 256) {
    kernel = kernels.row;
  } else if (g.n == 1 && g.a_row == 1 && work > 256) {
    kernel = column_gemm<T>;
  } else {
    vectors = false;
    if (!direct_pays(g)) kernel = blocked_here<T>;
  }
  if (work <= kThreadWork) return kernel(g);
  on_grid(g, available_threads(), vectors ? kVectorBorder : kernels.tile_rows,
          vectors ? kVectorBorder : kernels.tile_cols, kernel);
}

template <class T> void direct_gemm(const Gemm<T>& g) {
  if (g.m > 0 && g.n > 0) gemm_kernels<T>().direct(g);
}

template <class T> void packed_gemm(const Gemm<T>& g, int threads) {
  if (g.m <= 0 || g.n <= 0) return;
  if (g.k <= 0) return direct_gemm(g);
  const auto& kernels = gemm_kernels<T>();
  on_grid(g, threads, kernels.tile_rows, kernels.tile_cols,
          [](const Gemm<T>& p) { blocked_here(p); });
}

template <class T> void dot_gemm(const Gemm<T>& g) { gemm_kernels<T>().dot(g); }

template <class T> void row_gemm(const Gemm<T>& g) { gemm_kernels<T>().row(g); }

const char* gemm_isa() { return gemm_kernels<float>().isa; }

template void own_gemm(const Gemm<float>&);
template void own_gemm(const Gemm<double>&);
template void direct_gemm(const Gemm<float>&);
template void direct_gemm(const Gemm<double>&);
template void packed_gemm(const Gemm<float>&, int);
template void packed_gemm(const Gemm<double>&, int);
template void dot_gemm(const Gemm<float>&);
template void dot_gemm(const Gemm<double>&);
template void row_gemm(const Gemm<float>&);
template void row_gemm(const Gemm<double>&);

}  // namespace ebb::cpu
