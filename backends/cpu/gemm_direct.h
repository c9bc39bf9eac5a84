// Small matrix products on one thread.
//
// A is read in place with any strides (tiles broadcast its scalars). B is read in stripes of V
// vectors of columns: in place if its rows are contiguous and the stripe is full, and otherwise
// packed into a stack buffer of at most kDepth steps of k. Rows are distributed evenly to the
// tiles, so that no short tile waits for the latency of its few FMA chains. Traffic: A is read once
// per stripe, B once, and C once per kDepth steps of k.
#pragma once

#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/gemm_pack.h"

namespace ebb::cpu::detail {

/// Computes columns of C: c (m, cols), 1 <= cols <= V vectors, in tiles of up to MaxRows rows.
template <class S, int MaxRows, int V, class T>
[[gnu::always_inline]] inline void stripe(const Gemm<T>& g, int64_t k, const T* a, const T* b,
                                          int64_t b_row, T* c, int64_t cols, Epilogue<T> epilogue) {
  constexpr int kWidth = V * S::kLanes;
  T edge[MaxRows * kWidth];  // for partial tiles
  T edge_bias[kWidth] = {};
  const bool partial = cols < kWidth;
  if (partial && epilogue.bias) {
    copy_rows<S>(1, cols, epilogue.bias, 0, edge_bias, 0);
    epilogue.bias = edge_bias;
  }
  const int64_t tiles = (g.m + MaxRows - 1) / MaxRows;
  const int64_t rows_each = g.m / tiles;
  int64_t longer = g.m % tiles;  // the number of tiles with one row more
  for (int64_t i = 0; i < g.m;) {
    const int64_t rows = rows_each + (longer-- > 0);
    T* const target = c + i * g.c_row;
    T* const out = partial ? edge : target;
    const int64_t out_row = partial ? kWidth : g.c_row;
    if (partial && epilogue.accumulate) copy_rows<S>(rows, cols, target, g.c_row, edge, kWidth);
    [&]<int... R>(std::integer_sequence<int, R...>) __attribute__((always_inline)) {
      (void)((rows == R + 1 && (tile<S, R + 1, V>(k, a + i * g.a_row, g.a_row, g.a_col, b, b_row,
                                                  out, out_row, epilogue),
                                true)) ||
             ...);
    }
    (std::make_integer_sequence<int, MaxRows>{});
    if (partial) copy_rows<S>(rows, cols, edge, kWidth, target, g.c_row);
    i += rows;
  }
}

/// Computes columns j .. j + cols of C over all of k.
template <class S, int MaxRows, int V, class T>
[[gnu::always_inline]] inline void columns(const Gemm<T>& g, int64_t j, int64_t cols) {
  constexpr int kWidth = V * S::kLanes;
  constexpr int64_t kDepth = 256;
  constexpr int64_t kNearBytes = 96 << 10;
  alignas(64) T panel[kDepth * kWidth];
  // Rows of B with a large stride share few cache sets. With enough rows of A, packing them is
  // faster.
  const bool near =
      g.m <= 12 || g.b_row * static_cast<int64_t>(sizeof(T)) * std::min(kDepth, g.k) <= kNearBytes;
  const bool in_place = g.b_col == 1 && cols == kWidth && near;
  for (int64_t p = 0; p == 0 || p < g.k; p += kDepth) {
    const int64_t depth = std::min(kDepth, g.k - p);
    const bool last = p + depth == g.k;
    const T* b = g.b + p * g.b_row + j * g.b_col;
    if (!in_place && depth > 0)
      S::Set::template call<pack_panel<S, kWidth, T>>(cols, depth, b, g.b_col, g.b_row, panel);
    stripe<S, MaxRows, V>(
        g, depth, g.a + p * g.a_col, in_place ? b : panel, in_place ? g.b_row : kWidth, g.c + j,
        cols,
        Epilogue<T>{g.accumulate || p > 0, last && g.bias ? g.bias + j : nullptr, last && g.relu});
  }
}

template <class S, class T> [[gnu::always_inline]] inline void direct(const Gemm<T>& g) {
  constexpr int64_t kL = S::kLanes;
  int64_t j = 0;
  for (; j + kL < g.n; j += 2 * kL) columns<S, 6, 2>(g, j, std::min(2 * kL, g.n - j));
  if (j < g.n) columns<S, 8, 1>(g, j, g.n - j);
}

}  // namespace ebb::cpu::detail
