// softmax and log_softmax over the middle axis of a contiguous (outer, n, inner), and their
// gradients.
//
// If inner = 1, each row is passed over three times in cache: maximum, exponentials with their sum,
// scale. Short rows are processed in blocks. If inner > 1, blocks of columns are processed with one
// accumulator per column, so that memory is still read along rows. Parallel over rows or blocks of
// columns. Traffic: x is read once (twice for rows larger than L2) and y written once.
#include <cmath>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/core/softmax.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kColumns = 128;

template <class T>
EBB_MULTIVERSION void log_softmax_write(const T* x, T shift, T log_sum, int64_t n, T* y) {
EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - shift) - log_sum;
}

template <class T> void softmax_row(bool log_form, const T* x, T* y, int64_t n) {
  const T top = row_max(x, n);
  if (log_form) {
    const double sum = row_exp_sum(x, top, n);
    log_softmax_write(x, top, static_cast<T>(std::log(sum)), n, y);
  } else {
    row_scale(y, static_cast<T>(1 / row_exp(x, top, n, y)), n);
  }
}

// Computes a block of short rows.
template <class T>
EBB_MULTIVERSION void softmax_short(bool log_form, const T* x, T* y, int64_t rows, int64_t n) {
  T e[kShortBlock], top[kShortRows];
  double sum[kShortRows], log_sum[kShortRows];
  exp_short_rows(x, rows, n, e, top, sum, log_sum);
  for (int64_t r = 0; r < rows; ++r) {
    const T shift = static_cast<T>(log_sum[r]), scale = static_cast<T>(1 / sum[r]);
    const int64_t at = r * n;
    if (log_form) {
EBB_INDEPENDENT
      for (int64_t i = 0; i < n; ++i) y[at + i] = (x[at + i] - top[r]) - shift;
    } else {
EBB_INDEPENDENT
      for (int64_t i = 0; i < n; ++i) y[at + i] = e[at + i] * scale;
    }
  }
}

// Computes columns j .. j + width of one (n, inner) plane.
template <class T, bool kLog>
EBB_MULTIVERSION void softmax_columns(const T* x, T* y, int64_t n, int64_t inner, int64_t width) {
  T top[kColumns];
  double sum[kColumns];
  for (int64_t j = 0; j < width; ++j) {
    top[j] = -std::numeric_limits<T>::infinity();
    sum[j] = 0;
  }
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) top[j] = maximum(top[j], x[i * inner + j]);
  }
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const T e = math::exp_nonpositive(x[i * inner + j] - top[j]);
      sum[j] += static_cast<double>(e);
      if constexpr (!kLog) y[i * inner + j] = e;
    }
  }
  T rest[kColumns];
  for (int64_t j = 0; j < width; ++j) rest[j] = static_cast<T>(kLog ? log(sum[j]) : 1 / sum[j]);
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      if constexpr (kLog) y[i * inner + j] = (x[i * inner + j] - top[j]) - rest[j];
      else y[i * inner + j] *= rest[j];
    }
  }
}

template <class T>
EBB_MULTIVERSION void backward_write(bool log_form, const T* y, const T* g, T total, int64_t n,
                                     T* out) {
  if (log_form) {
EBB_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) out[i] = g[i] - math::exp_nonpositive(y[i]) * total;
  } else {
EBB_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) out[i] = y[i] * (g[i] - total);
  }
}

template <class T> bool sure(bool log_form, T y) {
  return log_form ? is_sure<true>(y) : is_sure<false>(y);
}

template <class T> void settle_row(bool log_form, const T* y, int64_t n, T* out) {
  if (!sure(log_form, row_max(y, n))) return;
  const int64_t at =
      std::find_if(y, y + n, [log_form](T each) { return sure(log_form, each); }) - y;
  out[at] = T(0);
  out[at] = static_cast<T>(0 - row_sum(out, n));
}

template <class T>
EBB_MULTIVERSION void backward_short(bool log_form, const T* y, const T* g, int64_t rows, int64_t n,
                                     T* out) {
  T p[kShortBlock];  // e^y for log_softmax
  if (log_form) {
EBB_INDEPENDENT
    for (int64_t i = 0; i < rows * n; ++i) p[i] = math::exp_nonpositive(y[i]);
  }
  for (int64_t at = 0; at < rows * n; at += n) {
    double sum = 0, others = 0;
    int64_t settled = -1;
    for (int64_t i = at; i < at + n; ++i) {
      sum += static_cast<double>(log_form ? g[i] : g[i] * y[i]);
      settled = sure(log_form, y[i]) ? i : settled;
    }
    const T total = static_cast<T>(sum);
    if (log_form) {
EBB_INDEPENDENT
      for (int64_t i = at; i < at + n; ++i) out[i] = g[i] - p[i] * total;
    } else {
EBB_INDEPENDENT
      for (int64_t i = at; i < at + n; ++i) out[i] = y[i] * (g[i] - total);
    }
    if (settled < 0) continue;
    for (int64_t i = at; i < at + n; ++i) others += i == settled ? 0 : static_cast<double>(out[i]);
    out[settled] = static_cast<T>(0 - others);
  }
}

