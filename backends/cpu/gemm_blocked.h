// Large matrix products, after BLIS: k in blocks of kc, n in blocks of nc, m in blocks of mc.
//
// A packed panel of B (kc x NR, 17 KB) stays in the first-level cache, a packed block of A (mc x
// kc, 120 KB) in the second, and the packed block of B (kc x nc) in the third. C is read and
// written once per block of k. Runs on one thread with its own buffers: gemm_own.cpp distributes
// the tiles of C to threads.
#pragma once

#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/gemm_pack.h"

namespace ebb::cpu::detail {

/// The block sizes for a product, balanced so that no block is much smaller than the others.
struct Blocking {
  int64_t mc, nc, kc;

  Blocking(int64_t m, int64_t n, int64_t k, int64_t tile_rows, int64_t tile_cols,
           int64_t element_size)
      : mc(even(m, kBytesA / (kDepth * element_size), tile_rows)),
        nc(even(n, kBytesB / (kDepth * element_size), tile_cols)),
        kc(even(k, kDepth, 8)) {}

  static constexpr int64_t kDepth = 320;
  static constexpr int64_t kBytesA = 128 << 10;
  static constexpr int64_t kBytesB = 3 << 20;

  static int64_t round_up(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }
  static int64_t even(int64_t size, int64_t limit, int64_t unit) {
    const int64_t blocks = (size + limit - 1) / limit;
    return round_up((size + blocks - 1) / blocks, unit);
  }
};

/// Computes C (mb, nb) from packed A and packed B, tile by tile. Tiles at the border use a buffer.
template <class S, class T>
[[gnu::always_inline]] inline void tiles(int64_t mb, int64_t nb, int64_t kb, const T* a, const T* b,
                                         T* c, int64_t c_row, Epilogue<T> epilogue) {
  constexpr int kMR = S::Set::kTileRows, kNR = 2 * S::kLanes;
  T edge[kMR * kNR];
  T edge_bias[kNR] = {};
  for (int64_t j = 0; j < nb; j += kNR) {
    const int64_t cols = std::min<int64_t>(kNR, nb - j);
    Epilogue<T> here{epilogue.accumulate, epilogue.bias ? epilogue.bias + j : nullptr,
                     epilogue.relu};
    if (here.bias && cols < kNR) {
      copy_rows<S>(1, cols, here.bias, 0, edge_bias, 0);
      here.bias = edge_bias;
    }
    for (int64_t i = 0; i < mb; i += kMR) {
      const int64_t rows = std::min<int64_t>(kMR, mb - i);
      T* const target = c + i * c_row + j;
      const bool partial = rows < kMR || cols < kNR;
      if (partial && here.accumulate) copy_rows<S>(rows, cols, target, c_row, edge, kNR);
      tile<S, kMR, 2>(kb, a + i * kb, 1, kMR, b + j * kb, kNR, partial ? edge : target,
                      partial ? kNR : c_row, here);
      if (partial) copy_rows<S>(rows, cols, edge, kNR, target, c_row);
    }
  }
}

/// Computes all of g on this thread. `a_panels` has mc * kc elements and one vector more,
/// `b_panels` has kc * nc.
template <class S, class T>
[[gnu::always_inline]] inline void blocked(const Gemm<T>& g, const Blocking& block, T* a_panels,
                                           T* b_panels) {
  constexpr int kMR = S::Set::kTileRows, kNR = 2 * S::kLanes;
  for (int64_t j = 0; j < g.n; j += block.nc) {
    const int64_t nb = std::min(block.nc, g.n - j);
    for (int64_t p = 0; p < g.k; p += block.kc) {
      const int64_t kb = std::min(block.kc, g.k - p);
      const bool last = p + kb == g.k;
      const Epilogue<T> epilogue{g.accumulate || p > 0, last && g.bias ? g.bias + j : nullptr,
                                 last && g.relu};
      for (int64_t jj = 0; jj < nb; jj += kNR) {
        S::Set::template call<pack_panel<S, kNR, T>>(std::min<int64_t>(kNR, nb - jj), kb,
                                                     g.b + p * g.b_row + (j + jj) * g.b_col,
                                                     g.b_col, g.b_row, b_panels + jj * kb);
      }
      for (int64_t i = 0; i < g.m; i += block.mc) {
        const int64_t mb = std::min(block.mc, g.m - i);
        for (int64_t ii = 0; ii < mb; ii += kMR) {
          S::Set::template call<pack_panel<S, kMR, T>>(std::min<int64_t>(kMR, mb - ii), kb,
                                                       g.a + (i + ii) * g.a_row + p * g.a_col,
                                                       g.a_row, g.a_col, a_panels + ii * kb);
        }
        tiles<S>(mb, nb, kb, a_panels, b_panels, g.c + i * g.c_row + j, g.c_row, epilogue);
      }
    }
  }
}

}  // namespace ebb::cpu::detail
