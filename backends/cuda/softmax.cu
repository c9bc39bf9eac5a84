// softmax and log_softmax over the middle axis of a contiguous (outer, n, inner), and their
// gradients.
//
// If inner is 1, a warp or a block computes a row (softmax_rows.h). Otherwise a thread computes a
// column, so that memory is read along rows. Sums are in f64. Traffic: x is read once (columns, and
// what does not fit into shared memory of a wide row, again, mostly from the cache), and y is
// written once.
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/softmax_rows.h"

namespace ebb::cuda {
namespace {

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
      out[k] = backward_value<kLog>(y[k], g[k], static_cast<T>(sum));
      if (is_sure<kLog>(y[k])) sure = k;
      else settled += static_cast<double>(out[k]);
    }
    if (sure >= 0) out[sure] = static_cast<T>(0 - settled);
  }
}

// Rows in shared memory have one block per multiprocessor, which copies its next row early.
template <class Team> dim3 grid_of(int64_t rows) {
  return grid_for(rows, Team::threads / Team::size, Team::has_tail ? 1 : 16);
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
    with_row_team<T>(rows.n, [&]<class Team>(Team) {
      const int kept = kept_in_shared_memory<Team, T>(rows.n);
      launch_early(kept * sizeof(T), softmax_rows<Team, T, Log::value>, grid_of<Team>(rows.outer),
                   Team::threads, x, y, rows.outer, rows.n, kept);
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
    with_row_team<T>(rows.n, [&]<class Team>(Team) {
      if constexpr (Log::value && Team::has_tail) {
        const int kept = kept_in_shared_memory<Team, T>(rows.n);
        launch_early(kept * sizeof(T), log_softmax_backward_wide<Team, T>,
                     grid_of<Team>(rows.outer), Team::threads, y, g, to, rows.outer, rows.n, kept);
      } else {
        launch_early(softmax_backward_rows<Team, T, Log::value>, grid_of<Team>(rows.outer),
                     Team::threads, y, g, to, rows.outer, rows.n);
      }
    });
  });
}

}  // namespace ebb::cuda
