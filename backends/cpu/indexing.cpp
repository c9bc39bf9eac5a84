// gather, scatter_add, and checks of indices and values.
//
// The elements are visited in row-major order of the index, so the order of additions, and with it
// the result, is always the same. Where an index names whole rows (embeddings, index_select), rows
// are moved at once: gather splits the rows among the threads; in scatter_add each thread owns a
// range of the rows of the result, and reads all indices. In other cases one thread visits all
// elements. Traffic: index, source and result are accessed once (the index once per thread).
#include <algorithm>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/strided.h"
#include "ebb/core/host_device.h"

namespace ebb::cpu {
namespace {

// Calls visit(offset in index and `other`, offset in x without dim) for each position.
struct Walk {
  Shape shape;
  Shape index_strides, other_strides, x_strides;  // those of x have 0 along dim
  int64_t x_step;

  Walk(const Tensor& index, const Tensor& other, const Tensor& x, int dim)
      : shape(index.shape()),
        index_strides(index.strides()),
        other_strides(other.strides()),
        x_strides(x.strides()) {
    if (shape.dim() == 0) {
      for (Shape* s : {&shape, &index_strides, &other_strides, &x_strides})
        s->push_back(s == &shape ? 1 : 0);
      x_step = 0;
      return;
    }
    x_step = x_strides[dim];
    x_strides[dim] = 0;
  }

  template <class Visit> void each(const Visit& visit) const {
    StridedCursor i(shape, index_strides), o(shape, other_strides), x(shape, x_strides);
    i.seek(0);
    o.seek(0);
    x.seek(0);
    for (int64_t left = shape.numel(); left > 0;) {
      const int64_t run = i.run_left();
      for (int64_t k = 0; k < run; ++k) {
        visit(i.offset() + k * i.run_stride(), o.offset() + k * o.run_stride(),
              x.offset() + k * x.run_stride());
      }
      i.advance(run);
      o.advance(run);
      x.advance(run);
      left -= run;
    }
  }

  // True if all elements of a run along the last dim have the same index, and are neighbors in
  // both tensors.
  bool moves_rows() const {
    return shape.dim() > 1 && index_strides.back() == 0 && other_strides.back() == 1 &&
           x_strides.back() == 1;
  }
  int64_t width() const { return shape.back(); }
  int64_t rows() const { return shape.numel() / width(); }

  // Calls visit with the offsets of the first elements of rows begin ... end - 1. REQUIRES
  // moves_rows().
  template <class Visit> void each_row(int64_t begin, int64_t end, const Visit& visit) const {
    StridedCursor i(shape, index_strides), o(shape, other_strides), x(shape, x_strides);
    for (StridedCursor* cursor : {&i, &o, &x}) cursor->seek(begin * width());
    for (int64_t row = begin; row < end; ++row) {
      visit(i.offset(), o.offset(), x.offset());
      for (StridedCursor* cursor : {&i, &o, &x}) cursor->advance(width());
    }
  }
};

constexpr int64_t kElementsPerThread = 16 * 1024;

template <class T> EBB_MULTIVERSION void add_row(T* to, const T* from, int64_t n) {
  typedef T Vector [[gnu::vector_size(64)]];
  constexpr int64_t kLanes = 64 / sizeof(T);
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    Vector a, b;
    __builtin_memcpy(&a, to + k, sizeof a);
    __builtin_memcpy(&b, from + k, sizeof b);
    a += b;
    __builtin_memcpy(to + k, &a, sizeof a);
  }
  for (; k < n; ++k) to[k] += from[k];
}

// Prefetches a row that will be changed soon, because the hardware cannot predict the order of
// rows.
template <class T> void prefetch_row(const T* row, int64_t n) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t k = 0; k < n; k += kLine) __builtin_prefetch(row + k, 1);
}

