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
#include "ebb/core/wrapping.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kBlock = 256;        // columns whose accumulators fit into L1
constexpr int64_t kChunk = 32 * 1024;  // elements that a thread processes at a time

template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double>;

struct SumStep {
  template <class A> EBB_HD static A step(A a, A x) {
    return static_cast<A>(wrapping(a) + wrapping(x));
  }
  template <class A> static constexpr A first() { return A(0); }
};
struct ProductStep {
  template <class A> EBB_HD static A step(A a, A x) {
    return static_cast<A>(wrapping(a) * wrapping(x));
  }
  template <class A> static constexpr A first() { return A(1); }
};
struct SquareStep {
  template <class A> EBB_HD static A step(A a, A x) { return a + x * x; }
  template <class A> static constexpr A first() { return A(0); }
};
// The larger of two elements; NaN if either is NaN.
struct MaxStep {
  template <class A> EBB_HD static A step(A a, A x) { return a > x ? a : (a == a ? x : a); }
  template <class A> static constexpr A first() {
    return std::numeric_limits<A>::has_infinity ? -std::numeric_limits<A>::infinity()
                                                : std::numeric_limits<A>::lowest();
  }
};
struct MinStep {
  template <class A> EBB_HD static A step(A a, A x) { return a < x ? a : (a == a ? x : a); }
  template <class A> static constexpr A first() {
    return std::numeric_limits<A>::has_infinity ? std::numeric_limits<A>::infinity()
                                                : std::numeric_limits<A>::max();
  }
};

/// Combines two parts of a row, whose elements have been squared already.
template <class Step>
using Joining = std::conditional_t<std::is_same_v<Step, SquareStep>, SumStep, Step>;

// Rows of n elements. Long ones: element i belongs to lane i % kLanes, and the loop over the lanes
// is vectorized. Short ones: one element after another, four rows at a time, so that their
// additions overlap.
template <class Step, class A, class T, class Out>
EBB_MULTIVERSION void reduce_rows(const T* x, int64_t rows, int64_t n, Out* out) {
  int64_t i = 0;
  for (; n < kLanes && i + 4 <= rows; i += 4) {
    const T* row = x + i * n;
    A a = Step::template first<A>(), b = a, c = a, d = a;
    for (int64_t j = 0; j < n; ++j) {
      a = Step::step(a, static_cast<A>(row[j]));
      b = Step::step(b, static_cast<A>(row[n + j]));
      c = Step::step(c, static_cast<A>(row[2 * n + j]));
      d = Step::step(d, static_cast<A>(row[3 * n + j]));
    }
    out[i] = static_cast<Out>(a), out[i + 1] = static_cast<Out>(b);
    out[i + 2] = static_cast<Out>(c), out[i + 3] = static_cast<Out>(d);
  }
  for (; i < rows; ++i) {
    const T* row = x + i * n;
    int64_t at = 0;
    if (n < kLanes) {
      A a = Step::template first<A>();
      for (; at < n; ++at) a = Step::step(a, static_cast<A>(row[at]));
      out[i] = static_cast<Out>(a);
      continue;
    }
    A lanes[kLanes];
    for (A& lane : lanes) lane = Step::template first<A>();
    for (; at + kLanes <= n; at += kLanes) {
EBB_INDEPENDENT
      for (int64_t j = 0; j < kLanes; ++j)
        lanes[j] = Step::step(lanes[j], static_cast<A>(row[at + j]));
    }
    for (int64_t j = 0; at < n; ++at, ++j) lanes[j] = Step::step(lanes[j], static_cast<A>(row[at]));
    for (int64_t width = kLanes / 2; width > 0; width /= 2) {
      for (int64_t j = 0; j < width; ++j)
        lanes[j] = Joining<Step>::step(lanes[j], lanes[j + width]);
    }
    out[i] = static_cast<Out>(lanes[0]);
  }
}

template <class Step, class A, class T> A reduce_run(const T* x, int64_t n) {
  A result;
  reduce_rows<Step, A>(x, 1, n, &result);
  return result;
}

