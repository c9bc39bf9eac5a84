// Pooling over contiguous planes (rows.in, cols.in) -> (rows.out, cols.out).
//
// Parallel over planes, so no sum depends on the number of threads. Windows of a fixed size are
// computed a row of outputs at a time: for each position in the window, one vectorized loop over
// the outputs for which it is inside of the plane. 2x2 windows at stride 2 have loops of their own
// that read each element once. Adaptive windows and large averages are computed per output.
// Traffic: x is read once and y and the offsets are written once, while a plane fits in the cache.
#include "ebb/core/pooling.h"

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/pooling_2x2.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kBlock = 64;           // outputs of a row that are computed together
constexpr int64_t kLargeWindow = 64;     // elements above which averages are summed in f64
constexpr uint8_t kNoSmallOffset = 255;  // the offset of a window without elements

template <class C>
inline constexpr C kNone = static_cast<C>(sizeof(C) == 1 ? kNoSmallOffset : int64_t{-1});

// Calls body(begin, end) with the outputs j of [from, to) for which j stride - padding + k dilation
// is inside.
template <class Body>
EBB_HD void inside(const PoolAxis& a, int64_t k, int64_t from, int64_t to, const Body& body) {
  const int64_t shift = a.padding - k * a.dilation, limit = a.in + shift;
  const int64_t begin = shift <= 0 ? 0 : (shift + a.stride - 1) / a.stride;
  const int64_t end = limit <= 0 ? 0 : (limit + a.stride - 1) / a.stride;
  body(begin > from ? begin : from, end < to ? end : to);
}

// Calls body(stride), with a constant for the strides whose loops it makes faster.
template <class Body> EBB_HD void with_stride(int64_t stride, const Body& body) {
  if (stride == 1) body(std::integral_constant<int64_t, 1>{});
  else if (stride == 2) body(std::integral_constant<int64_t, 2>{});
  else body(stride);
}

// ---- windows of any size ----

// Keeps v = x[j stride] where it is larger than most[j], or the first of its window.
template <class T>
EBB_HD void keep_larger(const T* x, int64_t stride, int64_t n, Lane<T> position, T* most,
                        Lane<T>* chosen) {
  const auto loop = [=](auto step) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      const T v = x[j * step], m = most[j];
      const Lane<T> c = chosen[j];
      const bool better = (v > m) | (v != v) | (c < 0);
      most[j] = better ? v : m;
      chosen[j] = better ? position : c;
    }
  };
  with_stride(stride, loop);
}

template <class T, class C>
EBB_MULTIVERSION void max_plane(PoolShape s, const T* x, T* y, C* offsets) {
  const int64_t kc_first = s.cols.first(s.cols.out - 1), kc_last = s.cols.last(0);
  T most[kBlock];
  Lane<T> chosen[kBlock];
  for (int64_t r = 0; r < s.rows.out; ++r) {
    for (int64_t from = 0; from < s.cols.out; from += kBlock) {
      const int64_t to = from + kBlock < s.cols.out ? from + kBlock : s.cols.out;
      for (int64_t j = 0; j < to - from; ++j) {
        most[j] = -std::numeric_limits<T>::infinity();
        chosen[j] = -1;
      }
      for (int64_t kr = s.rows.first(r); kr < s.rows.last(r); ++kr) {
        const T* row = x + (s.rows.start(r) + kr * s.rows.dilation) * s.cols.in;
        for (int64_t kc = kc_first; kc < kc_last; ++kc) {
          const T* at = row + kc * s.cols.dilation - s.cols.padding;
          const Lane<T> k = static_cast<Lane<T>>(kr * s.cols.kernel + kc);
          inside(s.cols, kc, from, to, [&](int64_t begin, int64_t end) EBB_INLINE {
            keep_larger(at + begin * s.cols.stride, s.cols.stride, end - begin, k,
                        most + begin - from, chosen + begin - from);
          });
        }
      }
      for (int64_t j = 0; j < to - from; ++j) {
        y[r * s.cols.out + from + j] = most[j];
        offsets[r * s.cols.out + from + j] = static_cast<C>(chosen[j]);
      }
    }
  }
}

template <class T, class C>
void max_plane_adaptive(const PoolShape& s, const T* x, T* y, C* offsets) {
  for (int64_t r = 0; r < s.rows.out; ++r) {
    for (int64_t j = 0; j < s.cols.out; ++j) {
      const T* at = x + s.rows.start(r) * s.cols.in + s.cols.start(j);
      const int64_t width = s.cols.last(j);
      T most = at[0];
      int64_t k = 0;
      for (int64_t kr = 0; kr < s.rows.last(r); ++kr) {
        for (int64_t kc = 0; kc < width; ++kc) {
          const T v = at[kr * s.cols.in + kc];
          if (v > most || v != v) {
            most = v;
            k = kr * s.cols.kernel + kc;
          }
        }
      }
      y[r * s.cols.out + j] = most;
      offsets[r * s.cols.out + j] = static_cast<C>(k);
    }
  }
}

