// Normalization of a contiguous (outer, channels, inner), forward and first-order backward.
//
// A block per group: it reads the group for the mean, again for the variance and again to write y
// (twice and once for dx), mostly from the cache. Sums are in f64 and in a fixed order, without
// atomic additions. The gradients of weight and bias: a block per channel; with inner = 1,
// blocks of 32 neighboring channels and a part of the rows, so that reads are whole lines, and a
// second kernel adds up the parts.
#include "ebb/core/normalization.h"

#include <algorithm>

#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"

namespace ebb::cuda {
namespace {

// Element e of group k: its position and its channel.
struct Element {
  int64_t at, channel;
};
__device__ Element element(const NormShape& s, int64_t k, int64_t e) {
  const int64_t plane = s.channels / s.groups * s.inner, first = k % s.groups * plane;
  const int64_t outer = s.across_outer ? e / plane : k / s.groups;
  const int64_t rest = first + (s.across_outer ? e % plane : e);
  return {outer * s.channels * s.inner + rest, rest / s.inner};
}
// The statistic of channel c in an outer index.
__device__ int64_t statistic(const NormShape& s, int64_t outer, int64_t c) {
  const int64_t group = c / (s.channels / s.groups);
  return s.across_outer ? group : outer * s.groups + group;
}

template <class T> __device__ double value(const T* data, int64_t i, double otherwise) {
  return data ? static_cast<double>(data[i]) : otherwise;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(NormShape s, const T* x, const T* weight, const T* bias, double eps, T* y,
                   double* mean, double* rstd, double* variance) {
  const int64_t n = s.count();
  for (int64_t k = blockIdx.x; k < s.statistics(); k += gridDim.x) {
    double m = 0, squares = 0;
    if (s.centered) {
      for (int64_t e = threadIdx.x; e < n; e += blockDim.x)
        m += static_cast<double>(x[element(s, k, e).at]);
      m = block_join<AddUp>(m) / static_cast<double>(n);
    }
    for (int64_t e = threadIdx.x; e < n; e += blockDim.x) {
      const double d = static_cast<double>(x[element(s, k, e).at]) - m;
      squares += d * d;
    }
    const double v = block_join<AddUp>(squares) / static_cast<double>(n), r = 1 / sqrt(v + eps);
    for (int64_t e = threadIdx.x; e < n; e += blockDim.x) {
      const Element i = element(s, k, e);
      y[i.at] =
          static_cast<T>((static_cast<double>(x[i.at]) - m) * r * value(weight, i.channel, 1) +
                         value(bias, i.channel, 0));
    }
    if (threadIdx.x == 0) {
      mean[k] = m;
      rstd[k] = r;
      variance[k] = v;
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    running_kernel(NormShape s, const double* mean, const double* variance, double momentum,
                   const int64_t* updates, T* means, T* variances) {
  const int64_t outer = s.statistics() / s.channels;
  const double n = static_cast<double>(s.count());
  const double f = updates ? 1 / static_cast<double>(*updates) : momentum;
  for (int64_t c = first_item(); c < s.channels; c += item_step()) {
    double m = 0, v = 0;
    for (int64_t o = 0; o < outer; ++o) {
      m += mean[o * s.channels + c];
      v += variance[o * s.channels + c];
    }
    m /= static_cast<double>(outer);
    v *= n / (n - 1) / static_cast<double>(outer);
    means[c] = static_cast<T>((1 - f) * static_cast<double>(means[c]) + f * m);
    variances[c] = static_cast<T>((1 - f) * static_cast<double>(variances[c]) + f * v);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(NormShape s, const T* g, const T* x, const double* mean, const double* rstd,
                    const T* weight, T* dx) {
  const int64_t n = s.count();
  for (int64_t k = blockIdx.x; k < s.statistics(); k += gridDim.x) {
    const double m = mean[k], r = rstd[k];
    double sum = 0, product = 0;
    for (int64_t e = threadIdx.x; e < n; e += blockDim.x) {
      const Element i = element(s, k, e);
      const double h = static_cast<double>(g[i.at]) * value(weight, i.channel, 1);
      sum += h;
      product += h * (static_cast<double>(x[i.at]) - m);
    }
    const double k1 = s.centered ? r * block_join<AddUp>(sum) / static_cast<double>(n) : 0;
    const double k2 = r * r * r * block_join<AddUp>(product) / static_cast<double>(n);
    for (int64_t e = threadIdx.x; e < n; e += blockDim.x) {
      const Element i = element(s, k, e);
      dx[i.at] = static_cast<T>(r * value(weight, i.channel, 1) * static_cast<double>(g[i.at]) -
                                k1 - (static_cast<double>(x[i.at]) - m) * k2);
    }
  }
}

// dweight = sum g (x - mean) rstd and dbias = sum g of each channel.
template <class T>
__global__ void __launch_bounds__(kThreads)
    channels_kernel(NormShape s, const T* g, const T* x, const double* mean, const double* rstd,
                    T* dweight, T* dbias) {
  for (int64_t c = blockIdx.x; c < s.channels; c += gridDim.x) {
    double sum = 0, product = 0;
    for (int64_t e = threadIdx.x; e < s.outer * s.inner; e += blockDim.x) {
      const int64_t o = e / s.inner, at = (o * s.channels + c) * s.inner + e % s.inner;
      const int64_t k = statistic(s, o, c);
      sum += static_cast<double>(g[at]);
      product += static_cast<double>(g[at]) * (static_cast<double>(x[at]) - mean[k]) * rstd[k];
    }
    sum = block_join<AddUp>(sum);
    product = block_join<AddUp>(product);
    if (threadIdx.x == 0 && dweight) dweight[c] = static_cast<T>(product);
    if (threadIdx.x == 0 && dbias) dbias[c] = static_cast<T>(sum);
  }
}

constexpr int kRowLanes = kThreads / kWarp;
constexpr int64_t kPartRows = 64;  // rows whose sums a block makes
constexpr int64_t kMostParts = 64;

// The same for inner = 1: the sums of `rows` rows, in parts (part, product or sum, channel).
template <class T>
__global__ void __launch_bounds__(kThreads)
    columns_kernel(NormShape s, const T* g, const T* x, const double* mean, const double* rstd,
                   double* parts, int64_t rows, int64_t count) {
  __shared__ double sums[kRowLanes][kWarp], products[kRowLanes][kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            row = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t blocks = (s.channels + kWarp - 1) / kWarp;
  for (int64_t i = blockIdx.x; i < blocks * count; i += gridDim.x) {
    const int64_t part = i / blocks, c = i % blocks * kWarp + lane;
    const int64_t end = (part + 1) * rows < s.outer ? (part + 1) * rows : s.outer;
    double sum = 0, product = 0;
    for (int64_t o = part * rows + row; c < s.channels && o < end; o += kRowLanes) {
      const int64_t at = o * s.channels + c, k = statistic(s, o, c);
      sum += static_cast<double>(g[at]);
      product += static_cast<double>(g[at]) * (static_cast<double>(x[at]) - mean[k]) * rstd[k];
    }
    sums[row][lane] = sum;
    products[row][lane] = product;
    __syncthreads();
    if (row == 0 && c < s.channels) {
      for (int r = 1; r < kRowLanes; ++r) {
        sum += sums[r][lane];
        product += products[r][lane];
      }
      parts[2 * part * s.channels + c] = product;
      parts[(2 * part + 1) * s.channels + c] = sum;
    }
    __syncthreads();
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    parts_kernel(const double* parts, int64_t count, int64_t channels, T* dweight, T* dbias) {
  for (int64_t c = first_item(); c < channels; c += item_step()) {
    double product = 0, sum = 0;
    for (int64_t part = 0; part < count; ++part) {
      product += parts[2 * part * channels + c];
      sum += parts[(2 * part + 1) * channels + c];
    }
    if (dweight) dweight[c] = static_cast<T>(product);
    if (dbias) dbias[c] = static_cast<T>(sum);
  }
}

template <class T> const T* read(const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); }
template <class T> T* write(Tensor& t) { return reinterpret_cast<T*>(t.raw()); }
template <class T> const T* read(const Tensor* t) { return t ? read<T>(*t) : nullptr; }
template <class T> T* write(Tensor* t) { return t ? write<T>(*t) : nullptr; }

// The threads of a block for a group of n elements: whole warps, few for small groups.
int threads_for(int64_t n) {
  return static_cast<int>(std::clamp<int64_t>((n + kWarp - 1) / kWarp * kWarp, kWarp, kThreads));
}

class CudaNormalization final : public NormalizationKernels {
 public:
  void forward(Tensor& y, Tensor& mean, Tensor& rstd, const Tensor& x, const Tensor* weight,
               const Tensor* bias, const NormShape& s, double eps,
               const RunningStatistics* running) override {
    Tensor variance = empty(s.statistics(), {.dtype = DType::F64, .device = x.device()});
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      launch(forward_kernel<T>, grid_for(s.statistics(), 1), threads_for(s.count()), s, read<T>(x),
             read<T>(weight), read<T>(bias), eps, write<T>(y), write<double>(mean),
             write<double>(rstd), write<double>(variance));
      if (!running) return;
      launch(running_kernel<T>, grid_for(s.channels), kThreads, s, read<double>(mean),
             read<double>(variance), running->momentum.value_or(0),
             running->momentum ? nullptr : read<int64_t>(running->updates), write<T>(running->mean),
             write<T>(running->variance));
    });
  }

  void backward(Tensor& dx, Tensor* dweight, Tensor* dbias, const Tensor& g, const Tensor& x,
                const Tensor& mean, const Tensor& rstd, const Tensor* weight,
                const NormShape& s) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      const T *gs = read<T>(g), *xs = read<T>(x);
      const double *means = read<double>(mean), *rstds = read<double>(rstd);
      launch(backward_kernel<T>, grid_for(s.statistics(), 1), threads_for(s.count()), s, gs, xs,
             means, rstds, read<T>(weight), write<T>(dx));
      if (!dweight && !dbias) return;
      T *dw = write<T>(dweight), *db = write<T>(dbias);
      if (s.inner > 1) {
        launch(channels_kernel<T>, grid_for(s.channels, 1), threads_for(s.outer * s.inner), s, gs,
               xs, means, rstds, dw, db);
        return;
      }
      const int64_t rows = std::max(kPartRows, (s.outer + kMostParts - 1) / kMostParts);
      const int64_t count = (s.outer + rows - 1) / rows;
      Tensor parts = empty({count, 2, s.channels}, {.dtype = DType::F64, .device = x.device()});
      launch(columns_kernel<T>, grid_for(count * ((s.channels + kWarp - 1) / kWarp), 1), kThreads,
             s, gs, xs, means, rstds, write<double>(parts), rows, count);
      launch(parts_kernel<T>, grid_for(s.channels), kThreads, read<double>(parts), count,
             s.channels, dw, db);
    });
  }
};

}  // namespace

NormalizationKernels& normalization() {
  static CudaNormalization kernels;
  return kernels;
}

}  // namespace ebb::cuda