// Reduces a long row in pieces, and combines them in order.
template <class Step, class A, class T> A reduce_row(const T* x, int64_t n) {
  if (n <= kChunk) return reduce_run<Step, A>(x, n);
  const int64_t count = (n + kChunk - 1) / kChunk;
  const Temporary<A> parts(count);
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    parts[begin / kChunk] = reduce_run<Step, A>(x + begin, end - begin);
  });
  return reduce_run<Joining<Step>, A>(parts.data(), count);
}

template <class Step, class A, class T>
EBB_MULTIVERSION void reduce_columns(const T* x, int64_t n, int64_t inner, int64_t width, T* out) {
  A block[kBlock];
  for (int64_t j = 0; j < width; ++j) block[j] = Step::template first<A>();
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {  // four rows each time the accumulators are loaded
    const T* row = x + i * inner;
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      A a = Step::step(block[j], static_cast<A>(row[j]));
      a = Step::step(a, static_cast<A>(row[inner + j]));
      a = Step::step(a, static_cast<A>(row[2 * inner + j]));
      block[j] = Step::step(a, static_cast<A>(row[3 * inner + j]));
    }
  }
  for (; i < n; ++i) {
    const T* row = x + i * inner;
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) block[j] = Step::step(block[j], static_cast<A>(row[j]));
  }
  for (int64_t j = 0; j < width; ++j) out[j] = static_cast<T>(block[j]);
}

// Calls body(first element, width, position in out) for the blocks of columns of each (n, inner)
// plane.
template <class Body> void each_block(RowsShape rows, const Body& body) {
  const auto [outer, n, inner] = rows;
  const int64_t blocks = (inner + kBlock - 1) / kBlock;
  const int64_t work = std::max<int64_t>(1, n * std::min(inner, kBlock));
  parallel_for(outer * blocks, std::max<int64_t>(1, kChunk / work),
               [&, n = n, inner = inner](int64_t begin, int64_t end) {
                 for (int64_t k = begin; k < end; ++k) {
                   const int64_t o = k / blocks, j = k % blocks * kBlock;
                   body(o * n * inner + j, std::min(kBlock, inner - j), o * inner + j);
                 }
               });
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
                   reduce_rows<Step, A>(x + begin * n, end - begin, n, out + begin);
                 });
    return;
  }
  each_block(rows, [=, n = n, inner = inner](int64_t from, int64_t width, int64_t to) {
    reduce_columns<Step, A>(x + from, n, inner, width, out + to);
  });
}

// Returns log(sum(e^x)), shifted by the maximum.
template <class T> T log_sum_exp(const T* x, int64_t n) {
  if (const T top = row_max(x, n); std::isfinite(top)) {
    const double sum = row_exp_sum(x, top, n);  // NaN if an element is NaN
    return top + static_cast<T>(log(sum));
  }
  T top = -std::numeric_limits<T>::infinity();
  for (int64_t i = 0; i < n; ++i) top = maximum(top, x[i]);
  return top;  // infinite or NaN
}

template <class T>
EBB_KERNEL void log_sum_exp_columns(const T* x, int64_t n, int64_t inner, int64_t width, T* out) {
  T top[kBlock], shift[kBlock];
  double sum[kBlock] = {};
  constexpr T inf = std::numeric_limits<T>::infinity();
  for (int64_t j = 0; j < width; ++j) top[j] = -inf;
  for (int64_t i = 0; i < n; ++i) {
    EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) top[j] = MaxStep::step(top[j], x[i * inner + j]);
  }
  for (int64_t j = 0; j < width; ++j) shift[j] = abs(top[j]) < inf ? top[j] : T(0);
  for (int64_t i = 0; i < n; ++i) {
    EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j)
      sum[j] += static_cast<double>(math::exp_nonpositive(x[i * inner + j] - shift[j]));
  }
  // An infinite or NaN maximum is the result.
  for (int64_t j = 0; j < width; ++j)
    out[j] = abs(top[j]) < inf ? top[j] + static_cast<T>(log(sum[j])) : top[j];
}

template <class T> void log_sum_exp_all(const T* x, T* out, RowsShape rows) {
  const auto [outer, n, inner] = rows;
  if (inner > 1) {
    each_block(rows, [=, n = n, inner = inner](int64_t from, int64_t width, int64_t to) {
      log_sum_exp_columns(x + from, n, inner, width, out + to);
    });
    return;
  }
  parallel_for(outer, std::max<int64_t>(1, kChunk / 8 / std::max<int64_t>(n, 1)),
               [&, n = n](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) out[i] = log_sum_exp(x + i * n, n);
               });
}

