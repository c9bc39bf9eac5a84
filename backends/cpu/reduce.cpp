// Reductions over the middle axis of a contiguous (outer, n, inner).
//
// If inner = 1, rows are reduced with several independent accumulators. If inner > 1, whole rows of
// `inner` elements are added to a block of accumulators. Sums are in f64 (int64_t for integers).
// Parallel over outer, over blocks of inner, and over pieces of a long single row; the bounds do
// not depend on the number of threads. Traffic: one read.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/backends/cpu/temporary.h"
#include "ebb/core/scalar.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kBlock = 256;        // columns whose accumulators fit into L1
constexpr int64_t kChunk = 32 * 1024;  // elements that a thread processes at a time

template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double>;

struct SumStep {
  template <class A, class T> static A step(A a, T x) { return a + static_cast<A>(x); }
  template <class A> static constexpr A first() { return A(0); }
};
struct MaxStep {
  template <class A, class T> static A step(A a, T x) { return maximum(a, static_cast<A>(x)); }
  template <class A> static constexpr A first() {
    return std::numeric_limits<A>::has_infinity ? -std::numeric_limits<A>::infinity()
                                                : std::numeric_limits<A>::lowest();
  }
};
struct MinStep {
  template <class A, class T> static A step(A a, T x) { return minimum(a, static_cast<A>(x)); }
  template <class A> static constexpr A first() {
    return std::numeric_limits<A>::has_infinity ? std::numeric_limits<A>::infinity()
                                                : std::numeric_limits<A>::max();
  }
};

template <class Step, class A, class T> EBB_MULTIVERSION A reduce_run(const T* x, int64_t n) {
  A lanes[kLanes];
  for (A& lane : lanes) lane = Step::template first<A>();
  int64_t at = 0;
  for (; at + kLanes <= n; at += kLanes) {
#pragma GCC ivdep
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Step::step(lanes[j], x[at + j]);
  }
  for (int64_t j = 0; j < n - at; ++j) lanes[j] = Step::step(lanes[j], x[at + j]);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) lanes[j] = Step::step(lanes[j], lanes[j + width]);
  }
  return lanes[0];
}

// Reduces a long row in pieces, and combines them in order.
template <class Step, class A, class T> A reduce_row(const T* x, int64_t n) {
  if (n <= kChunk) return reduce_run<Step, A>(x, n);
  const int64_t count = (n + kChunk - 1) / kChunk;
  const Temporary<A> parts(count);
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    parts[begin / kChunk] = reduce_run<Step, A>(x + begin, end - begin);
  });
  return reduce_run<Step, A>(parts.data(), count);
}

template <class Step, class A, class T>
EBB_MULTIVERSION void reduce_columns(const T* x, int64_t n, int64_t inner, int64_t width, T* out) {
  A block[kBlock];
  for (int64_t j = 0; j < width; ++j) block[j] = Step::template first<A>();
  for (int64_t i = 0; i < n; ++i) {
    const T* row = x + i * inner;
#pragma GCC ivdep
    for (int64_t j = 0; j < width; ++j) block[j] = Step::step(block[j], row[j]);
  }
  for (int64_t j = 0; j < width; ++j) out[j] = static_cast<T>(block[j]);
}

template <class Step, class A, class T> void reduce_all(const T* x, T* out, RowsShape rows) {
  const auto [outer, n, inner] = rows;
  if (inner == 1) {
    if (outer == 1) {
      out[0] = static_cast<T>(reduce_row<Step, A>(x, n));
      return;
    }
    parallel_for(outer, std::max<int64_t>(1, kChunk / std::max<int64_t>(n, 1)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i)
                     out[i] = static_cast<T>(reduce_run<Step, A>(x + i * n, n));
                 });
    return;
  }
  const int64_t blocks = (inner + kBlock - 1) / kBlock;
  const int64_t work = std::max<int64_t>(1, n * std::min(inner, kBlock));
  parallel_for(outer * blocks, std::max<int64_t>(1, kChunk / work),
               [&](int64_t begin, int64_t end) {
                 for (int64_t k = begin; k < end; ++k) {
                   const int64_t o = k / blocks, j = k % blocks * kBlock;
                   reduce_columns<Step, A>(x + o * n * inner + j, n, inner,
                                           std::min(kBlock, inner - j), out + o * inner + j);
                 }
               });
}

// Returns log(sum(e^x)) of strided elements, shifted by the maximum.
template <class T> T log_sum_exp(const T* x, int64_t n, int64_t stride) {
  if (const T top = stride == 1 ? row_max(x, n) : T(HUGE_VAL); std::isfinite(top)) {
    return top + static_cast<T>(log(row_exp_sum(x, top, n)));
  }
  T top = -std::numeric_limits<T>::infinity();
  for (int64_t i = 0; i < n; ++i) top = maximum(top, x[i * stride]);
  if (top == -std::numeric_limits<T>::infinity() || top == std::numeric_limits<T>::infinity())
    return top;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(exp(x[i * stride] - top));
  return top + static_cast<T>(log(sum));
}

template <class T> void log_sum_exp_all(const T* x, T* out, RowsShape rows) {
  const auto [outer, n, inner] = rows;
  parallel_for(outer * inner, std::max<int64_t>(1, kChunk / 8 / std::max<int64_t>(n, 1)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t k = begin; k < end; ++k)
                   out[k] = log_sum_exp(x + k / inner * n * inner + k % inner, n, inner);
               });
}

}  // namespace

void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows) {
  if (out.numel() == 0) return;
  const auto run = [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(in.raw());
    T* to = reinterpret_cast<T*>(out.raw());
    if constexpr (Number<T>) {
      if (kind == ReduceKind::Sum) return reduce_all<SumStep, Accumulator<T>>(x, to, rows);
      if (kind == ReduceKind::Max) return reduce_all<MaxStep, T>(x, to, rows);
      if (kind == ReduceKind::Min) return reduce_all<MinStep, T>(x, to, rows);
      if constexpr (Real<T>) log_sum_exp_all(x, to, rows);
    } else {
      fail("reduce", "max and min of ", in.dtype(),
           " tensors are not supported: convert with to(i64)");
    }
  };
  dispatch_all(in.dtype(), run);
}

void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows) {
  dispatch_all(in.dtype(), [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(in.raw());
    int64_t* to = reinterpret_cast<int64_t*>(index.raw());
    const auto [outer, n, inner] = rows;
    parallel_for(outer * inner, std::max<int64_t>(1, kChunk / std::max<int64_t>(n, 1)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t k = begin; k < end; ++k) {
                     const T* row = x + k / inner * n * inner + k % inner;
                     int64_t best = 0;
                     for (int64_t i = 1; i < n; ++i) {
                       const T candidate = row[i * inner], top = row[best * inner];
                       const bool better =
                           kind == ReduceKind::Max ? candidate > top : candidate < top;
                       if (top == top && (better || candidate != candidate)) best = i;
                     }
                     to[k] = best;
                   }
                 });
  });
}

}  // namespace ebb::cpu
