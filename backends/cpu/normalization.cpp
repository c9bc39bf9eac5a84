// Normalization of a contiguous (outer, channels, inner), forward and first-order backward.
//
// Three layouts have loops of their own: rows (each group is contiguous), planes across the outer
// index (batch norm of images: a channel at a time, so that its planes are still in the cache for
// the second pass), and columns (batch norm of (N, C): 32 channels at a time). Statistics are
// accurate to the last digits of f32 for any mean: deviations are taken from an estimate of the
// mean of a piece of at most 4096 elements, and pieces are combined in f64 in a fixed order.
// Parallel over groups, or over blocks of rows whose parts of the weight gradient are added up in
// order, so results do not depend on the number of threads. Traffic, if a group fits in the cache:
// forward reads x and writes y, backward reads x and g and writes dx.
#include "ebb/core/normalization.h"

#include <algorithm>
#include <cmath>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/normalization_loops.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

template <class T> const T* read(const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); }
template <class T> T* write(Tensor& t) { return reinterpret_cast<T*>(t.raw()); }

// The elements of a tensor, or `value` for every channel if the tensor is null.
template <class T> class PerChannel {
 public:
  PerChannel(const Tensor* tensor, int64_t channels, T value)
      : own_(tensor ? 0 : channels), data_(tensor ? read<T>(*tensor) : own_.data()) {
    if (!tensor) std::fill(own_.data(), own_.data() + channels, value);
  }
  T operator[](int64_t c) const { return data_[c]; }
  const T* at(int64_t c) const { return data_ + c; }

 private:
  Temporary<T> own_;
  const T* data_;
};

// The positions of the elements of the groups.
struct Layout {
  const NormShape& s;

  int64_t cg() const { return s.channels / s.groups; }  // channels of a group
  // batch norm of (N, C)
  bool is_columns() const { return s.across_outer && s.inner == 1 && s.groups == s.channels; }
  // Statistic k belongs to group k % groups of the outer indices [first, last).
  int64_t first(int64_t k) const { return s.across_outer ? 0 : k / s.groups; }
  int64_t last(int64_t k) const { return s.across_outer ? s.outer : k / s.groups + 1; }
  // The first element of channel c in outer index o.
  int64_t at(int64_t o, int64_t c) const { return (o * s.channels + c) * s.inner; }
};

template <class T> struct Forward {
  Layout layout;
  const T* x;
  PerChannel<T> weight, bias;
  double eps;
  T* y;
  double *mean, *rstd, *variance;

  void store(int64_t k, double m, double v) const {
    mean[k] = m;
    variance[k] = v;
    rstd[k] = 1 / std::sqrt(v + eps);
  }

  // One group of rows or of planes.
  void group(int64_t k) const {
    const NormShape& s = layout.s;
    const int64_t cg = layout.cg(), c0 = k % s.groups * cg;
    Moments moments;
    for (int64_t o = layout.first(k); o < layout.last(k); ++o)
      add_moments(moments, x + layout.at(o, c0), cg * s.inner, s.centered);
    store(k, moments.mean, moments.squares / static_cast<double>(s.count()));
    const Center<T> center(mean[k]);
    for (int64_t o = layout.first(k); o < layout.last(k); ++o) {
      if (s.inner == 1) {
        const int64_t at = layout.at(o, c0);
        write_row(x + at, cg, center, static_cast<T>(rstd[k]), weight.at(c0), bias.at(c0), y + at);
        continue;
      }
      for (int64_t c = c0; c < c0 + cg; ++c) {
        const T scale = static_cast<T>(rstd[k] * static_cast<double>(weight[c]));
        write_plane(x + layout.at(o, c), s.inner, center, scale, bias[c], y + layout.at(o, c));
      }
    }
  }

  // The columns [c, c + width) of (N, C).
  void columns(int64_t c, int64_t width) const {
    const NormShape& s = layout.s;
    double m[kColumns], v[kColumns];
    column_moments(x + c, s.outer, s.channels, width, m, v);
    T hi[kColumns] = {}, lo[kColumns] = {}, scale[kColumns] = {};
    for (int64_t j = 0; j < width; ++j) {
      store(c + j, m[j], v[j]);
      const Center<T> center(m[j]);
      hi[j] = center.hi;
      lo[j] = center.lo;
      scale[j] = static_cast<T>(rstd[c + j] * static_cast<double>(weight[c + j]));
    }
    write_columns(x + c, s.outer, s.channels, width, hi, lo, scale, bias.at(c), y + c);
  }
};

