// The register tile of matrix products, in GCC vector extensions.
//
// R rows by V vectors of C stay in registers for all of k. Each step loads V vectors of B and
// broadcasts R scalars of A. With 16 vector registers, 6 x 2 tiles have 12 independent FMA chains,
// which hides the latency of two FMA units.
//
// Everything is always inlined, because only code that is inlined into a function with a target
// attribute (gemm_kernels.cpp) is compiled for that instruction set. Vectors are never passed by
// value for the same reason. Partial tiles use a small stack buffer, so nothing outside of the
// operands is accessed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace ebb::cpu::detail {

/// Vectors of T in an instruction set (instruction_sets.h). The instruction set defines
///   kBytes     the size of a vector,
///   kTileRows  the rows of the tile of large products,
///   call<f>(arguments...), which calls an inline function f compiled for the instruction set.
template <class T, class InstructionSet> struct Simd {
  using Set = InstructionSet;
  static constexpr int kLanes = Set::kBytes / static_cast<int>(sizeof(T));
  typedef T Vec __attribute__((vector_size(Set::kBytes)));
  typedef T Unaligned __attribute__((vector_size(Set::kBytes), aligned(sizeof(T)), may_alias));
};

template <class S, class T>
[[gnu::always_inline]] inline void load(typename S::Vec& to, const T* from) {
  to = *reinterpret_cast<const typename S::Unaligned*>(from);
}

template <class S, class T>
[[gnu::always_inline]] inline void store(T* to, const typename S::Vec& from) {
  *reinterpret_cast<typename S::Unaligned*>(to) = from;
}

/// Returns the pairwise sum of the lanes.
template <class S> [[gnu::always_inline]] inline auto horizontal_sum(const typename S::Vec& x) {
  auto value = x;
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int half = S::kLanes / 2; half > 0; half /= 2) {
      value += half == 8   ? __builtin_shufflevector(value, value, (I ^ 8) % S::kLanes...)
               : half == 4 ? __builtin_shufflevector(value, value, (I ^ 4) % S::kLanes...)
               : half == 2 ? __builtin_shufflevector(value, value, (I ^ 2) % S::kLanes...)
                           : __builtin_shufflevector(value, value, (I ^ 1)...);
    }
  }
  (std::make_integer_sequence<int, S::kLanes>{});
  return value[0];
}

template <int Cols, class T>
[[gnu::always_inline]] inline int64_t copy_columns(int64_t rows, int64_t cols, const T* from,
                                                   int64_t from_row, T* to, int64_t to_row) {
  if ((cols & Cols) == 0) return 0;
#pragma GCC unroll 1
  for (int64_t i = 0; i < rows; ++i)
    std::memcpy(to + i * to_row, from + i * from_row, Cols * sizeof(T));
  return Cols;
}

/// Copies (rows, cols) in columns of 16, 8, 4, 2 and 1, so that every move has a constant size and
/// stays inside one vector of a tile.
template <class T>
[[gnu::always_inline]] inline void copy_all(int64_t rows, int64_t cols, const T* from,
                                            int64_t from_row, T* to, int64_t to_row) {
  for (; cols > 16; cols -= 16)
    copy_columns<16>(rows, 16, from, from_row, to, to_row), from += 16, to += 16;
  int64_t done = copy_columns<16>(rows, cols, from, from_row, to, to_row);
  done += copy_columns<8>(rows, cols, from + done, from_row, to + done, to_row);
  done += copy_columns<4>(rows, cols, from + done, from_row, to + done, to_row);
  done += copy_columns<2>(rows, cols, from + done, from_row, to + done, to_row);
  copy_columns<1>(rows, cols, from + done, from_row, to + done, to_row);
}

/// Does the same as a function that is not inlined. It is also compiled for the instruction set: on
/// AMD Zen 3, SSE moves of data that AVX code has just stored cost 100 ns per tile.
template <class S, class T>
[[gnu::always_inline]] inline void copy_rows(int64_t rows, int64_t cols, const T* from,
                                             int64_t from_row, T* to, int64_t to_row) {
  S::Set::template call<copy_all<T>>(rows, cols, from, from_row, to, to_row);
}

/// The operations on a finished tile, in this order.
template <class T> struct Epilogue {
  bool accumulate;
  const T* bias;  // the element of the tile's first column, or null
  bool relu;
};

/// Computes c (R, V vectors) = a (R, k) b (k, V vectors), then the epilogue.
template <class S, int R, int V, class T>
[[gnu::always_inline]] inline void tile(int64_t k, const T* a, int64_t a_row, int64_t a_col,
                                        const T* b, int64_t b_row, T* c, int64_t c_row,
                                        const Epilogue<T>& epilogue) {
  using Vec = typename S::Vec;
  Vec acc[R][V] = {};
  for (int64_t p = 0; p < k; ++p) {
    Vec bv[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) load<S>(bv[v], b + v * S::kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const T s = a[r * a_row];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) acc[r][v] += s * bv[v];
    }
    a += a_col;
    b += b_row;
  }
  if (epilogue.accumulate) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        Vec old;
        load<S>(old, c + r * c_row + v * S::kLanes);
        acc[r][v] += old;
      }
    }
  }
  if (epilogue.bias) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      Vec bias;
      load<S>(bias, epilogue.bias + v * S::kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) acc[r][v] += bias;
    }
  }
  if (epilogue.relu) {
    const Vec zero = {};
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) acc[r][v] = acc[r][v] < zero ? zero : acc[r][v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) store<S>(c + r * c_row + v * S::kLanes, acc[r][v]);
  }
}

}  // namespace ebb::cpu::detail