template <class T, bool kLog>
EBB_MULTIVERSION void settle_columns(const T* y, int64_t n, int64_t inner, int64_t width, T* out) {
  double others[kColumns] = {};
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const int64_t k = i * inner + j;
      others[j] += static_cast<double>(where(is_sure<kLog>(y[k]), T(0), out[k]));
    }
  }
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const int64_t k = i * inner + j;
      out[k] = where(is_sure<kLog>(y[k]), static_cast<T>(0 - others[j]), out[k]);
    }
  }
}

template <class T, bool kLog>
EBB_MULTIVERSION void backward_columns(const T* y, const T* g, T* out, int64_t n, int64_t inner,
                                       int64_t width) {
  double sum[kColumns] = {};
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const int64_t k = i * inner + j;
      sum[j] += static_cast<double>(kLog ? g[k] : g[k] * y[k]);
    }
  }
  T total[kColumns];
  for (int64_t j = 0; j < width; ++j) total[j] = static_cast<T>(sum[j]);
  for (int64_t i = 0; i < n; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const int64_t k = i * inner + j;
      if constexpr (kLog) out[k] = g[k] - math::exp_nonpositive(y[k]) * total[j];
      else out[k] = y[k] * (g[k] - total[j]);
    }
  }
  settle_columns<T, kLog>(y, n, inner, width, out);
}

// Calls block(offset, rows) for every block of short rows, in parallel.
template <class Block> void for_short_rows(RowsShape rows, const Block& block) {
  const int64_t step = short_rows(rows.n);
  parallel_for(rows.outer, row_grain(rows.n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += step) block(i * rows.n, std::min(step, end - i));
  });
}

// Calls columns(offset, width) for every block of columns, in parallel.
template <class Columns> void for_column_blocks(RowsShape rows, const Columns& columns) {
  const int64_t blocks = (rows.inner + kColumns - 1) / kColumns;
  const int64_t grain = row_grain(rows.n * std::min(rows.inner, kColumns));
  parallel_for(rows.outer * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t j = k % blocks * kColumns;
      columns(k / blocks * rows.n * rows.inner + j, std::min(kColumns, rows.inner - j));
    }
  });
}

}  // namespace

void softmax(bool log_form, Tensor& out, const Tensor& in, RowsShape rows) {
  if (out.numel() == 0) return;
  dispatch_floating(in.dtype(), [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(in.raw());
    T* y = reinterpret_cast<T*>(out.raw());
    if (rows.inner == 1 && rows.n <= kShortRow) {
      for_short_rows(rows, [&](int64_t at, int64_t count) {
        softmax_short(log_form, x + at, y + at, count, rows.n);
      });
    } else if (rows.inner == 1) {
      parallel_for(rows.outer, row_grain(rows.n), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          softmax_row(log_form, x + i * rows.n, y + i * rows.n, rows.n);
      });
    } else {
      for_column_blocks(rows, [&](int64_t at, int64_t width) {
        if (log_form) softmax_columns<T, true>(x + at, y + at, rows.n, rows.inner, width);
        else softmax_columns<T, false>(x + at, y + at, rows.n, rows.inner, width);
      });
    }
  });
}

void softmax_backward(bool log_form, Tensor& out, const Tensor& output, const Tensor& upstream,
                      RowsShape rows) {
  if (out.numel() == 0) return;
  dispatch_floating(out.dtype(), [&]<class T>(T) {
    const T* y = reinterpret_cast<const T*>(output.raw());
    const T* g = reinterpret_cast<const T*>(upstream.raw());
    T* to = reinterpret_cast<T*>(out.raw());
    if (rows.inner == 1 && rows.n <= kShortRow) {
      for_short_rows(rows, [&](int64_t at, int64_t count) {
        backward_short(log_form, y + at, g + at, count, rows.n, to + at);
      });
    } else if (rows.inner == 1) {
      parallel_for(rows.outer, row_grain(rows.n), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t at = i * rows.n;
          const double total = log_form ? row_sum(g + at, rows.n) : row_dot(y + at, g + at, rows.n);
          backward_write(log_form, y + at, g + at, static_cast<T>(total), rows.n, to + at);
          settle_row(log_form, y + at, rows.n, to + at);
        }
      });
    } else {
      for_column_blocks(rows, [&](int64_t at, int64_t width) {
        if (log_form) backward_columns<T, true>(y + at, g + at, to + at, rows.n, rows.inner, width);
        else backward_columns<T, false>(y + at, g + at, to + at, rows.n, rows.inner, width);
      });
    }
  });
}

}  // namespace ebb::cpu
