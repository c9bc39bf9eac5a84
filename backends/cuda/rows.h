// A row of n elements, processed by a team of threads: a warp, or a whole block for wide rows. Rows that fit are kept
// in registers, so that memory is read once; wider ones are read again, from the cache.
#pragma once

#include "ebb/backends/cuda/block.h"

namespace ebb::cuda {

/// How many elements a thread keeps (0: none), and who works on a row.
template <int K, bool kWarpTeam> struct RowTeam {
  static constexpr int kept = K;

  __device__ static int size() { return kWarpTeam ? kWarp : static_cast<int>(blockDim.x); }
  __device__ static int rank() {
    return kWarpTeam ? static_cast<int>(threadIdx.x) % kWarp : static_cast<int>(threadIdx.x);
  }
  __device__ static int64_t first_row() {
    return kWarpTeam ? static_cast<int64_t>(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp
                     : blockIdx.x;
  }
  __device__ static int64_t row_step() {
    return kWarpTeam ? static_cast<int64_t>(gridDim.x) * (blockDim.x / kWarp) : gridDim.x;
  }
  template <class Join, class T> __device__ static T join(T x) {
    if constexpr (kWarpTeam) return warp_join<Join>(x);
    else return block_join<Join>(x);
  }

  /// Calls body(c, k) for this thread's elements c of a row; k counts them where they are kept, and is 0 else.
  template <class Body> __device__ static void each(int64_t n, const Body& body) {
    if constexpr (K > 0) {
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const int64_t c = rank() + static_cast<int64_t>(k) * size();
        if (c < n) body(c, k);
      }
    } else {
      for (int64_t c = rank(); c < n; c += size()) body(c, 0);
    }
  }
};

/// The elements of a row that a thread keeps, or the row itself.
template <class T, class Team> struct Row {
  const T* x;
  T kept[Team::kept > 0 ? Team::kept : 1];

  __device__ Row(const T* row, int64_t n) : x(row) {
    if constexpr (Team::kept > 0) Team::each(n, [&](int64_t c, int k) { kept[k] = row[c]; });
  }
  __device__ T at(int64_t c, int k) const {
    if constexpr (Team::kept > 0) return kept[k];
    else return x[c];
  }
};

/// Calls body(RowTeam, grid, block) with the team for rows of n elements.
template <class Body> void with_row_team(int64_t rows, int64_t n, const Body& body) {
  const dim3 warps = grid_for(rows, kThreads / kWarp), blocks = grid_for(rows, 1);
  if (n <= 32) body(RowTeam<1, true>{}, warps, kThreads);
  else if (n <= 128) body(RowTeam<4, true>{}, warps, kThreads);
  else if (n <= 1024) body(RowTeam<4, false>{}, blocks, kThreads);
  else if (n <= 4096) body(RowTeam<16, false>{}, blocks, kThreads);
  else body(RowTeam<0, false>{}, blocks, 1024);
}

}  // namespace ebb::cuda