// dx = k g - k1 - (x - mean) k2 of a group, from the sums of weight g and of weight g (x - mean).
template <class T> struct Slope {
  T k1, k2;
  Slope(double rstd, double sum, double product, const NormShape& s)
      : k1(static_cast<T>(s.centered ? rstd * sum / static_cast<double>(s.count()) : 0.0)),
        k2(static_cast<T>(rstd * rstd * rstd * product / static_cast<double>(s.count()))) {}
};

template <class T> struct Backward {
  Layout layout;
  const T *g, *x;
  const double *mean, *rstd;
  PerChannel<T> weight;
  T* dx;
  // Sums of g and of g (x - mean) rstd, (parts, channels). Parts are added up in order.
  double *sums, *products;

  void group(int64_t k) const {
    const NormShape& s = layout.s;
    const int64_t cg = layout.cg(), c0 = k % s.groups * cg;
    const Center<T> center(s.centered ? mean[k] : 0.0);
    double sum = 0, product = 0;
    for (int64_t c = c0; c < c0 + cg; ++c) {
      double of_channel[2] = {};
      for (int64_t o = layout.first(k); o < layout.last(k); ++o)
        add_products(g + layout.at(o, c), x + layout.at(o, c), s.inner, center, of_channel);
      const int64_t part = layout.first(k) * s.channels + c;
      sums[part] = of_channel[0];
      products[part] = of_channel[1] * rstd[k];
      sum += static_cast<double>(weight[c]) * of_channel[0];
      product += static_cast<double>(weight[c]) * of_channel[1];
    }
    const Slope<T> slope(rstd[k], sum, product, s);
    for (int64_t o = layout.first(k); o < layout.last(k); ++o) {
      for (int64_t c = c0; c < c0 + cg; ++c) {
        const int64_t at = layout.at(o, c);
        const T scale = static_cast<T>(rstd[k] * static_cast<double>(weight[c]));
        write_slope(g + at, x + at, s.inner, center, scale, slope.k1, slope.k2, dx + at);
      }
    }
  }

  void columns(int64_t c, int64_t width) const {
    const NormShape& s = layout.s;
    T hi[kColumns] = {}, lo[kColumns] = {}, scale[kColumns], k1[kColumns], k2[kColumns];
    for (int64_t j = 0; j < width; ++j) {
      const Center<T> center(mean[c + j]);
      hi[j] = center.hi;
      lo[j] = center.lo;
    }
    double* sum = sums + c;
    double* product = products + c;
    column_products(g + c, x + c, s.outer, s.channels, width, hi, lo, sum, product);
    for (int64_t j = 0; j < width; ++j) {
      const double w = static_cast<double>(weight[c + j]), r = rstd[c + j];
      const Slope<T> slope(r, w * sum[j], w * product[j], s);
      scale[j] = static_cast<T>(w * r);
      k1[j] = slope.k1;
      k2[j] = slope.k2;
      product[j] *= r;
    }
    write_column_slopes(g + c, x + c, s.outer, s.channels, width, hi, lo, scale, k1, k2, dx + c);
  }
};

// The backward pass for rows with inner = 1, such as those of layer norm. Each block of rows has
// its own sums.
template <class T> class RowsBackward {
 public:
  RowsBackward(const NormShape& s, bool with_weight)
      : shape_(s),
        block_(std::clamp<int64_t>(s.outer / 32, 1, 256)),
        blocks_((s.outer + block_ - 1) / block_),
        parts_(with_weight ? blocks_ * 2 * s.channels : 0),
        with_weight_(with_weight) {}

  void run(const Backward<T>& b) const {
    const int64_t channels = shape_.channels, cg = channels / shape_.groups;
    const int64_t grain = row_grain(block_ * channels);
    parallel_for(blocks_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        T* dw = with_weight_ ? parts_.data() + block * 2 * channels : nullptr;
        T* db = dw ? dw + channels : nullptr;
        if (dw) std::fill(dw, dw + 2 * channels, T(0));
        const int64_t last = std::min(shape_.outer, (block + 1) * block_);
        for (int64_t o = block * block_; o < last; ++o) {
          for (int64_t q = 0; q < shape_.groups; ++q) {
            const int64_t k = o * shape_.groups + q, c0 = q * cg, at = o * channels + c0;
            const Center<T> center(shape_.centered ? b.mean[k] : 0.0);
            const T r = static_cast<T>(b.rstd[k]);
            double sum[2] = {};
            add_row_products(b.g + at, b.x + at, cg, center, r, b.weight.at(c0), sum,
                             dw ? dw + c0 : nullptr, db ? db + c0 : nullptr);
            const Slope<T> slope(b.rstd[k], sum[0], sum[1], shape_);
            write_row_slope(b.g + at, b.x + at, cg, center, r, b.weight.at(c0), slope.k1, slope.k2,
                            b.dx + at);
          }
        }
      }
    });
  }

  // Adds up the sums of all blocks.
  void add_up(T* dweight, T* dbias) const {
    const int64_t channels = shape_.channels;
    parallel_for(channels, row_grain(blocks_), [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        double w = 0, b = 0;
        for (int64_t block = 0; block < blocks_; ++block) {
          w += static_cast<double>(parts_[block * 2 * channels + c]);
          b += static_cast<double>(parts_[(block * 2 + 1) * channels + c]);
        }
        if (dweight) dweight[c] = static_cast<T>(w);
        if (dbias) dbias[c] = static_cast<T>(b);
      }
    });
  }

 private:
  const NormShape& shape_;
  int64_t block_, blocks_;
  Temporary<T> parts_;
  bool with_weight_;
};