template <class T>
void scatter_rows(const Walk& walk, int64_t limit, T* to, const int64_t* at, const T* from) {
  const int64_t work = walk.shape.numel();
  const int64_t threads = std::clamp<int64_t>(work / kElementsPerThread, 1, num_threads());
  const int64_t range = std::max<int64_t>(1, (limit + threads - 1) / threads);
  constexpr int64_t kAhead = 6;
  const bool list = walk.shape.dim() == 2 && walk.x_strides[0] == 0;  // the rows of a matrix
  const int64_t step = walk.index_strides[0], rows = walk.rows();
  parallel_for(limit, range, [&](int64_t low, int64_t high) {
    int64_t row = 0;
    walk.each_row(0, rows, [&](int64_t i, int64_t o, int64_t x) {
      if (list && row + kAhead < rows) {
        const int64_t next = at[(row + kAhead) * step];
        if (next >= low && next < high) prefetch_row(to + next * walk.x_step, walk.width());
      }
      ++row;
      if (at[i] >= low && at[i] < high)
        add_row(to + x + at[i] * walk.x_step, from + o, walk.width());
    });
  });
}

}  // namespace

void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index) {
  if (index.numel() == 0) return;
  const Walk walk(index, out, in, dim);
  const int64_t* at = reinterpret_cast<const int64_t*>(index.raw());
  dispatch_all(in.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(out.raw());
    const T* from = reinterpret_cast<const T*>(in.raw());
    if (walk.moves_rows()) {
      const int64_t grain = std::max<int64_t>(1, kElementsPerThread / walk.width());
      parallel_for(walk.rows(), grain, [&](int64_t begin, int64_t end) {
        walk.each_row(begin, end, [&](int64_t i, int64_t o, int64_t x) {
          std::copy_n(from + x + at[i] * walk.x_step, walk.width(), to + o);
        });
      });
      return;
    }
    walk.each([&](int64_t i, int64_t o, int64_t x) { to[o] = from[x + at[i] * walk.x_step]; });
  });
}

void scatter_add(Tensor& out, int dim, const Tensor& index, const Tensor& src) {
  if (index.numel() == 0) return;
  const Walk walk(index, src, out, dim);
  const int64_t* at = reinterpret_cast<const int64_t*>(index.raw());
  dispatch_floating(src.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(out.raw());
    const T* from = reinterpret_cast<const T*>(src.raw());
    if (walk.moves_rows()) {
      return scatter_rows(walk, out.shape()[dim], to, at, from);
    }
    walk.each([&](int64_t i, int64_t o, int64_t x) { to[x + at[i] * walk.x_step] += from[o]; });
  });
}

void check_indices(std::string_view op, const Tensor& index, int64_t limit,
                   std::optional<int64_t> ignored) {
  if (index.numel() == 0) return;
  Shape shape = index.shape(), strides = index.strides();
  coalesce(shape, &strides, 1);
  dispatch_all(index.dtype(), [&]<class T>(T) {
    const T* values = reinterpret_cast<const T*>(index.raw());
    StridedCursor cursor(shape, strides);
    cursor.seek(0);
    for (int64_t done = 0; done < index.numel();) {
      const int64_t run = cursor.run_left();
      for (int64_t k = 0; k < run; ++k) {
        const auto v = static_cast<int64_t>(values[cursor.offset() + k * cursor.run_stride()]);
        if ((v < 0 || v >= limit) && !(ignored && v == *ignored)) [[unlikely]] {
          fail(op, "index ", v, " at position ", done + k, " is out of range: expected 0 to ",
               limit - 1);
        }
      }
      cursor.advance(run);
      done += run;
    }
  });
}

void check_values(std::string_view op, const Tensor& values, const ValueRule& rule) {
  if (values.numel() == 0) return;
  Shape shape = values.shape(), strides = values.strides();
  coalesce(shape, &strides, 1);
  dispatch_all(values.dtype(), [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(values.raw());
    StridedCursor cursor(shape, strides);
    cursor.seek(0);
    const auto obeys = [&](T v) {
      const auto value = static_cast<double>(v);
      return (value >= rule.low && value <= rule.high) || (rule.allows_nan && value != value);
    };
    for (int64_t done = 0; done < values.numel();) {
      const int64_t run = cursor.run_left(), step = cursor.run_stride();
      const T* first = x + cursor.offset();
      bool all = true;
      for (int64_t k = 0; k < run; ++k) all &= obeys(first[k * step]);
      for (int64_t k = 0; !all && k < run; ++k) {
        if (!obeys(first[k * step])) {
          fail(op, rule.text, ", got ", static_cast<double>(first[k * step]), " at position ",
               done + k);
        }
      }
      cursor.advance(run);
      done += run;
    }
  });
}

}  // namespace ebb::cpu
