// gather, scatter_add, and checks of indices and values.
//
// One thread visits the elements in row-major order of the index, so the order of additions, and
// with it the result, is always the same. Traffic: index, source and result are accessed once.
#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/strided.h"

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
};

}  // namespace

void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index) {
  if (index.numel() == 0) return;
  const Walk walk(index, out, in, dim);
  const int64_t* at = reinterpret_cast<const int64_t*>(index.raw());
  dispatch_all(in.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(out.raw());
    const T* from = reinterpret_cast<const T*>(in.raw());
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
