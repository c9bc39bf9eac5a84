// Packing for matrix products: W rows of A, or W columns of B, are interleaved into a panel
// panel[p * W + i], so that a tile reads memory in order.
//
// Each element is read and written once. Sources with unit stride along p are transposed in
// registers. Rows beyond the end repeat the last row or are 0; tiles compute them and drop the
// results.
#pragma once

#include <algorithm>

#include "ebb/backends/cpu/gemm_tile.h"

namespace ebb::cpu::detail {

/// Computes one stage of a register transpose: swaps the off-diagonal H x H blocks of rows x and y.
template <class S, int H, int... I>
[[gnu::always_inline]] inline void swap_blocks(typename S::Vec& x, typename S::Vec& y,
                                               std::integer_sequence<int, I...>) {
  constexpr int kL = S::kLanes;
  const typename S::Vec low = __builtin_shufflevector(x, y, ((I & H) == 0 ? I : kL + I - H)...);
  y = __builtin_shufflevector(x, y, ((I & H) == 0 ? I + H : kL + I)...);
  x = low;
}

template <class S, int H>
[[gnu::always_inline]] inline void transpose_stage(typename S::Vec (&rows)[S::kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < S::kLanes; ++i) {
    if ((i & H) == 0)
      swap_blocks<S, H>(rows[i], rows[i + H], std::make_integer_sequence<int, S::kLanes>{});
  }
  if constexpr (H > 1) transpose_stage<S, H / 2>(rows);
}

/// Packs steps p .. p + lanes of W rows with unit stride along p, given by their pointers.
template <class S, int W, class T>
[[gnu::always_inline]] inline void pack_block(const T* const (&row)[W], int64_t p, T* panel) {
  constexpr int kL = S::kLanes;
  constexpr int kGroups = (W + kL - 1) / kL;
  typename S::Vec block[kGroups][kL];
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 16
    for (int i = 0; i < kL; ++i) load<S>(block[g][i], row[std::min(g * kL + i, W - 1)] + p);
    transpose_stage<S, kL / 2>(block[g]);
  }
  // If W is not a multiple of the lanes, a store overlaps the next step, which is written after it.
#pragma GCC unroll 16
  for (int i = 0; i < kL; ++i) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) store<S>(panel + (p + i) * W + g * kL, block[g][i]);
  }
}

/// Packs `count` <= W rows of k elements, from[i * stride + p * step]. REQUIRES: count, k >= 1. If
/// W is not a multiple of the lanes, up to one vector after the k * W elements of the panel is
/// overwritten.
template <class S, int W, class T>
[[gnu::always_inline]] inline void pack_panel(int64_t count, int64_t k, const T* from,
                                              int64_t stride, int64_t step, T* panel) {
  constexpr int kL = S::kLanes;
  if (stride == 1) {
    if (count == W) {
      for (int64_t p = 0; p < k; ++p) std::memcpy(panel + p * W, from + p * step, W * sizeof(T));
      return;
    }
    std::fill(panel, panel + k * W, T(0));
    return copy_rows<S>(k, count, from, step, panel, W);
  }
  const T* row[W];
  for (int i = 0; i < W; ++i) row[i] = from + std::min<int64_t>(i, count - 1) * stride;
  if (step == 1 && k >= kL) {
    int64_t p = 0;
    for (; p + kL <= k; p += kL) pack_block<S, W>(row, p, panel);
    if (p < k)
      pack_block<S, W>(row, k - kL, panel);  // overlaps the previous block with the same values
    return;
  }
  for (int64_t p = 0; p < k; ++p) {
    for (int i = 0; i < W; ++i) panel[p * W + i] = row[i][p * step];
  }
}

}  // namespace ebb::cpu::detail
