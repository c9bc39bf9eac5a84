// Loops over one contiguous row of n >= 0 elements, shared by softmax, cross-entropy and their
// gradients. All are compiled for several instruction sets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "ebb/core/scalar.h"

namespace ebb::cpu {

/// Returns how many rows of n elements a thread processes at a time.
inline int64_t row_grain(int64_t n) {
  return std::max<int64_t>(1, 16 * 1024 / std::max<int64_t>(n, 1));
}

/// Returns the largest element that is not NaN, or -inf if there is none. (A NaN shows in the sum
/// of exponentials.)
template <class T> EBB_MULTIVERSION T row_max(const T* x, int64_t n) {
  // Without this type, the compiler would not keep the lanes in registers.
  typedef T Vector [[gnu::vector_size(64)]];
  constexpr int64_t kLanes = 64 / sizeof(T);
  const T lowest = -std::numeric_limits<T>::infinity();
  Vector a = lowest - Vector{}, b = a;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    Vector u, v;
    __builtin_memcpy(&u, x + i, sizeof u);
    __builtin_memcpy(&v, x + i + kLanes, sizeof v);
    a = u > a ? u : a;
    b = v > b ? v : b;
  }
  a = a > b ? a : b;
  T top = lowest;
  for (int64_t j = 0; j < kLanes; ++j) top = a[j] > top ? a[j] : top;
  for (; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

/// Sums are in f64, in which the e^(x - max) of small scores keep their digits when added to the 1
/// of the largest score. Element i is added to lane i % kLanes. The compiler keeps such lanes in
/// registers, and overlaps the additions with the exponentials.
inline constexpr int64_t kLanes = 32;

template <class A> EBB_HD A sum_of_lanes(A (&lanes)[kLanes]) {
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

/// Calls each(at, width, lanes) for pieces of a row of n elements. All but the last are kLanes
/// wide. Returns the sum of the lanes.
template <class Each> EBB_HD double sum_in_lanes(int64_t n, const Each& each) {
  double lanes[kLanes] = {};
  int64_t at = 0;
  for (; at + kLanes <= n; at += kLanes) each(at, kLanes, lanes);
  each(at, n - at, lanes);
  return sum_of_lanes(lanes);
}

/// Computes out = e^(x - shift) for x <= shift, and returns the sum. out may be x.
template <class T> EBB_MULTIVERSION double row_exp(const T* x, T shift, int64_t n, T* out) {
  return sum_in_lanes(n, [=](int64_t at, int64_t width, double* lanes) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t i = 0; i < width; ++i) {
      const T e = math::exp_nonpositive(x[at + i] - shift);
      out[at + i] = e;
      lanes[i] += static_cast<double>(e);
    }
  });
}

/// Returns the sum of e^(x - shift) for x <= shift.
template <class T> EBB_MULTIVERSION double row_exp_sum(const T* x, T shift, int64_t n) {
  return sum_in_lanes(n, [=](int64_t at, int64_t width, double* lanes) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t i = 0; i < width; ++i)
      lanes[i] += static_cast<double>(math::exp_nonpositive(x[at + i] - shift));
  });
}

/// Returns the sum of x.
template <class T> EBB_MULTIVERSION double row_sum(const T* x, int64_t n) {
  if (n < 8) {  // for so few elements the lanes would be most of the work
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    return sum;
  }
  return sum_in_lanes(n, [=](int64_t at, int64_t width, double* lanes) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t i = 0; i < width; ++i) lanes[i] += static_cast<double>(x[at + i]);
  });
}

/// Returns the sum of x y.
template <class T> EBB_MULTIVERSION double row_dot(const T* x, const T* y, int64_t n) {
  return sum_in_lanes(n, [=](int64_t at, int64_t width, double* lanes) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t i = 0; i < width; ++i) lanes[i] += static_cast<double>(x[at + i] * y[at + i]);
  });
}

/// Rows of at most this size are processed in blocks, which saves calls and fills the vectors of
/// exponentials.
inline constexpr int64_t kShortRow = 64, kShortBlock = 1024, kShortRows = 64;
/// Returns the number of rows in a block.
inline int64_t short_rows(int64_t n) { return std::min(kShortRows, kShortBlock / n); }

/// Computes for each of `rows` rows: its largest element, e^(x - largest), the sum of these, and
/// its log. REQUIRES 1 <= n <= kShortRow and rows <= short_rows(n). e must not be x.
template <class T>
EBB_HD void exp_short_rows(const T* x, int64_t rows, int64_t n, T* e, T* top, double* sum,
                           double* log_sum) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = x + r * n;
    T largest = row[0];
    for (int64_t i = 1; i < n; ++i) largest = row[i] > largest ? row[i] : largest;
    top[r] = largest;
EBB_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) e[r * n + i] = row[i] - largest;
  }
EBB_INDEPENDENT
  for (int64_t i = 0; i < rows * n; ++i) e[i] = math::exp_nonpositive(e[i]);
  for (int64_t r = 0; r < rows; ++r) {
    sum[r] = 0;
    for (int64_t i = 0; i < n; ++i) sum[r] += static_cast<double>(e[r * n + i]);
  }
EBB_INDEPENDENT
  for (int64_t r = 0; r < rows; ++r) log_sum[r] = log(sum[r]);
}

/// Computes x *= factor.
template <class T> EBB_MULTIVERSION void row_scale(T* x, T factor, int64_t n) {
EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace ebb::cpu
