// Fill and copy with any strides, and between dtypes; triangles of matrices.
//
// Both iterate over runs of the last coalesced dim; a copy between contiguous tensors of one dtype
// is a memcpy. Parallel over chunks of elements. Traffic: each element is read and written once.
#include <algorithm>
#include <cstring>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/strided.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kChunk = 64 * 1024;

template <class To, class From> To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) return x != From(0);
  else return static_cast<To>(x);
}

template <class To, class From>
void copy_run(To* to, int64_t to_stride, const From* from, int64_t from_stride, int64_t n) {
  if (to_stride == 1 && from_stride == 1) {
    if constexpr (std::is_same_v<To, From>) {
      std::memmove(to, from, static_cast<size_t>(n) * sizeof(To));
      return;
    }
    for (int64_t i = 0; i < n; ++i) to[i] = convert<To>(from[i]);
  } else if (to_stride == 1 && from_stride == -1) {
    for (int64_t i = 0; i < n; ++i) to[i] = convert<To>(from[-i]);
  } else if (to_stride == 1 && from_stride == 0) {
    std::fill_n(to, n, convert<To>(*from));
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_stride] = convert<To>(from[i * from_stride]);
  }
}

template <class To, class From> void copy_strided(Tensor& out, const Tensor& in) {
  Shape shape = out.shape();
  Shape strides[2] = {out.strides(), broadcast_strides(in.shape(), in.strides(), out.shape())};
  coalesce(shape, strides, 2);
  To* to = reinterpret_cast<To*>(out.raw());
  const From* from = reinterpret_cast<const From*>(in.raw());
  parallel_for(out.numel(), kChunk, [&](int64_t begin, int64_t end) {
    StridedCursor a(shape, strides[0]), b(shape, strides[1]);
    a.seek(begin);
    b.seek(begin);
    for (int64_t left = end - begin; left > 0;) {
      const int64_t run = std::min(left, a.run_left());
      copy_run(to + a.offset(), a.run_stride(), from + b.offset(), b.run_stride(), run);
      a.advance(run);
      b.advance(run);
      left -= run;
    }
  });
}

}  // namespace

void copy(Tensor& out, const Tensor& in) {
  if (out.numel() == 0) return;
  if (const std::optional<ValueRule> rule = conversion_rule(in.dtype(), out.dtype()))
    check_values("to", in, *rule);
  if (out.dtype() == in.dtype() && out.is_contiguous() && in.is_contiguous() &&
      out.shape() == in.shape()) {
    std::memcpy(out.raw(), in.raw(), static_cast<size_t>(out.numel()) * size_of(out.dtype()));
    return;
  }
  dispatch_all(out.dtype(), [&]<class To>(To) {
    dispatch_all(in.dtype(), [&]<class From>(From) { copy_strided<To, From>(out, in); });
  });
}

void triangle(Tensor& out, const Tensor& in, RowsShape matrices, int64_t diagonal, bool upper) {
  const int64_t rows = matrices.n, columns = matrices.inner;
  const int64_t size = static_cast<int64_t>(size_of(in.dtype()));
  std::byte* to = static_cast<std::byte*>(out.raw());
  const std::byte* from = static_cast<const std::byte*>(in.raw());
  parallel_for(matrices.outer * rows, std::max<int64_t>(1, kChunk / std::max<int64_t>(columns, 1)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   // Columns before `border` belong to the lower part, the others to the upper one.
                   const int64_t below = i % rows + diagonal + (upper ? 0 : 1);
                   const int64_t border = std::clamp<int64_t>(below, 0, columns);
                   const int64_t first = upper ? border : 0, last = upper ? columns : border;
                   const int64_t at = i * columns * size;
                   const auto bytes = [size](int64_t n) { return static_cast<size_t>(n * size); };
                   std::memset(to + at, 0, bytes(first));
                   std::memcpy(to + at + first * size, from + at + first * size,
                               bytes(last - first));
                   std::memset(to + at + last * size, 0, bytes(columns - last));
                 }
               });
}

void fill(Tensor& out, Scalar value) {
  if (out.numel() == 0) return;
  dispatch_all(out.dtype(), [&]<class T>(T) {
    const T v = value.to<T>("fill");
    T* to = reinterpret_cast<T*>(out.raw());
    if (out.is_contiguous()) {
      constexpr T kZero{};
      const bool zero = std::memcmp(&v, &kZero, sizeof(T)) == 0;  // false for -0
      parallel_for(out.numel(), 4 * kChunk, [&](int64_t begin, int64_t end) {
        // memset does not read the memory that it overwrites, which counts for large tensors.
        if (zero) std::memset(to + begin, 0, static_cast<size_t>(end - begin) * sizeof(T));
        else std::fill(to + begin, to + end, v);
      });
      return;
    }
    Shape shape = out.shape(), strides = out.strides();
    coalesce(shape, &strides, 1);
    StridedCursor cursor(shape, strides);
    cursor.seek(0);
    for (int64_t left = out.numel(); left > 0;) {
      const int64_t run = cursor.run_left();
      for (int64_t i = 0; i < run; ++i) to[cursor.offset() + i * cursor.run_stride()] = v;
      cursor.advance(run);
      left -= run;
    }
  });
}

}  // namespace ebb::cpu
