// Normalization of a contiguous (outer, channels, inner), forward and first-order backward.
//
// Batch norm has few statistics of many elements: one kernel adds up the parts of each channel,
// and a second one reads x again and writes the result (channels.h). Traffic: x twice and y once;
// backward g and x twice, dx once. All other norms have a contiguous row for each statistic, which
// a warp or a block keeps in registers (rows.h): x and y once, backward g, x and dx once. Their
// gradients of weight and bias are sums for each channel, which read g and x again. Sums are in
// f64.
#include "ebb/core/normalization.h"

#include "ebb/backends/cuda/channels.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/rows.h"

namespace ebb::cuda {
namespace {

template <class T> __device__ double value(const T* data, int64_t i, double otherwise) {
  return data ? static_cast<double>(data[i]) : otherwise;
}
template <int V, class T> __device__ Pack<T, V> load(const T* data, int64_t at) {
  return *reinterpret_cast<const Pack<T, V>*>(data + at);
}
template <int V, class T> __device__ void store(T* data, int64_t at, const Pack<T, V>& pack) {
  *reinterpret_cast<Pack<T, V>*>(data + at) = pack;
}

// The number that is subtracted from x before it is squared: an element of the channel. The
// variance is then exact to n rounding errors of f64, however large the mean is.
template <class T> __device__ double pivot(const NormShape& s, const T* x, int64_t c) {
  const double first = static_cast<double>(x[c * s.inner]);
  return first - first == 0 ? first : 0;  // 0 instead of an infinity or NaN
}

// The sums of x - pivot and of its square.
template <int V, class T> struct Deviations {
  const T* x;

  __device__ auto of(const NormShape& s, int64_t c) const {
    return [x = x, from = pivot(s, x, c)](int64_t, int64_t at, Sums& sums) {
      const Pack<T, V> xs = load<V>(x, at);
#pragma unroll
      for (int u = 0; u < V; ++u) {
        const double d = static_cast<double>(xs.v[u]) - from;
        sums.first += d;
        sums.second += d * d;
      }
    };
  }
};

template <class T> struct RunningAverages {
  T *mean = nullptr, *variance = nullptr;
  double momentum = 0;
  const int64_t* updates = nullptr;  // f = 1 / *updates instead of momentum

  // Adds the statistics of a batch of n elements.
  __device__ void update(int64_t c, double m, double v, double n) const {
    const double f = updates ? 1 / static_cast<double>(*updates) : momentum;
    mean[c] = static_cast<T>((1 - f) * static_cast<double>(mean[c]) + f * m);
    variance[c] = static_cast<T>((1 - f) * static_cast<double>(variance[c]) + f * v * n / (n - 1));
  }
};

// Batch norm.
template <int V, class T> struct Forward {
  const T *x, *weight, *bias;
  T* y;
  double *mean, *rstd, eps;
  RunningAverages<T> running;

  __device__ auto of(const NormShape& s, int64_t c, Sums total, bool leads) const {
    const double n = static_cast<double>(s.count()), d = total.first / n;
    const double m = pivot(s, x, c) + d;
    double v = total.second / n - d * d;
    if (v < 0) v = 0;  // a rounding error
    const double r = 1 / sqrt(v + eps);
    if (leads) {
      mean[c] = m;
      rstd[c] = r;
      if (running.mean) running.update(c, m, v, n);
    }
    const double w = value(weight, c, 1), b = value(bias, c, 0);
    return [x = x, y = y, m, r, w, b](int64_t at) {
      Pack<T, V> xs = load<V>(x, at);
#pragma unroll
      for (int u = 0; u < V; ++u)
        xs.v[u] = static_cast<T>((static_cast<double>(xs.v[u]) - m) * r * w + b);
      store<V>(y, at, xs);
    };
  }
};

// The sums of g (x - mean) rstd and of g: the gradients of weight and bias.
template <int V, class T> struct Gradients {
  const T *g, *x;
  const double *mean, *rstd;

  __device__ auto of(const NormShape& s, int64_t c) const {
    const int64_t group = c / (s.channels / s.groups), step = s.across_outer ? 0 : s.groups;
    return [*this, group, step](int64_t o, int64_t at, Sums& sums) {
      const Pack<T, V> gs = load<V>(g, at), xs = load<V>(x, at);
      const int64_t k = o * step + group;
      const double m = mean[k], r = rstd[k];
#pragma unroll
      for (int u = 0; u < V; ++u) {
        const double gradient = static_cast<double>(gs.v[u]);
        sums.first += gradient * ((static_cast<double>(xs.v[u]) - m) * r);
        sums.second += gradient;
      }
    };
  }
};

// Batch norm, from the sums of Gradients.
template <int V, class T> struct Backward {
  const T *g, *x, *weight;
  T *dx, *dweight, *dbias;
  const double *mean, *rstd;

  __device__ auto of(const NormShape& s, int64_t c, Sums total, bool leads) const {
    const double n = static_cast<double>(s.count()), m = mean[c], r = rstd[c];
    const double w = r * value(weight, c, 1);
    const double k1 = w * total.second / n, k2 = w * r * total.first / n;
    if (leads && dweight) dweight[c] = static_cast<T>(total.first);
    if (leads && dbias) dbias[c] = static_cast<T>(total.second);
    return [g = g, x = x, dx = dx, m, w, k1, k2](int64_t at) {
      Pack<T, V> gs = load<V>(g, at);
      const Pack<T, V> xs = load<V>(x, at);
#pragma unroll
      for (int u = 0; u < V; ++u) {
        gs.v[u] = static_cast<T>(w * static_cast<double>(gs.v[u]) - k1 -
                                 (static_cast<double>(xs.v[u]) - m) * k2);
      }
      store<V>(dx, at, gs);
    };
  }
};

// The channel of element e of row k.
struct RowChannels {
  int64_t first, inner;
  __device__ RowChannels(const NormShape& s, int64_t k)
      : first((k - quotient(k, s.groups) * s.groups) * (s.channels / s.groups)), inner(s.inner) {}
  __device__ int64_t operator()(int64_t e) const {
    return first + (inner == 1 ? e : quotient(e, inner));
  }
};

// Half as many blocks as of other rows, because f64 sums and positions of weights need registers.
template <class Team> inline constexpr int kRowBlocks = Team::blocks > 1 ? Team::blocks / 2 : 1;

template <class Team, class T>
__global__ void __launch_bounds__(Team::most_threads, kRowBlocks<Team>)
    forward_rows(NormShape s, const T* x, const T* weight, const T* bias, double eps, T* y,
                 double* mean, double* rstd, double* variance) {
  const int64_t n = s.count();
  Row<Team, T> row(n);
  int slot = 0;
  for (int64_t k = Team::first_row(); k < s.statistics(); k += Team::row_step()) {
    row.load({x + k * n});
    double m = 0, squares = 0;
    if (s.centered) {
      row.each([&](auto, const T(&v)[1]) { m += static_cast<double>(v[0]); });
      m = Team::template join<AddUp>(slot, m) / static_cast<double>(n);
      slot ^= 1;
    }
    row.each([&](auto, const T(&v)[1]) {
      const double d = static_cast<double>(v[0]) - m;
      squares += d * d;
    });
    const double v = Team::template join<AddUp>(slot, squares) / static_cast<double>(n);
    slot ^= 1;
    const double r = 1 / sqrt(v + eps);
    const RowChannels channel(s, k);
    T* to = y + k * n;
    row.each([&](auto e, const T(&xs)[1]) {
      const int64_t c = channel(e);
      Team::store(to + e,
                  static_cast<T>((static_cast<double>(xs[0]) - m) * r * value(weight, c, 1) +
                                 value(bias, c, 0)));
    });
    if (Team::rank() == 0) {
      mean[k] = m;
      rstd[k] = r;
      if (variance) variance[k] = v;
    }
  }
}

template <class Team, class T>
__global__ void __launch_bounds__(Team::most_threads, kRowBlocks<Team>)
    backward_rows(NormShape s, const T* g, const T* x, const double* mean, const double* rstd,
                  const T* weight, T* dx) {
  const int64_t n = s.count();
  Row<Team, T, 2> row(n);
  for (int64_t k = Team::first_row(); k < s.statistics(); k += Team::row_step()) {
    row.load({g + k * n, x + k * n});
    const double m = mean[k], r = rstd[k];
    const RowChannels channel(s, k);
    double sum = 0, product = 0;
    row.each([&](auto e, const T(&v)[2]) {
      const double h = static_cast<double>(v[0]) * value(weight, channel(e), 1);
      sum += h;
      product += h * (static_cast<double>(v[1]) - m);
    });
    sum = Team::template join<AddUp>(0, sum);
    product = Team::template join<AddUp>(1, product);
    const double k1 = s.centered ? r * sum / static_cast<double>(n) : 0;
    const double k2 = r * r * r * product / static_cast<double>(n);
    T* to = dx + k * n;
    row.each([&](auto e, const T(&v)[2]) {
      Team::store(to + e,
                  static_cast<T>(r * value(weight, channel(e), 1) * static_cast<double>(v[0]) - k1 -
                                 (static_cast<double>(v[1]) - m) * k2));
    });
  }
}

// Instance norm: the statistics of a channel are averages over the outer indices.
template <class T>
__global__ void __launch_bounds__(kThreads)
    running_kernel(NormShape s, const double* mean, const double* variance,
                   RunningAverages<T> running) {
  for (int64_t c = first_item(); c < s.channels; c += item_step()) {
    double m = 0, v = 0;
    for (int64_t o = 0; o < s.outer; ++o) {
      m += mean[o * s.channels + c];
      v += variance[o * s.channels + c];
    }
    const double outer = static_cast<double>(s.outer);
    running.update(c, m / outer, v / outer, static_cast<double>(s.count()));
  }
}

// The gradients of weight and bias from the sums of their parts.
template <class T>
__global__ void __launch_bounds__(kThreads)
    totals_kernel(const double* sums, int parts, int64_t channels, T* dweight, T* dbias) {
  for (int64_t c = first_item(); c < channels; c += item_step()) {
    Sums total;
#pragma unroll 8
    for (int p = 0; p < parts; ++p) {
      total.first += sums[2 * p * channels + c];
      total.second += sums[(2 * p + 1) * channels + c];
    }
    if (dweight) dweight[c] = static_cast<T>(total.first);
    if (dbias) dbias[c] = static_cast<T>(total.second);
  }
}

template <class T> const T* read(const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); }
template <class T> T* write(Tensor& t) { return reinterpret_cast<T*>(t.raw()); }
template <class T> const T* read(const Tensor* t) { return t ? read<T>(*t) : nullptr; }
template <class T> T* write(Tensor* t) { return t ? write<T>(*t) : nullptr; }

template <class... Tensors> bool are_aligned(const Tensors&... tensors) {
  return ((reinterpret_cast<uintptr_t>(tensors.raw()) % 16 == 0) && ...);
}
Tensor empty_sums(const Tensor& x, int parts, int64_t channels) {
  return empty({parts, 2, channels}, {.dtype = DType::F64, .device = x.device()});
}
template <class Team> dim3 grid_of(int64_t rows) {
  return grid_for(rows, Team::threads / Team::size);
}

class CudaNormalization final : public NormalizationKernels {
 public:
  void forward(Tensor& y, Tensor& mean, Tensor& rstd, const Tensor& x, const Tensor* weight,
               const Tensor* bias, const NormShape& s, double eps,
               const RunningStatistics* running) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      RunningAverages<T> averages;
      if (running) {
        averages = {write<T>(running->mean), write<T>(running->variance),
                    running->momentum.value_or(0),
                    running->momentum ? nullptr : read<int64_t>(running->updates)};
      }
      const T *xs = read<T>(x), *w = read<T>(weight), *b = read<T>(bias);
      double *means = write<double>(mean), *rstds = write<double>(rstd);
      if (s.across_outer) {
        with_channel_parts<T>(
            s, are_aligned(x, y),
            [&]<bool kColumns, int V>(ChannelParts<kColumns, V> parts, dim3 grid) {
              Tensor sums = empty_sums(x, parts.parts, s.channels);
              launch(sums_kernel<ChannelParts<kColumns, V>, Deviations<V, T>>, grid, kThreads, s,
                     parts, Deviations<V, T>{xs}, write<double>(sums));
              launch(channels_kernel<ChannelParts<kColumns, V>, Forward<V, T>>, grid, kThreads, s,
                     parts, Forward<V, T>{xs, w, b, write<T>(y), means, rstds, eps, averages},
                     read<double>(sums));
            });
        return;
      }
      Tensor variance;
      if (running) {
        variance = empty(s.statistics(), {.dtype = DType::F64, .device = x.device()});
      }
      double* variances = running ? write<double>(variance) : nullptr;
      with_row_team<T>(s.count(), [&]<class Team>(Team) {
        launch(forward_rows<Team, T>, grid_of<Team>(s.statistics()), Team::threads, s, xs, w, b,
               eps, write<T>(y), means, rstds, variances);
      });
      if (running) {
        launch(running_kernel<T>, grid_for(s.channels), kThreads, s, means, variances, averages);
      }
    });
  }

  void backward(Tensor& dx, Tensor* dweight, Tensor* dbias, const Tensor& g, const Tensor& x,
                const Tensor& mean, const Tensor& rstd, const Tensor* weight,
                const NormShape& s) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      const T *gs = read<T>(g), *xs = read<T>(x), *w = read<T>(weight);
      const double *means = read<double>(mean), *rstds = read<double>(rstd);
      T *dw = write<T>(dweight), *db = write<T>(dbias);
      if (!s.across_outer) {
        with_row_team<T>(s.count(), [&]<class Team>(Team) {
          launch(backward_rows<Team, T>, grid_of<Team>(s.statistics()), Team::threads, s, gs, xs,
                 means, rstds, w, write<T>(dx));
        });
        if (!dweight && !dbias) return;
      }
      with_channel_parts<T>(
          s, are_aligned(g, x, dx),
          [&]<bool kColumns, int V>(ChannelParts<kColumns, V> parts, dim3 grid) {
            Tensor sums = empty_sums(x, parts.parts, s.channels);
            launch(sums_kernel<ChannelParts<kColumns, V>, Gradients<V, T>>, grid, kThreads, s,
                   parts, Gradients<V, T>{gs, xs, means, rstds}, write<double>(sums));
            if (s.across_outer) {
              launch(channels_kernel<ChannelParts<kColumns, V>, Backward<V, T>>, grid, kThreads, s,
                     parts, Backward<V, T>{gs, xs, w, write<T>(dx), dw, db, means, rstds},
                     read<double>(sums));
            } else {
              launch(totals_kernel<T>, grid_for(s.channels), kThreads, read<double>(sums),
                     parts.parts, s.channels, dw, db);
            }
          });
    });
  }
};

}  // namespace

NormalizationKernels& normalization() {
  static CudaNormalization kernels;
  return kernels;
}

}  // namespace ebb::cuda