// Calls group(k) for all statistics, or columns(c, width) for all blocks of columns, in parallel.
template <class Body> void for_groups(const NormShape& s, const Body& body) {
  if (Layout{s}.is_columns()) {
    const int64_t blocks = (s.channels + kColumns - 1) / kColumns;
    parallel_for(blocks, row_grain(s.outer * kColumns), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        body.columns(i * kColumns, std::min(kColumns, s.channels - i * kColumns));
    });
  } else {
    parallel_for(s.statistics(), row_grain(s.count()), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) body.group(k);
    });
  }
}

template <class T>
void update_running(const NormShape& s, const double* mean, const double* variance,
                    const RunningStatistics& running) {
  T* means = write<T>(*running.mean);
  T* variances = write<T>(*running.variance);
  const int64_t outer = s.statistics() / s.channels;
  const double n = static_cast<double>(s.count()), unbiased = n / (n - 1);
  const double f = running.momentum ? *running.momentum
                                    : 1 / static_cast<double>(*read<int64_t>(*running.updates));
  for (int64_t c = 0; c < s.channels; ++c) {
    double m = 0, v = 0;
    for (int64_t o = 0; o < outer; ++o) {
      m += mean[o * s.channels + c];
      v += variance[o * s.channels + c];
    }
    m /= static_cast<double>(outer);
    v *= unbiased / static_cast<double>(outer);
    means[c] = static_cast<T>((1 - f) * static_cast<double>(means[c]) + f * m);
    variances[c] = static_cast<T>((1 - f) * static_cast<double>(variances[c]) + f * v);
  }
}

class CpuNormalization final : public NormalizationKernels {
 public:
  void forward(Tensor& y, Tensor& mean, Tensor& rstd, const Tensor& x, const Tensor* weight,
               const Tensor* bias, const NormShape& s, double eps,
               const RunningStatistics* running) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      const Temporary<double> variance(s.statistics());
      for_groups(s, Forward<T>{.layout = {s},
                               .x = read<T>(x),
                               .weight = {weight, s.channels, T(1)},
                               .bias = {bias, s.channels, T(0)},
                               .eps = eps,
                               .y = write<T>(y),
                               .mean = write<double>(mean),
                               .rstd = write<double>(rstd),
                               .variance = variance.data()});
      if (running) update_running<T>(s, write<double>(mean), variance.data(), *running);
    });
  }

  void backward(Tensor& dx, Tensor* dweight, Tensor* dbias, const Tensor& g, const Tensor& x,
                const Tensor& mean, const Tensor& rstd, const Tensor* weight,
                const NormShape& s) override {
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      const bool rows = s.inner == 1 && !s.across_outer;
      const int64_t parts = s.across_outer ? 1 : s.outer;
      const Temporary<double> sums(rows ? 0 : parts * s.channels),
          products(rows ? 0 : parts * s.channels);
      const Backward<T> b{.layout = {s},
                          .g = read<T>(g),
                          .x = read<T>(x),
                          .mean = read<double>(mean),
                          .rstd = read<double>(rstd),
                          .weight = {weight, s.channels, T(1)},
                          .dx = write<T>(dx),
                          .sums = sums.data(),
                          .products = products.data()};
      T* dw = dweight ? write<T>(*dweight) : nullptr;
      T* db = dbias ? write<T>(*dbias) : nullptr;
      if (rows) {
        const RowsBackward<T> by_rows(s, dw || db);
        by_rows.run(b);
        if (dw || db) by_rows.add_up(dw, db);
        return;
      }
      for_groups(s, b);
      for (int64_t c = 0; c < s.channels; ++c) {
        double w = 0, bias = 0;
        for (int64_t part = 0; part < parts; ++part) {
          w += products[part * s.channels + c];
          bias += sums[part * s.channels + c];
        }
        if (dw) dw[c] = static_cast<T>(w);
        if (db) db[c] = static_cast<T>(bias);
      }
    });
  }
};

}  // namespace

NormalizationKernels& normalization() {
  static CpuNormalization kernels;
  return kernels;
}

}  // namespace ebb::cpu
