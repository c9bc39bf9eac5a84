// The loops of normalization.cpp over contiguous elements and over columns. All are compiled for
// several instruction sets.
#pragma once

#include <cmath>
#include <cstdint>

#include "ebb/backends/cpu/rows.h"
#include "ebb/core/host_device.h"

namespace ebb::cpu {

inline constexpr int64_t kPiece = 4096;  // elements that are summed in lanes of T
inline constexpr int64_t kColumns = 32;  // columns that are processed together

/// A mean in two parts, so that x - mean has the digits of x: (x - hi) - lo.
template <class T> struct Center {
  T hi, lo;
  explicit Center(double mean)
      : hi(static_cast<T>(mean)), lo(static_cast<T>(mean - static_cast<double>(hi))) {}
};

/// Mean and sum of squared deviations of n elements; or 0 and the sum of squares, if not centered.
struct Moments {
  double n = 0, mean = 0, squares = 0;

  void join(double more, double mean_of_more, double squares_of_more) {
    const double delta = mean_of_more - mean, total = n + more;
    squares += squares_of_more + (n > 0 ? delta * delta * n * more / total : 0.0);
    mean = n > 0 ? (mean * n + mean_of_more * more) / total : mean_of_more;
    n = total;
  }
};

// Vectors of 64 bytes: without this type, the compiler would not keep the lanes in registers.
template <class T> struct Lanes {
  typedef T Vector [[gnu::vector_size(64)]];
  static constexpr int64_t kCount = 64 / sizeof(T);

  // Elements in memory, which are not aligned.
  typedef T Memory [[gnu::vector_size(64), gnu::aligned(sizeof(T)), gnu::may_alias]];
  EBB_HD static const Memory& at(const T* p) { return *reinterpret_cast<const Memory*>(p); }
  EBB_HD static Memory& at(T* p) { return *reinterpret_cast<Memory*>(p); }
  EBB_HD static double sum(const Vector& v) {
    double total = 0;
    for (int64_t j = 0; j < kCount; ++j) total += static_cast<double>(v[j]);
    return total;
  }
};

/// Adds the sums of x - center and of (x - center)^2 to out.
template <class T>
EBB_MULTIVERSION void add_deviations(const T* x, int64_t n, T center, double* out) {
  using L = Lanes<T>;
  typename L::Vector s0{}, s1{}, q0{}, q1{};
  int64_t i = 0;
  for (; i + 2 * L::kCount <= n; i += 2 * L::kCount) {
    const typename L::Vector a = L::at(x + i) - center, b = L::at(x + i + L::kCount) - center;
    s0 += a;
    s1 += b;
    q0 += a * a;
    q1 += b * b;
  }
  double sum = L::sum(s0 + s1), square = L::sum(q0 + q1);
  for (; i < n; ++i) {
    const double d = static_cast<double>(x[i] - center);
    sum += d;
    square += d * d;
  }
  out[0] += sum;
  out[1] += square;
}

/// Adds n elements to `moments`.
template <class T> void add_moments(Moments& moments, const T* x, int64_t n, bool centered) {
  for (int64_t at = 0; at < n; at += kPiece) {
    const int64_t count = std::min(kPiece, n - at);
    const double size = static_cast<double>(count);
    double d[2] = {};
    if (!centered) {
      add_deviations(x + at, count, T(0), d);
      moments.n += size;
      moments.squares += d[1];
      continue;
    }
    T about = moments.n > 0 ? static_cast<T>(moments.mean) : x[at];
    add_deviations(x + at, count, about, d);
    // An estimate that is several standard deviations away costs digits. The sums are then computed
    // again, about the mean of the piece.
    if (!(d[0] * d[0] / size <= 0.75 * d[1])) {
      about = static_cast<T>(static_cast<double>(about) + d[0] / size);
      d[0] = d[1] = 0;
      add_deviations(x + at, count, about, d);
    }
    double mean = static_cast<double>(about) + d[0] / size;
    if (!std::isfinite(d[1])) mean = row_sum(x + at, count) / size;  // infinite instead of NaN
    moments.join(size, mean, std::max(0.0, d[1] - d[0] * d[0] / size));
    if (!std::isfinite(d[1])) moments.squares = std::numeric_limits<double>::quiet_NaN();
  }
}

/// y = (x - center) r weight + bias, with a weight and a bias for each element.
template <class T>
EBB_MULTIVERSION void write_row(const T* x, int64_t n, Center<T> center, T r, const T* weight,
                                const T* bias, T* y) {
EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - center.hi - center.lo) * r * weight[i] + bias[i];
}
/// The same with one factor and one bias.
template <class T>
EBB_MULTIVERSION void write_plane(const T* x, int64_t n, Center<T> center, T scale, T bias, T* y) {
EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - center.hi - center.lo) * scale + bias;
}

template <class T>
EBB_MULTIVERSION void add_piece_products(const T* g, const T* x, int64_t n, Center<T> center,
                                         double* out) {
  using L = Lanes<T>;
  typename L::Vector s0{}, s1{}, p0{}, p1{};
  int64_t i = 0;
  for (; i + 2 * L::kCount <= n; i += 2 * L::kCount) {
    const typename L::Vector a = L::at(g + i), b = L::at(g + i + L::kCount);
    s0 += a;
    s1 += b;
    p0 += a * (L::at(x + i) - center.hi - center.lo);
    p1 += b * (L::at(x + i + L::kCount) - center.hi - center.lo);
  }
  double sum = L::sum(s0 + s1), product = L::sum(p0 + p1);
  for (; i < n; ++i) {
    sum += static_cast<double>(g[i]);
    product += static_cast<double>(g[i] * (x[i] - center.hi - center.lo));
  }
  out[0] += sum;
  out[1] += product;
}
/// Adds the sums of g and of g (x - center) to out.
template <class T>
void add_products(const T* g, const T* x, int64_t n, Center<T> center, double* out) {
  for (int64_t at = 0; at < n; at += kPiece)
    add_piece_products(g + at, x + at, std::min(kPiece, n - at), center, out);
}

