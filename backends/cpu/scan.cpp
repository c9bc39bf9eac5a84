// Running sums, products and linear recurrences along the middle axis of a contiguous (outer, n,
// inner).
//
// If inner = 1, four elements of a row are combined with each other before they are combined with
// the elements before them, which makes the chain of dependent additions a quarter as long. A long
// single row is first summed in pieces, and each piece then starts from the sum of those before it.
// If inner > 1, whole rows of `inner` elements are added to a block of accumulators. Accumulators
// are f64 (int64_t for integers). Parallel over rows, blocks of columns and pieces, whose bounds do
// not depend on the number of threads. Traffic: one read and one write; two reads of a long single
// row.
#include <algorithm>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/temporary.h"
#include "ebb/core/host_device.h"
#include "ebb/core/wrapping.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kBlock = 256;        // columns whose accumulators stay in the L1 cache
constexpr int64_t kChunk = 32 * 1024;  // elements that a thread processes at a time

template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double>;

struct Sums {
  template <class A> static A join(A a, A b) {
    return static_cast<A>(wrapping(a) + wrapping(b));
  }
  template <class A> static constexpr A first() { return A(0); }
};
struct Products {
  template <class A> static A join(A a, A b) {
    return static_cast<A>(wrapping(a) * wrapping(b));
  }
  template <class A> static constexpr A first() { return A(1); }
};

/// The index of the i-th of n elements, forward or backward.
struct Direction {
  int64_t n;
  bool reverse;
  int64_t operator()(int64_t i) const { return reverse ? n - 1 - i : i; }
};

// Returns the last accumulated value.
template <class Join, class T, class A>
A scan_run(const T* x, T* out, int64_t n, bool reverse, A before) {
  const Direction at{n, reverse};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const A a = static_cast<A>(x[at(i)]), b = static_cast<A>(x[at(i + 1)]),
            c = static_cast<A>(x[at(i + 2)]), d = static_cast<A>(x[at(i + 3)]);
    const A ab = Join::join(a, b), cd = Join::join(c, d);
    out[at(i)] = static_cast<T>(Join::join(before, a));
    out[at(i + 1)] = static_cast<T>(Join::join(before, ab));
    out[at(i + 2)] = static_cast<T>(Join::join(before, Join::join(ab, c)));
    before = Join::join(before, Join::join(ab, cd));
    out[at(i + 3)] = static_cast<T>(before);
  }
  for (; i < n; ++i) {
    before = Join::join(before, static_cast<A>(x[at(i)]));
    out[at(i)] = static_cast<T>(before);
  }
  return before;
}

// Returns the sum, or product, of a piece of a long row.
template <class Join, class A, class T> EBB_MULTIVERSION A total_of(const T* x, int64_t n) {
  A lanes[16];
  for (A& lane : lanes) lane = Join::template first<A>();
  int64_t at = 0;
  for (; at + 16 <= n; at += 16) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < 16; ++j) lanes[j] = Join::join(lanes[j], static_cast<A>(x[at + j]));
  }
  for (; at < n; ++at) lanes[0] = Join::join(lanes[0], static_cast<A>(x[at]));
  for (int64_t j = 1; j < 16; ++j) lanes[0] = Join::join(lanes[0], lanes[j]);
  return lanes[0];
}

template <class Join, class T> void scan_long_row(const T* x, T* out, int64_t n, bool reverse) {
  using A = Accumulator<T>;
  const int64_t count = (n + kChunk - 1) / kChunk;
  const Temporary<A> before(count);
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    before[begin / kChunk] = total_of<Join, A>(x + begin, end - begin);
  });
  const Direction order{count, reverse};
  A sum = Join::template first<A>();
  for (int64_t k = 0; k < count; ++k) {
    const A own = before[order(k)];
    before[order(k)] = sum;
    sum = Join::join(sum, own);
  }
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    scan_run<Join>(x + begin, out + begin, end - begin, reverse, before[begin / kChunk]);
  });
}

template <class Join, class T>
EBB_MULTIVERSION void scan_columns(const T* x, T* out, int64_t n, int64_t inner, int64_t width,
                                   bool reverse) {
  using A = Accumulator<T>;
  A block[kBlock];
  for (int64_t j = 0; j < width; ++j) block[j] = Join::template first<A>();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t row = (reverse ? n - 1 - i : i) * inner;
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      block[j] = Join::join(block[j], static_cast<A>(x[row + j]));
      out[row + j] = static_cast<T>(block[j]);
    }
  }
}

// Computes s_i = a_i s_(i-1) + b_i. The first element is b_0.
template <class T>
EBB_MULTIVERSION void recur_columns(const T* a, const T* b, T* out, int64_t n, int64_t inner,
                                    int64_t width, bool reverse) {
  double block[kBlock];
  for (int64_t i = 0; i < n; ++i) {
    const int64_t row = (reverse ? n - 1 - i : i) * inner;
    if (i == 0) {
      for (int64_t j = 0; j < width; ++j) block[j] = static_cast<double>(b[row + j]);
    } else {
EBB_INDEPENDENT
      for (int64_t j = 0; j < width; ++j) {
        block[j] = static_cast<double>(a[row + j]) * block[j] + static_cast<double>(b[row + j]);
      }
    }
    for (int64_t j = 0; j < width; ++j) out[row + j] = static_cast<T>(block[j]);
  }
}

// Calls body(first element, width) for the blocks of columns of each (n, inner) plane.
template <class Body> void each_block(RowsShape rows, const Body& body) {
  const int64_t n = rows.n, inner = rows.inner, blocks = (inner + kBlock - 1) / kBlock;
  const int64_t work = std::max<int64_t>(1, n * std::min(inner, kBlock));
  parallel_for(rows.outer * blocks, std::max<int64_t>(1, kChunk / work),
               [&](int64_t begin, int64_t end) {
                 for (int64_t k = begin; k < end; ++k) {
                   const int64_t j = k % blocks * kBlock;
                   body(k / blocks * n * inner + j, std::min(kBlock, inner - j));
                 }
               });
}

template <class Join, class T> void scan_all(const T* x, T* out, RowsShape rows, bool reverse) {
  const int64_t n = rows.n, inner = rows.inner;
  if (inner > 1) {
    each_block(rows, [&](int64_t at, int64_t width) {
      scan_columns<Join>(x + at, out + at, n, inner, width, reverse);
    });
  } else if (rows.outer == 1 && n > 2 * kChunk) {
    scan_long_row<Join>(x, out, n, reverse);
  } else {
    parallel_for(rows.outer, std::max<int64_t>(1, kChunk / n), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        scan_run<Join>(x + i * n, out + i * n, n, reverse, Join::template first<Accumulator<T>>());
      }
    });
  }
}

}  // namespace

void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
          bool reverse) {
  if (out.numel() == 0) return;
  const auto run = [&]<class T>(T) {
    const T* from = reinterpret_cast<const T*>(x.raw());
    T* to = reinterpret_cast<T*>(out.raw());
    if (kind == ScanKind::Sum) return scan_all<Sums>(from, to, rows, reverse);
    if (kind == ScanKind::Product) return scan_all<Products>(from, to, rows, reverse);
    if constexpr (!std::is_same_v<T, int64_t>) {
      const T* addend = reinterpret_cast<const T*>(b->raw());
      each_block(rows, [&](int64_t at, int64_t width) {
        recur_columns(from + at, addend + at, to + at, rows.n, rows.inner, width, reverse);
      });
    }
  };
  if (x.dtype() == DType::I64) run(int64_t{});
  else dispatch_floating(x.dtype(), run);
}

}  // namespace ebb::cpu