// Calls body(output, position) for every output of a plane; position is -1 for a window without
// elements.
template <class C, class Body>
void for_choices(const PoolShape& s, const C* offsets, const Body& body) {
  int64_t steps[kNoSmallOffset];  // from the start of a window, by offset
  const auto step = [&](int64_t k) {
    return k / s.cols.kernel * s.rows.dilation * s.cols.in + k % s.cols.kernel * s.cols.dilation;
  };
  if (sizeof(C) == 1) {
    for (int64_t k = 0; k < s.rows.kernel * s.cols.kernel; ++k) steps[k] = step(k);
  }
  for (int64_t r = 0, o = 0; r < s.rows.out; ++r) {
    const int64_t row = s.rows.start(r) * s.cols.in;
    for (int64_t j = 0; j < s.cols.out; ++j, ++o) {
      const C k = offsets[o];
      if (k == kNone<C>) body(o, int64_t{-1});
      else body(o, row + s.cols.start(j) + (sizeof(C) == 1 ? steps[k] : step(k)));
    }
  }
}

// The divisors of the columns of outputs, so that row r has divisor row_count(r) columns[j].
template <class T> class Divisors {
 public:
  Divisors(const PoolShape& s, PoolDivisor divisor)
      : s_(s), divisor_(divisor), columns_(s.cols.out) {
    for (int64_t j = 0; j < s.cols.out; ++j) {
      const int64_t count = divisor.divisor != 0 ? divisor.divisor : divisor.count(s.cols, j);
      columns_[j] = static_cast<T>(count == 0 ? 1 : count);
    }
  }
  T row(int64_t r) const {
    const int64_t count = divisor_.divisor != 0 ? 1 : divisor_.count(s_.rows, r);
    return static_cast<T>(count == 0 ? 1 : count);
  }
  const T* columns() const { return columns_.data(); }

 private:
  const PoolShape& s_;
  PoolDivisor divisor_;
  Temporary<T> columns_;
};

template <class T>
EBB_MULTIVERSION void average_row(PoolShape s, int64_t r, const T* x, T row_count, const T* columns,
                                  T* y) {
  const int64_t kc_first = s.cols.first(s.cols.out - 1), kc_last = s.cols.last(0);
  T sums[kBlock];
  for (int64_t from = 0; from < s.cols.out; from += kBlock) {
    const int64_t to = from + kBlock < s.cols.out ? from + kBlock : s.cols.out;
    for (int64_t j = 0; j < to - from; ++j) sums[j] = T(0);
    for (int64_t kr = s.rows.first(r); kr < s.rows.last(r); ++kr) {
      const T* row = x + (s.rows.start(r) + kr) * s.cols.in;
      for (int64_t kc = kc_first; kc < kc_last; ++kc) {
        const T* at = row + kc - s.cols.padding;
        inside(s.cols, kc, from, to, [&](int64_t begin, int64_t end) EBB_INLINE {
          with_stride(s.cols.stride, [&](auto stride) EBB_INLINE {
EBB_INDEPENDENT
            for (int64_t j = begin; j < end; ++j) sums[j - from] += at[j * stride];
          });
        });
      }
    }
EBB_INDEPENDENT
    for (int64_t j = from; j < to; ++j) y[j] = sums[j - from] / (row_count * columns[j]);
  }
}

// A row of outputs whose windows are adaptive or large.
template <class T>
void average_row_apart(const PoolShape& s, int64_t r, const T* x, T row_count, const T* columns,
                       T* y) {
  const int64_t first = s.rows.start(r) + s.rows.first(r), rows = s.rows.last(r) - s.rows.first(r);
  for (int64_t j = 0; j < s.cols.out; ++j) {
    const int64_t n = s.cols.last(j) - s.cols.first(j);
    const T* at = x + first * s.cols.in + s.cols.start(j) + s.cols.first(j);
    double sum = 0;
    if (n == s.cols.in) {
      sum = row_sum(at, rows * n);
    } else {
      for (int64_t k = 0; k < rows; ++k) sum += row_sum(at + k * s.cols.in, n);
    }
    y[j] = static_cast<T>(sum / static_cast<double>(row_count * columns[j]));
  }
}

template <class T>
EBB_MULTIVERSION void average_spread_row(PoolShape s, int64_t r, const T* g, T row_count,
                                         const T* columns, T* x) {
  const int64_t kc_first = s.cols.adaptive ? 0 : s.cols.first(s.cols.out - 1);
  const int64_t kc_last = s.cols.adaptive ? 0 : s.cols.last(0);
  T parts[kBlock];
  for (int64_t from = 0; from < s.cols.out; from += kBlock) {
    const int64_t to = from + kBlock < s.cols.out ? from + kBlock : s.cols.out;
EBB_INDEPENDENT
    for (int64_t j = from; j < to; ++j) parts[j - from] = g[j] / (row_count * columns[j]);
    for (int64_t kr = s.rows.first(r); kr < s.rows.last(r); ++kr) {
      T* row = x + (s.rows.start(r) + kr) * s.cols.in;
      if (s.cols.adaptive) {
        for (int64_t j = from; j < to; ++j) {
          T* at = row + s.cols.start(j);
          const int64_t n = s.cols.last(j);
          for (int64_t kc = 0; kc < n; ++kc) at[kc] += parts[j - from];
        }
        continue;
      }
      for (int64_t kc = kc_first; kc < kc_last; ++kc) {
        T* at = row + kc - s.cols.padding;
        inside(s.cols, kc, from, to, [&](int64_t begin, int64_t end) EBB_INLINE {
          with_stride(s.cols.stride, [&](auto stride) EBB_INLINE {
EBB_INDEPENDENT
            for (int64_t j = begin; j < end; ++j) at[j * stride] += parts[j - from];
          });
        });
      }
    }
  }
}

