// Max pooling of 2x2 windows at stride 2: N outputs of a row at a time, in vectors. Each element is
// read once. For pooling.cpp alone.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "ebb/core/pooling.h"

namespace ebb::cpu {

/// An integer as wide as T.
template <class T> using Lane = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

/// Returns true if the functions here compute the windows: no padding, and at least 4 outputs in a
/// row.
inline bool is_2x2(const PoolShape& s) {
  const auto plain = [](const PoolAxis& a) {
    return !a.adaptive && a.kernel == 2 && a.stride == 2 && a.padding == 0 && a.dilation == 1 &&
           2 * a.out <= a.in;
  };
  return plain(s.rows) && plain(s.cols) && s.cols.out >= 4;
}

// Even and odd elements of 2 N neighbors, and the inverse. References, because vectors as
// arguments have no stable ABI.
template <class V, size_t... K>
EBB_HD void split_pairs(const V& x, const V& y, V& even, V& odd, std::index_sequence<K...>) {
  even = __builtin_shufflevector(x, y, static_cast<int>(2 * K)...);
  odd = __builtin_shufflevector(x, y, static_cast<int>(2 * K + 1)...);
}
template <class V, size_t... K>
EBB_HD void join_pairs(const V& even, const V& odd, V& x, V& y, std::index_sequence<K...>) {
  constexpr int kHalf = sizeof...(K) / 2;
  x = __builtin_shufflevector(even, odd, static_cast<int>(K / 2 + K % 2 * sizeof...(K))...);
  y = __builtin_shufflevector(even, odd, static_cast<int>(kHalf + K / 2 + K % 2 * sizeof...(K))...);
}

template <class T, int N> struct Block {
  typedef T V [[gnu::vector_size(N * sizeof(T))]];
  typedef Lane<T> I [[gnu::vector_size(N * sizeof(T))]];
  typedef uint8_t Bytes [[gnu::vector_size(N)]];
  static constexpr std::make_index_sequence<N> kLanes{};

  EBB_HD static void load_pairs(const T* row, V& even, V& odd) {
    V x, y;
    __builtin_memcpy(&x, row, sizeof x);
    __builtin_memcpy(&y, row + N, sizeof y);
    split_pairs(x, y, even, odd, kLanes);
  }
  EBB_HD static void store_pairs(T* row, const V& even, const V& odd) {
    V x, y;
    join_pairs(even, odd, x, y, kLanes);
    __builtin_memcpy(row, &x, sizeof x);
    __builtin_memcpy(row + N, &y, sizeof y);
  }
  EBB_HD static void keep_larger(const V& v, int position, V& most, I& chosen) {
    const I better = (v > most) | (v != v);
    most = better ? v : most;
    chosen = better ? I{} + position : chosen;
  }

  EBB_HD static void max(const T* top, const T* low, T* y, uint8_t* offsets) {
    V most, b, c, d;
    load_pairs(top, most, b);
    load_pairs(low, c, d);
    I chosen = {};
    keep_larger(b, 1, most, chosen);
    keep_larger(c, 2, most, chosen);
    keep_larger(d, 3, most, chosen);
    const Bytes bytes = __builtin_convertvector(chosen, Bytes);
    __builtin_memcpy(y, &most, sizeof most);
    __builtin_memcpy(offsets, &bytes, sizeof bytes);
  }
  EBB_HD static void spread(const T* g, const uint8_t* offsets, T* top, T* low) {
    V v;
    Bytes bytes;
    __builtin_memcpy(&v, g, sizeof v);
    __builtin_memcpy(&bytes, offsets, sizeof bytes);
    const I chosen = __builtin_convertvector(bytes, I);
    const V zero = {};
    store_pairs(top, chosen == 0 ? v : zero, chosen == 1 ? v : zero);
    store_pairs(low, chosen == 2 ? v : zero, chosen == 3 ? v : zero);
  }
};

// Calls block(j) for blocks of N outputs of a row; the last one ends with the row and may overlap
// the one before.
template <int N, class Body> EBB_HD void for_blocks(int64_t n, const Body& block) {
  for (int64_t j = 0; j < n; j += N) block(j + N <= n ? j : n - N);
}

template <class T, int N>
EBB_HD void max_rows_2x2(const PoolShape& s, const T* x, T* y, uint8_t* offsets) {
  const int64_t in = s.cols.in, out = s.cols.out;
  for (int64_t r = 0; r < s.rows.out; ++r) {
    for_blocks<N>(out, [=](int64_t j) EBB_INLINE {
      const T* top = x + 2 * r * in + 2 * j;
      Block<T, N>::max(top, top + in, y + r * out + j, offsets + r * out + j);
    });
  }
}
template <class T>
EBB_MULTIVERSION void max_plane_2x2(PoolShape s, const T* x, T* y, uint8_t* offsets) {
  if (s.cols.out >= 16) max_rows_2x2<T, 16>(s, x, y, offsets);
  else if (s.cols.out >= 8) max_rows_2x2<T, 8>(s, x, y, offsets);
  else max_rows_2x2<T, 4>(s, x, y, offsets);
}

template <class T, int N>
EBB_HD void spread_rows_2x2(const PoolShape& s, const T* g, const uint8_t* offsets, T* x) {
  const int64_t in = s.cols.in, out = s.cols.out;
  for (int64_t r = 0; r < s.rows.out; ++r) {
    for_blocks<N>(out, [=](int64_t j) EBB_INLINE {
      T* top = x + 2 * r * in + 2 * j;
      Block<T, N>::spread(g + r * out + j, offsets + r * out + j, top, top + in);
    });
    for (int64_t j = 2 * out; j < in; ++j) x[2 * r * in + j] = x[(2 * r + 1) * in + j] = T(0);
  }
  for (int64_t j = 2 * s.rows.out * in; j < s.rows.in * in; ++j) x[j] = T(0);
}
template <class T>
EBB_MULTIVERSION void spread_plane_2x2(PoolShape s, const T* g, const uint8_t* offsets, T* x) {
  if (s.cols.out >= 16) spread_rows_2x2<T, 16>(s, g, offsets, x);
  else if (s.cols.out >= 8) spread_rows_2x2<T, 8>(s, g, offsets, x);
  else spread_rows_2x2<T, 4>(s, g, offsets, x);
}

}  // namespace ebb::cpu