template <class T>
EBB_MULTIVERSION void add_row_piece(const T* g, const T* x, int64_t n, Center<T> center, T r,
                                    const T* weight, double* out, T* dweight, T* dbias) {
  using L = Lanes<T>;
  typename L::Vector sum{}, product{};
  int64_t i = 0;
  for (; i + L::kCount <= n; i += L::kCount) {
    const typename L::Vector d = L::at(x + i) - center.hi - center.lo, up = L::at(g + i);
    const typename L::Vector h = up * L::at(weight + i);
    sum += h;
    product += h * d;
    if (dweight) {
      L::at(dweight + i) += up * d * r;
      L::at(dbias + i) += up;
    }
  }
  double sums = L::sum(sum), products = L::sum(product);
  for (; i < n; ++i) {
    const T d = x[i] - center.hi - center.lo, h = g[i] * weight[i];
    sums += static_cast<double>(h);
    products += static_cast<double>(h * d);
    if (dweight) {
      dweight[i] += g[i] * d * r;
      dbias[i] += g[i];
    }
  }
  out[0] += sums;
  out[1] += products;
}
/// Adds the sums of weight g and of weight g (x - center) to out; and, where dweight is not null, g
/// (x - center) r to dweight and g to dbias.
template <class T>
void add_row_products(const T* g, const T* x, int64_t n, Center<T> center, T r, const T* weight,
                      double* out, T* dweight, T* dbias) {
  for (int64_t at = 0; at < n; at += kPiece) {
    add_row_piece(g + at, x + at, std::min(kPiece, n - at), center, r, weight + at, out,
                  dweight ? dweight + at : nullptr, dbias ? dbias + at : nullptr);
  }
}

/// dx = scale g - k1 - (x - center) k2.
template <class T>
EBB_MULTIVERSION void write_slope(const T* g, const T* x, int64_t n, Center<T> center, T scale,
                                  T k1, T k2, T* dx) {
EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) dx[i] = scale * g[i] - k1 - (x[i] - center.hi - center.lo) * k2;
}
/// The same with the factor r weight of each element.
template <class T>
EBB_MULTIVERSION void write_row_slope(const T* g, const T* x, int64_t n, Center<T> center, T r,
                                      const T* weight, T k1, T k2, T* dx) {
EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i)
    dx[i] = r * weight[i] * g[i] - k1 - (x[i] - center.hi - center.lo) * k2;
}

// ---- columns: element (i, j) of `width` <= kColumns columns is at i stride + j ----

/// Computes mean and variance of each column.
template <class T>
EBB_MULTIVERSION void column_moments(const T* x, int64_t rows, int64_t stride, int64_t width,
                                     double* mean, double* variance) {
  double sum[kColumns] = {}, square[kColumns] = {};
  const double n = static_cast<double>(rows);
  for (int64_t i = 0; i < rows; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) sum[j] += static_cast<double>(x[i * stride + j]);
  }
  for (int64_t j = 0; j < width; ++j) mean[j] = sum[j] / n;
  for (int64_t i = 0; i < rows; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const double d = static_cast<double>(x[i * stride + j]) - mean[j];
      square[j] += d * d;
    }
  }
  for (int64_t j = 0; j < width; ++j) variance[j] = square[j] / n;
}

template <class T>
EBB_MULTIVERSION void write_columns(const T* x, int64_t rows, int64_t stride, int64_t width,
                                    const T* hi, const T* lo, const T* scale, const T* bias, T* y) {
  for (int64_t i = 0; i < rows; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const int64_t at = i * stride + j;
      y[at] = (x[at] - hi[j] - lo[j]) * scale[j] + bias[j];
    }
  }
}

/// Computes the sums of g and of g (x - mean) of each column.
template <class T>
EBB_MULTIVERSION void column_products(const T* g, const T* x, int64_t rows, int64_t stride,
                                      int64_t width, const T* hi, const T* lo, double* sum,
                                      double* product) {
  for (int64_t j = 0; j < width; ++j) sum[j] = product[j] = 0;
  for (int64_t i = 0; i < rows; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const int64_t at = i * stride + j;
      sum[j] += static_cast<double>(g[at]);
      product[j] += static_cast<double>(g[at] * (x[at] - hi[j] - lo[j]));
    }
  }
}

template <class T>
EBB_MULTIVERSION void write_column_slopes(const T* g, const T* x, int64_t rows, int64_t stride,
                                          int64_t width, const T* hi, const T* lo, const T* scale,
                                          const T* k1, const T* k2, T* dx) {
  for (int64_t i = 0; i < rows; ++i) {
EBB_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) {
      const int64_t at = i * stride + j;
      dx[at] = scale[j] * g[at] - k1[j] - (x[at] - hi[j] - lo[j]) * k2[j];
    }
  }
}

}  // namespace ebb::cpu