// Calls body(x, y) with the offsets of each plane on both sides, in parallel.
template <class Body> void for_planes(const PoolShape& s, const Body& body) {
  const int64_t in = s.rows.in * s.cols.in, out = s.rows.out * s.cols.out;
  parallel_for(s.planes, row_grain(std::max(in, out)), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) body(p * in, p * out);
  });
}

template <class T> const T* read(const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); }
template <class T> T* write(Tensor& t) { return reinterpret_cast<T*>(t.raw()); }

// Calls body(C) with the type of the offsets.
template <class Body> void with_offsets(const PoolShape& s, const Body& body) {
  if (s.has_small_windows()) body(uint8_t{});
  else body(int64_t{});
}

class CpuPooling final : public PoolingKernels {
 public:
  void max(Tensor& y, Tensor& offsets, const Tensor& x, const PoolShape& s) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      with_offsets(s, [&]<class C>(C) {
        const bool adaptive = s.rows.adaptive || s.cols.adaptive, small = is_2x2(s);
        for_planes(s, [&, from = read<T>(x), to = write<T>(y), chosen = write<C>(offsets)](
                          int64_t in, int64_t out) {
          if constexpr (sizeof(C) == 1) {
            if (small) return max_plane_2x2(s, from + in, to + out, chosen + out);
          }
          if (adaptive) max_plane_adaptive(s, from + in, to + out, chosen + out);
          else max_plane(s, from + in, to + out, chosen + out);
        });
      });
    });
  }

  void take(Tensor& y, const Tensor& x, const Tensor& offsets, const PoolShape& s) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      with_offsets(s, [&]<class C>(C) {
        for_planes(s, [&](int64_t in, int64_t out) {
          const T* from = read<T>(x) + in;
          T* to = write<T>(y) + out;
          for_choices(s, read<C>(offsets) + out, [&](int64_t o, int64_t position) {
            to[o] = position < 0 ? T(0) : from[position];
          });
        });
      });
    });
  }

  void spread(Tensor& x, const Tensor& g, const Tensor& offsets, const PoolShape& s) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      with_offsets(s, [&]<class C>(C) {
        const bool small = is_2x2(s);
        for_planes(s, [&](int64_t in, int64_t out) {
          T* to = write<T>(x) + in;
          const T* from = read<T>(g) + out;
          const C* chosen = read<C>(offsets) + out;
          if constexpr (sizeof(C) == 1) {
            if (small) return spread_plane_2x2(s, from, chosen, to);
          }
          std::fill(to, to + s.rows.in * s.cols.in, T(0));
          for_choices(s, chosen, [&](int64_t o, int64_t position) {
            if (position >= 0) to[position] += from[o];
          });
        });
      });
    });
  }

  void positions(Tensor& positions, const Tensor& offsets, const PoolShape& s) override {
    with_offsets(s, [&]<class C>(C) {
      for_planes(s, [&](int64_t, int64_t out) {
        int64_t* to = write<int64_t>(positions) + out;
        for_choices(s, read<C>(offsets) + out,
                    [&](int64_t o, int64_t position) { to[o] = position; });
      });
    });
  }

  void average(Tensor& y, const Tensor& x, const PoolShape& s, PoolDivisor divisor) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      const Divisors<T> divisors(s, divisor);
      const bool apart =
          s.cols.adaptive || s.rows.adaptive || s.rows.kernel * s.cols.kernel > kLargeWindow;
      for_planes(s, [&](int64_t in, int64_t out) {
        for (int64_t r = 0; r < s.rows.out; ++r) {
          T* to = write<T>(y) + out + r * s.cols.out;
          if (apart)
            average_row_apart(s, r, read<T>(x) + in, divisors.row(r), divisors.columns(), to);
          else average_row(s, r, read<T>(x) + in, divisors.row(r), divisors.columns(), to);
        }
      });
    });
  }

  void average_spread(Tensor& x, const Tensor& g, const PoolShape& s,
                      PoolDivisor divisor) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      const Divisors<T> divisors(s, divisor);
      for_planes(s, [&](int64_t in, int64_t out) {
        T* to = write<T>(x) + in;
        std::fill(to, to + s.rows.in * s.cols.in, T(0));
        for (int64_t r = 0; r < s.rows.out; ++r) {
          average_spread_row(s, r, read<T>(g) + out + r * s.cols.out, divisors.row(r),
                             divisors.columns(), to);
        }
      });
    });
  }
};

}  // namespace

PoolingKernels& pooling() {
  static CpuPooling kernels;
  return kernels;
}

}  // namespace ebb::cpu
