// Rows that are wider than the registers of a block, in shared memory.
//
// A thread copies its elements asynchronously, in groups, and processes the first groups while the
// others arrive. While it writes the result of one row, it already copies the next one into the
// same memory, which is therefore never idle. There is one block per multiprocessor. Elements
// beyond the shared memory form a tail, which is read again for every pass, from the cache.
#pragma once

#include <cuda_pipeline_primitives.h>

#include "ebb/backends/cuda/rows.h"

namespace ebb::cuda {

/// The elements of a wide row that belong to this thread. The interface is that of Row with one
/// array.
template <class Team, class T> class SharedRow {
 public:
  static constexpr int kGroups = 8, kInGroup = 28 / sizeof(T);
  /// The number of elements that a block can keep.
  static constexpr int kMost = Team::size * kGroups * kInGroup;

  /// kept: the number of elements in shared memory, at most kMost and n.
  __device__ SharedRow(int64_t n, int kept)
      : memory_(dynamic_shared_memory<T>()), n_(n), kept_(kept) {}

  /// Starts to copy a row, unless each_last() did.
  __device__ void load(const T* const (&row)[1]) {
    row_ = row[0];
    if (starts_) return;
#pragma unroll 1
    for (int g = 0; g < kGroups; ++g) copy_group(row_, g);
    starts_ = true;
  }

  template <class Body> __device__ void each_batch(const Body& body) {
#pragma unroll 1
    for (int g = 0; g < kGroups; ++g) {
      if (!arrived_) await_copies(kGroups - 1 - g);
      T v[kInGroup][1];
      const int c = first_of(g);
#pragma unroll
      for (int u = 0; u < kInGroup; ++u) {
        if (c + u * Team::size < kept_) v[u][0] = memory_[c + u * Team::size];
      }
      body(c, kept_, v);
    }
    arrived_ = true;
    each_batch_of_tail(body);
  }
  template <class Body> __device__ void each(const Body& body) { each_batch(in_bounds(body)); }

  /// Calls body(c, v) for each element, for the last time, and starts to copy the next row, or none
  /// if null.
  template <class Body> __device__ void each_last(const T* next, const Body& body) {
    last_pass<false>(next, nullptr, body);
  }
  /// Does the same with the elements of another row, which are read once: v[1].
  template <class Body> __device__ void each_last(const T* next, const T* other, const Body& body) {
    last_pass<true>(next, other, body);
  }

 private:
  // Elements of a tail whose loads are in flight together.
  template <int N> static constexpr int kBatch = N == 1 ? 8 : 4;

  __device__ static int first_of(int group) {
    return Team::rank() + group * (kInGroup * Team::size);
  }
  __device__ void copy_group(const T* row, int g) {
    const int c = first_of(g);
#pragma unroll
    for (int u = 0; u < kInGroup; ++u) {
      const int at = c + u * Team::size;
      if (at < kept_) __pipeline_memcpy_async(memory_ + at, row + at, sizeof(T));
    }
    __pipeline_commit();
  }
  // Waits for the copies of this thread, except those of the last `later` groups. The compiler must
  // not move accesses across the wait.
  __device__ static void await_copies(int later) {
    __pipeline_wait_prior(static_cast<size_t>(later));
    asm volatile("" ::: "memory");
  }

  template <class Body> __device__ static auto in_bounds(const Body& body) {
    return [&body]<class C, int Count, int N>(C c, C limit, T(&v)[Count][N]) {
#pragma unroll
      for (int u = 0; u < Count; ++u) {
        if (c + u * Team::size < limit) body(c + u * Team::size, v[u]);
      }
    };
  }

  template <int N>
  __device__ void load_tail(T (&v)[kBatch<N>][N], const T* other, int64_t c) const {
#pragma unroll
    for (int u = 0; u < kBatch<N>; ++u) {
      if (c + u * Team::size >= n_) continue;
      v[u][0] = row_[c + u * Team::size];
      if constexpr (N > 1) v[u][1] = other[c + u * Team::size];
    }
  }
  template <int N = 1, class Body>
  __device__ void each_batch_of_tail(const Body& body, const T* other = nullptr) const {
    constexpr int64_t kStep = kBatch<N> * Team::size;
    T v[kBatch<N>][N], next[kBatch<N>][N];
    int64_t c = int64_t{kept_} + Team::rank();
    load_tail(next, other, c);
    for (; c < n_; c += kStep) {
#pragma unroll
      for (int u = 0; u < kBatch<N>; ++u) {
#pragma unroll
        for (int a = 0; a < N; ++a) v[u][a] = next[u][a];
      }
      load_tail(next, other, c + kStep);  // is loaded while body computes
      body(c, n_, v);
    }
  }

  template <bool kOther, class Body>
  __device__ void last_pass(const T* next, const T* other, const Body& body) {
    if (!arrived_) await_copies(0);
    const auto load_other = [&](T(&to)[kInGroup], int g) {
      if constexpr (kOther) {
        const int c = first_of(g);
#pragma unroll
        for (int u = 0; u < kInGroup; ++u) {
          if (c + u * Team::size < kept_) to[u] = __ldcs(other + c + u * Team::size);
        }
      }
    };
    T following[kInGroup];
    load_other(following, 0);
#pragma unroll 1
    for (int g = 0; g < kGroups; ++g) {
      T v[kInGroup][kOther ? 2 : 1];
      const int c = first_of(g);
#pragma unroll
      for (int u = 0; u < kInGroup; ++u) {
        if (c + u * Team::size < kept_) v[u][0] = memory_[c + u * Team::size];
        if constexpr (kOther) v[u][1] = following[u];
      }
      if (g + 1 < kGroups) load_other(following, g + 1);
      in_bounds(body)(c, kept_, v);
      if (next) copy_group(next, g);
    }
    each_batch_of_tail<kOther ? 2 : 1>(in_bounds(body), other);
    arrived_ = false;
    starts_ = next != nullptr;
  }

  T* memory_;
  const T* row_ = nullptr;
  int64_t n_;
  int kept_;
  bool starts_ = false;   // the copies of the row were started
  bool arrived_ = false;  // and waited for
};

/// The row of a team with one array.
template <class Team, class T>
using RowOf = std::conditional_t<Team::has_tail, SharedRow<Team, T>, Row<Team, T>>;

/// Returns the number of elements that a block keeps in shared memory of a row of n.
template <class Team, class T> int kept_in_shared_memory(int64_t n) {
  if constexpr (!Team::has_tail) return 0;
  const int fits = context().shared_bytes / int{sizeof(T)};
  // Whole turns of the team, so that an element of the tail belongs to the thread of its number.
  const int64_t most = std::min(SharedRow<Team, T>::kMost, fits / Team::size * Team::size);
  return static_cast<int>(std::min(n, most));
}

}  // namespace ebb::cuda