// Returns the sum of (x - c)^2.
template <class T> EBB_MULTIVERSION double squares_about(const T* x, double c, int64_t n) {
  double lanes[kLanes] = {};
  int64_t at = 0;
  for (; at + kLanes <= n; at += kLanes) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < kLanes; ++j) {
      const double d = static_cast<double>(x[at + j]) - c;
      lanes[j] += d * d;
    }
  }
  for (int64_t j = 0; j < n - at; ++j) {
    const double d = static_cast<double>(x[at + j]) - c;
    lanes[j] += d * d;
  }
  return sum_of_lanes(lanes);
}

struct Spread {
  double count = 0, mean = 0, squares = 0;  // of the deviations from the mean
};

template <class T> Spread spread_of(const T* x, int64_t n) {
  const double mean = reduce_run<SumStep, double>(x, n) / static_cast<double>(n);
  return {static_cast<double>(n), mean, squares_about(x, mean, n)};
}

// Computes a long row in pieces that stay in the cache, and combines them in order (Chan et al.
// 1979).
template <class T> double squared_deviations(const T* x, int64_t n) {
  if (n <= kChunk) return n == 0 ? 0 : spread_of(x, n).squares;
  const int64_t count = (n + kChunk - 1) / kChunk;
  const Temporary<Spread> parts(count);
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    parts[begin / kChunk] = spread_of(x + begin, end - begin);
  });
  Spread all = parts[0];
  for (int64_t k = 1; k < count; ++k) {
    const Spread& part = parts[k];
    const double apart = part.mean - all.mean, total = all.count + part.count;
    all.squares += part.squares + apart * apart * (all.count * part.count / total);
    all.mean += apart * (part.count / total);
    all.count = total;
  }
  return all.squares;
}

template <class T>
EBB_MULTIVERSION void deviations_of_columns(const T* x, int64_t n, int64_t inner, int64_t width,
                                            T* out) {
  double mean[kBlock] = {}, squares[kBlock] = {};
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) mean[j] += static_cast<double>(x[i * inner + j]);
  }
  for (int64_t j = 0; j < width; ++j) mean[j] /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const double d = static_cast<double>(x[i * inner + j]) - mean[j];
      squares[j] += d * d;
    }
  }
  for (int64_t j = 0; j < width; ++j) out[j] = static_cast<T>(squares[j]);
}

template <class T> void deviations_all(const T* x, T* out, RowsShape rows) {
  const auto [outer, n, inner] = rows;
  if (inner > 1) {
    each_block(rows, [=, n = n, inner = inner](int64_t from, int64_t width, int64_t to) {
      deviations_of_columns(x + from, n, inner, width, out + to);
    });
    return;
  }
  const int64_t grain = n > kChunk ? outer : std::max<int64_t>(1, kChunk / std::max<int64_t>(n, 1));
  parallel_for(outer, grain, [&, n = n](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(squared_deviations(x + i * n, n));
  });
}

}  // namespace

void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows) {
  if (out.numel() == 0) return;
  dispatch_all(in.dtype(), [&]<class Stored>(Stored) {
    using T = std::conditional_t<std::is_same_v<Stored, bool>, uint8_t, Stored>;  // 0 or 1
    const T* x = reinterpret_cast<const T*>(in.raw());
    T* to = reinterpret_cast<T*>(out.raw());
    if (kind == ReduceKind::Max) return reduce_all<MaxStep, T>(x, to, rows);
    if (kind == ReduceKind::Min) return reduce_all<MinStep, T>(x, to, rows);
    if constexpr (Number<T>) {
      if (kind == ReduceKind::Sum) return reduce_all<SumStep, Accumulator<T>>(x, to, rows);
      if (kind == ReduceKind::Product) return reduce_all<ProductStep, Accumulator<T>>(x, to, rows);
    }
    if constexpr (Real<T>) {
      if (kind == ReduceKind::SumOfSquares) return reduce_all<SquareStep, double>(x, to, rows);
      if (kind == ReduceKind::SquaredDeviations) return deviations_all(x, to, rows);
      log_sum_exp_all(x, to, rows);
    }
  });
}

}  // namespace ebb::cpu
