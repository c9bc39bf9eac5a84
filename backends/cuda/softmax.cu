// softmax and log_softmax over the middle axis of a contiguous (outer, n, inner), and their gradients.
//
// inner = 1: a warp or a block a row (rows.h). inner > 1: a thread a column, so that memory is read along rows.
// Sums are in f64. Traffic: x read once (wide rows and columns: again, mostly from the cache), y written once.
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/rows.h"
#include "ebb/core/softmax.h"

namespace ebb::cuda {
namespace {

template <class Team, class T, bool kLog>
__global__ void __launch_bounds__(Team::kept == 0 ? 1024 : kThreads)
    softmax_rows(const T* x, T* y, int64_t rows, int64_t n) {
  for (int64_t i = Team::first_row(); i < rows; i += Team::row_step()) {
    const Row<T, Team> row(x + i * n, n);
    T top = Larger::none<T>();
    Team::each(n, [&](int64_t c, int k) { top = maximum(top, row.at(c, k)); });
    top = Team::template join<Larger>(top);
    double sum = 0;
    Team::each(n, [&](int64_t c, int k) { sum += static_cast<double>(exp(row.at(c, k) - top)); });
    sum = Team::template join<AddUp>(sum);
    const T scale = kLog ? static_cast<T>(log(sum)) : static_cast<T>(1 / sum);
    T* out = y + i * n;
    Team::each(n, [&](int64_t c, int k) {
      const T shifted = row.at(c, k) - top;
      out[c] = kLog ? shifted - scale : exp(shifted) * scale;
    });
  }
}

template <class T, bool kLog>
__global__ void __launch_bounds__(kThreads) softmax_columns(const T* x, T* y, RowsShape r) {
  for (int64_t j = first_item(); j < r.outer * r.inner; j += item_step()) {
    const int64_t base = j / r.inner * r.n * r.inner + j % r.inner;
    T top = Larger::none<T>();
    for (int64_t c = 0; c < r.n; ++c) top = maximum(top, x[base + c * r.inner]);
    double sum = 0;
    for (int64_t c = 0; c < r.n; ++c) sum += static_cast<double>(exp(x[base + c * r.inner] - top));
    const T scale = kLog ? static_cast<T>(log(sum)) : static_cast<T>(1 / sum);
    for (int64_t c = 0; c < r.n; ++c) {
      const T shifted = x[base + c * r.inner] - top;
      y[base + c * r.inner] = kLog ? shifted - scale : exp(shifted) * scale;
    }
  }
}

template <bool kLog, class T> __device__ T backward_term(T y, T g) { return kLog ? g : g * y; }
template <bool kLog, class T> __device__ T backward_value(T y, T g, double total) {
  return kLog ? g - exp(y) * static_cast<T>(total) : y * (g - static_cast<T>(total));
}

// settled: the sum of the gradients that are not the sure element's (core/softmax.h).
template <class Team, class T, bool kLog>
__global__ void __launch_bounds__(Team::kept == 0 ? 1024 : kThreads)
    backward_rows(const T* y, const T* g, T* out, int64_t rows, int64_t n) {
  for (int64_t i = Team::first_row(); i < rows; i += Team::row_step()) {
    const Row<T, Team> ys(y + i * n, n), gs(g + i * n, n);
    double sum = 0;
    Team::each(n, [&](int64_t c, int k) {
      sum += static_cast<double>(backward_term<kLog>(ys.at(c, k), gs.at(c, k)));
    });
    const double total = Team::template join<AddUp>(sum);
    double settled = 0;
    Team::each(n, [&](int64_t c, int k) {
      const T value = backward_value<kLog>(ys.at(c, k), gs.at(c, k), total);
      if (is_sure<kLog>(ys.at(c, k))) return;
      out[i * n + c] = value;
      settled += static_cast<double>(value);
    });
    settled = Team::template join<AddUp>(settled);
    Team::each(n, [&](int64_t c, int k) {
      if (is_sure<kLog>(ys.at(c, k))) out[i * n + c] = static_cast<T>(0 - settled);
    });
  }
}

template <class T, bool kLog>
__global__ void __launch_bounds__(kThreads)
    backward_columns(const T* y, const T* g, T* out, RowsShape r) {
  for (int64_t j = first_item(); j < r.outer * r.inner; j += item_step()) {
    const int64_t base = j / r.inner * r.n * r.inner + j % r.inner, end = base + r.n * r.inner;
    double sum = 0, settled = 0;
    for (int64_t k = base; k < end; k += r.inner)
      sum += static_cast<double>(backward_term<kLog>(y[k], g[k]));
    int64_t sure = -1;
    for (int64_t k = base; k < end; k += r.inner) {
      out[k] = backward_value<kLog>(y[k], g[k], sum);
      if (is_sure<kLog>(y[k])) sure = k;
      else settled += static_cast<double>(out[k]);
    }
    if (sure >= 0) out[sure] = static_cast<T>(0 - settled);
  }
}

// Calls body with std::bool_constant<log> and a zero of the element type.
template <class Body> void dispatch_form(bool log, DType dtype, const Body& body) {
  dispatch_floating(dtype, [&]<class T>(T zero) {
    if (log) body(std::true_type{}, zero);
    else body(std::false_type{}, zero);
  });
}

}  // namespace

void softmax(bool log, Tensor& out, const Tensor& in, RowsShape rows) {
  if (out.numel() == 0) return;
  dispatch_form(log, in.dtype(), [&]<class Log, class T>(Log, T) {
    const T* x = reinterpret_cast<const T*>(in.raw());
    T* y = reinterpret_cast<T*>(out.raw());
    if (rows.inner > 1) {
      launch(softmax_columns<T, Log::value>, grid_for(rows.outer * rows.inner), kThreads, x, y,
             rows);
      return;
    }
    with_row_team(rows.outer, rows.n, [&]<class Team>(Team, dim3 grid, int threads) {
      launch(softmax_rows<Team, T, Log::value>, grid, threads, x, y, rows.outer, rows.n);
    });
  });
}

void softmax_backward(bool log, Tensor& out, const Tensor& output, const Tensor& upstream,
                      RowsShape rows) {
  if (out.numel() == 0) return;
  dispatch_form(log, out.dtype(), [&]<class Log, class T>(Log, T) {
    const T* y = reinterpret_cast<const T*>(output.raw());
    const T* g = reinterpret_cast<const T*>(upstream.raw());
    T* to = reinterpret_cast<T*>(out.raw());
    if (rows.inner > 1) {
      launch(backward_columns<T, Log::value>, grid_for(rows.outer * rows.inner), kThreads, y, g, to,
             rows);
      return;
    }
    with_row_team(rows.outer, rows.n, [&]<class Team>(Team, dim3 grid, int threads) {
      launch(backward_rows<Team, T, Log::value>, grid, threads, y, g, to, rows.outer, rows.n);
    });
  });
}

}  // namespace ebb::cuda
