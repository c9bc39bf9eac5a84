// Matrix products in which one side has one row or a few. Their speed is limited by reading the
// other side once.
//
// dot: both sides extend along k in memory. Up to 2 rows of the small side are multiplied with 4 or
// 8 rows of the large side at a time. row: a vector times contiguous rows, four rows of the matrix
// per pass. The block of the result stays in the first-level cache.
//
// One thread. The value of an element does not depend on its neighbors, so the large side may be
// divided between threads.
#pragma once

#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/gemm_pack.h"

namespace ebb::cpu::detail {

/// A set of rows of k contiguous elements.
template <class T> struct Rows {
  const T* data;
  int64_t count, stride;
};

template <class T>
[[gnu::always_inline]] inline T finish(T sum, const T* c, bool accumulate, const T* bias,
                                       bool relu) {
  if (accumulate) sum += *c;
  if (bias) sum += *bias;
  return relu && sum < T(0) ? T(0) : sum;
}

/// Computes sums[i][f]: the dot products of M rows, given by pointers, with F rows.
template <class S, int M, int F, class T>
[[gnu::always_inline]] inline void dots(int64_t k, const T* const (&many)[M], const T* few,
                                        int64_t few_stride, T (&sums)[M][F]) {
  using Vec = typename S::Vec;
  constexpr int kL = S::kLanes;
  Vec acc[M][F] = {}, x, y[F];
  const int64_t whole = k / kL * kL;
  for (int64_t p = 0; p < whole; p += kL) {
#pragma GCC unroll 8
    for (int f = 0; f < F; ++f) load<S>(y[f], few + f * few_stride + p);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      load<S>(x, many[i] + p);
#pragma GCC unroll 8
      for (int f = 0; f < F; ++f) acc[i][f] += x * y[f];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
    for (int f = 0; f < F; ++f) sums[i][f] = horizontal_sum<S>(acc[i][f]);
  }
  for (int64_t p = whole; p < k; ++p) {
#pragma GCC unroll 1
    for (int i = 0; i < M; ++i) {
      for (int f = 0; f < F; ++f) sums[i][f] += many[i][p] * few[f * few_stride + p];
    }
  }
}

/// Computes c[i * many_step + f * few_step] for all of the many rows i and rows f .. f + F of the
/// few.
template <class S, int M, int F, class T>
[[gnu::always_inline]] inline void dot_pass(const Gemm<T>& g, const Rows<T>& many,
                                            const Rows<T>& few, int64_t f, bool many_is_b) {
  const int64_t many_step = many_is_b ? 1 : g.c_row, few_step = many_is_b ? g.c_row : 1;
  for (int64_t i = 0; i < many.count; i += M) {
    const int64_t rows = std::min<int64_t>(M, many.count - i);
    const T* row[M];
    for (int r = 0; r < M; ++r)
      row[r] = many.data + (i + std::min<int64_t>(r, rows - 1)) * many.stride;
    T sums[M][F];
    dots<S, M, F>(g.k, row, few.data + f * few.stride, few.stride, sums);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t q = f; q < f + F; ++q) {
        T* const c = g.c + (i + r) * many_step + q * few_step;
        *c = finish(sums[r][q - f], c, g.accumulate,
                    g.bias ? g.bias + (many_is_b ? i + r : q) : nullptr, g.relu);
      }
    }
  }
}

template <class S, class T> [[gnu::always_inline]] inline void dot(const Gemm<T>& g) {
  const Rows<T> a{g.a, g.m, g.a_row}, b{g.b, g.n, g.b_col};
  const bool many_is_b = g.m <= g.n;
  const Rows<T>& many = many_is_b ? b : a;
  const Rows<T>& few = many_is_b ? a : b;
  int64_t f = 0;
  for (; f + 2 <= few.count; f += 2) dot_pass<S, 4, 2>(g, many, few, f, many_is_b);
  if (f < few.count) dot_pass<S, 8, 1>(g, many, few, f, many_is_b);
}

/// Adds x[0..R) times R rows of B to y (n).
template <class S, int R, class T>
[[gnu::always_inline]] inline void add_rows(int64_t n, const T* x, int64_t x_step, const T* b,
                                            int64_t b_row, T* y) {
  constexpr int kL = S::kLanes;
  T s[R];
  for (int r = 0; r < R; ++r) s[r] = x[r * x_step];
  int64_t j = 0;
  for (; j + kL <= n; j += kL) {
    typename S::Vec sum, bv;
    load<S>(sum, y + j);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      load<S>(bv, b + r * b_row + j);
      sum += s[r] * bv;
    }
    store<S>(y + j, sum);
  }
  for (; j < n; ++j) {
    for (int r = 0; r < R; ++r) y[j] += s[r] * b[r * b_row + j];
  }
}

template <class S, class T> [[gnu::always_inline]] inline void row(const Gemm<T>& g) {
  constexpr int64_t kBlock = 4096 / sizeof(T);
  for (int64_t j = 0; j < g.n; j += kBlock) {
    const int64_t n = std::min(kBlock, g.n - j);
    T* const y = g.c + j;
    if (!g.accumulate) std::fill(y, y + n, T(0));
    int64_t p = 0;
    for (; p + 4 <= g.k; p += 4)
      add_rows<S, 4>(n, g.a + p * g.a_col, g.a_col, g.b + p * g.b_row + j, g.b_row, y);
    for (; p < g.k; ++p)
      add_rows<S, 1>(n, g.a + p * g.a_col, g.a_col, g.b + p * g.b_row + j, g.b_row, y);
    if (g.bias || g.relu) {
      for (int64_t i = 0; i < n; ++i)
        y[i] = finish(y[i], y, false, g.bias ? g.bias + j + i : nullptr, g.relu);
    }
  }
}

}  // namespace ebb::cpu::detail
