// Rows of n elements, each processed by a team of threads: a warp, or a whole block for wide rows.
//
// The layout keeps memory busy. Each thread loads all of its elements into registers before it
// computes with the first one, and as many teams as possible are resident. Wider rows are in shared
// memory (shared_row.h). If several arrays are needed, such a row has a tail, which is read again
// for every pass, from the cache, because each multiprocessor has one such row in flight.
#pragma once

#include "ebb/backends/cuda/block.h"

namespace ebb::cuda {

/// A team of Size threads, a warp or a block, each of which keeps K elements in registers. Tail:
/// rows may be wider than Size * K. Blocks: the number of blocks per multiprocessor for which the
/// compiler limits registers.
template <int Size, int K, bool Tail = false, int Blocks = 1> struct RowTeam {
  static constexpr int size = Size, kept = K, blocks = Blocks;
  static constexpr bool has_tail = Tail, is_block = Size > kWarp;
  static constexpr int most_threads = is_block ? Size : 1024;  ///< of a block
  static constexpr int threads = is_block ? Size : 128;        ///< of a block, by default

  // Without a division for blocks, so that the compiler sees which values are the same in all
  // threads.
  __device__ static int rank() {
    return is_block ? static_cast<int>(threadIdx.x) : static_cast<int>(threadIdx.x) % Size;
  }
  __device__ static int64_t first_row() {
    return is_block ? blockIdx.x
                    : static_cast<int64_t>(blockIdx.x) * (blockDim.x / Size) + threadIdx.x / Size;
  }
  __device__ static int64_t row_step() {
    return is_block ? gridDim.x : static_cast<int64_t>(gridDim.x) * (blockDim.x / Size);
  }

  /// Joins a value of each thread. REQUIRES that two calls in a row have different slots, 0 and 1.
  template <class Join, class T> __device__ static T join(int slot, T x) {
    if constexpr (is_block) return block_join_once<Join>(slot, x);
    else return warp_join<Join>(x);
  }
  /// Does the same, and sets `any` in all threads if it was set in one of them.
  template <class Join, class T> __device__ static T join(int slot, T x, bool& any) {
    if constexpr (is_block) return block_join_once<Join>(slot, x, &any);
    any = __any_sync(kAllLanes, any);
    return warp_join<Join>(x);
  }
  /// Does the same with barriers before and after, for sums that only few rows need.
  template <class Join, class T> __device__ static T join_apart(T x) {
    if constexpr (is_block) return block_join<Join>(x);
    else return warp_join<Join>(x);
  }
  /// Stores an element of a result. The result of a wide row must not evict its tail from the
  /// cache.
  template <class T> __device__ static void store(T* to, T x) {
    if constexpr (Tail) __stcs(to, x);
    else *to = x;
  }
};

/// The elements of one row that belong to this thread, for N arrays of the same shape.
template <class Team, class T, int N = 1> class Row {
 public:
  /// kept: ignored, for the interface of SharedRow.
  __device__ explicit Row(int64_t n, int kept = 0)
      : n_(n), bound_(static_cast<int>(n < kMost ? n : kMost)) {
    (void)kept;
  }

  /// Loads this thread's elements of a row.
  __device__ void load(const T* const (&rows)[N]) {
#pragma unroll
    for (int a = 0; a < N; ++a) rows_[a] = rows[a];
#pragma unroll
    for (int k = 0; k < Team::kept; ++k) {
      const int c = Team::rank() + k * Team::size;
#pragma unroll
      for (int a = 0; a < N; ++a) {
        if (c < bound_) kept_[k][a] = rows_[a][c];
      }
    }
  }

  /// Calls body(c, limit, v) for batches of this thread's elements: v[u][a] is element c + u size
  /// of array a where that is below limit. The next call sees what body stores there, except in a
  /// tail.
  template <class Body> __device__ void each_batch(const Body& body) {
    body(Team::rank(), bound_, kept_);
    if constexpr (Team::has_tail) {
      constexpr int kStep = kBatch * Team::size;
      T v[kBatch][N], next[kBatch][N];
      int64_t c = kMost + Team::rank();
      load(next, c);
      for (; c < n_; c += kStep) {
#pragma unroll
        for (int u = 0; u < kBatch; ++u) {
#pragma unroll
          for (int a = 0; a < N; ++a) v[u][a] = next[u][a];
        }
        load(next, c + kStep);  // is loaded while body computes
        body(c, n_, v);
      }
    }
  }
  /// Calls body(c, v) for each of this thread's elements: v[a] is element c of array a.
  template <class Body> __device__ void each(const Body& body) {
    each_batch([&]<class C, int Count>(C c, C limit, T(&v)[Count][N]) {
#pragma unroll
      for (int u = 0; u < Count; ++u) {
        if (c + u * Team::size < limit) body(c + u * Team::size, v[u]);
      }
    });
  }
  /// Does the same for the last time. next: the row that load() will load.
  template <class Body> __device__ void each_last(const T* next, const Body& body) {
    (void)next;
    each(body);
  }

 private:
  static constexpr int kMost = Team::size * Team::kept;
  static constexpr int kBatch = N == 1 ? 8 : 4;  // loads of a tail that are in flight together

  __device__ void load(T (&v)[kBatch][N], int64_t c) const {
#pragma unroll
    for (int u = 0; u < kBatch; ++u) {
#pragma unroll
      for (int a = 0; a < N; ++a) {
        if (c + u * Team::size < n_) v[u][a] = rows_[a][c + u * Team::size];
      }
    }
  }

  int64_t n_;
  int bound_;
  const T* rows_[N];
  T kept_[Team::kept][N];
};

/// Calls body(RowTeam) with the team for rows of n elements of T.
template <class T, class Body> void with_row_team(int64_t n, const Body& body) {
  constexpr int kWide = static_cast<int>(sizeof(T) / sizeof(float));  // registers per element
  const int64_t words = n * kWide;
  if (n <= 32) body(RowTeam<32, 1>{});
  else if (words <= 128) body(RowTeam<32, 4 / kWide>{});
  else if (words <= 1024) body(RowTeam<128, 8 / kWide, false, 10>{});
  else if (words <= 2048) body(RowTeam<128, 16 / kWide, false, 8>{});
  else if (words <= 4096) body(RowTeam<256, 16 / kWide, false, 4>{});
  else if (words <= 8192) body(RowTeam<512, 16 / kWide, false, 2>{});
  else body(RowTeam<1024, 2, true>{});
}

}  // namespace ebb::cuda
