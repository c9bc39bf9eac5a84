// The positions of the extremes over the middle axis of a contiguous (outer, n, inner).
//
// If inner = 1, the extreme of each block of a row is found with vectors; the first block that has
// the extreme of the row is then searched for it. If inner > 1, whole rows of `inner` elements are
// compared with the best elements so far. Parallel over rows, pieces of a long single row, and
// blocks of columns; a result does not depend on the number of threads. Traffic: one read.
#include <algorithm>
#include <limits>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/temporary.h"
#include "ebb/core/host_device.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kLanes = 64, kBlock = 512, kColumns = 256, kChunk = 32 * 1024;

// Returns true if a replaces b, an earlier element. NaN counts as the extreme.
template <bool kMax, class T> EBB_HD bool beats(T a, T b) {
  const bool beyond = kMax ? a > b : a < b;
  if constexpr (std::numeric_limits<T>::has_quiet_NaN) return (beyond | (a != a)) & (b == b);
  else return beyond;
}

template <bool kMax, class T> EBB_MULTIVERSION T extreme_of(const T* x, int64_t n) {
  if (n < kLanes) {
    T best = x[0];
    for (int64_t i = 1; i < n; ++i) best = beats<kMax>(x[i], best) ? x[i] : best;
    return best;
  }
  T lanes[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) lanes[j] = x[j];
  int64_t at = kLanes;
  for (; at + kLanes <= n; at += kLanes) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < kLanes; ++j)
      lanes[j] = beats<kMax>(x[at + j], lanes[j]) ? x[at + j] : lanes[j];
  }
  T best = lanes[0];
  for (int64_t j = 1; j < kLanes; ++j) best = beats<kMax>(lanes[j], best) ? lanes[j] : best;
  for (; at < n; ++at) best = beats<kMax>(x[at], best) ? x[at] : best;
  return best;
}

template <class T> struct Found {
  T value;
  int64_t at;
};

// n >= 1.
template <bool kMax, class T> Found<T> find(const T* x, int64_t n) {
  T best = x[0];
  int64_t block = 0;
  for (int64_t at = 0; at < n; at += kBlock) {
    const T top = extreme_of<kMax>(x + at, std::min(kBlock, n - at));
    if (beats<kMax>(top, best)) best = top, block = at;
  }
  int64_t at = block;
  if (best == best) {
    while (x[at] != best) ++at;
  } else {
    while (x[at] == x[at]) ++at;
  }
  return {best, at};
}

template <bool kMax, class T> int64_t find_in_long_row(const T* x, int64_t n) {
  const int64_t count = (n + kChunk - 1) / kChunk;
  const Temporary<Found<T>> parts(count);
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    const Found<T> found = find<kMax>(x + begin, end - begin);
    parts[begin / kChunk] = {found.value, begin + found.at};
  });
  Found<T> best = parts[0];
  for (int64_t k = 1; k < count; ++k) {
    if (beats<kMax>(parts[k].value, best.value)) best = parts[k];
  }
  return best.at;
}

template <bool kMax, class Index, class T>
EBB_MULTIVERSION void find_in_columns(const T* x, int64_t n, int64_t inner, int64_t width,
                                      int64_t* out) {
  T best[kColumns];
  Index at[kColumns];
  for (int64_t j = 0; j < width; ++j) best[j] = x[j], at[j] = 0;
  for (int64_t i = 1; i < n; ++i) {
    const T* row = x + i * inner;
    const Index index = static_cast<Index>(i);
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const bool better = beats<kMax>(row[j], best[j]);
      best[j] = better ? row[j] : best[j];
      at[j] = better ? index : at[j];
    }
  }
  for (int64_t j = 0; j < width; ++j) out[j] = at[j];
}

template <bool kMax, class T> void find_all(const T* x, int64_t* out, RowsShape rows) {
  const int64_t outer = rows.outer, n = rows.n, inner = rows.inner;
  if (inner == 1 && outer == 1 && n > kChunk) {
    out[0] = find_in_long_row<kMax>(x, n);
  } else if (inner == 1) {
    parallel_for(outer, std::max<int64_t>(1, kChunk / n), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = find<kMax>(x + i * n, n).at;
    });
  } else {
    using Narrow = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
    const int64_t blocks = (inner + kColumns - 1) / kColumns;
    const int64_t work = n * std::min(inner, kColumns);
    parallel_for(outer * blocks, std::max<int64_t>(1, kChunk / work),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t k = begin; k < end; ++k) {
                     const int64_t o = k / blocks, j = k % blocks * kColumns;
                     const int64_t width = std::min(kColumns, inner - j);
                     const T* from = x + o * n * inner + j;
                     int64_t* to = out + o * inner + j;
                     if (n <= std::numeric_limits<int32_t>::max())
                       find_in_columns<kMax, Narrow>(from, n, inner, width, to);
                     else find_in_columns<kMax, int64_t>(from, n, inner, width, to);
                   }
                 });
  }
}

}  // namespace

void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows) {
  if (index.numel() == 0) return;
  dispatch_all(in.dtype(), [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(in.raw());
    int64_t* to = reinterpret_cast<int64_t*>(index.raw());
    if (kind == ReduceKind::Max) find_all<true>(x, to, rows);
    else find_all<false>(x, to, rows);
  });
}

}  // namespace ebb::cpu
