// Loops over one row that softmax, cross-entropy and their gradients share. All are compiled for several instruction
// sets. A row is contiguous, n >= 0 elements.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "ebb/core/scalar.h"

namespace ebb::cpu {

inline constexpr int64_t kRowBlock = 256;

/// Rows that a thread takes at once, by the work of a row of n elements.
inline int64_t row_grain(int64_t n) { return std::max<int64_t>(1, 8192 / std::max<int64_t>(n, 1)); }

/// The largest element; NaN when there is one; -inf of nothing.
template <class T> EBB_MULTIVERSION T row_max(const T* x, int64_t n) {
  constexpr int64_t kLanes = 64 / sizeof(T);
  T lanes[kLanes];
  for (T& lane : lanes) lane = -std::numeric_limits<T>::infinity();
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma GCC unroll 16
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] = maximum(lanes[j], x[i + j]);
  }
  T top = lanes[0];
  for (int64_t j = 1; j < kLanes; ++j) top = maximum(top, lanes[j]);
  for (; i < n; ++i) top = maximum(top, x[i]);
  return top;
}

/// In f64: beside the 1 of a row's largest score, the others' e^(x - max) keep their digits.
template <class T> EBB_HD double block_sum(const T* x, int64_t n) {
  constexpr int64_t kLanes = 64 / sizeof(T);
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma GCC unroll 16
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(x[i + j]);
  }
  double total = lanes[0];
  for (int64_t j = 1; j < kLanes; ++j) total += lanes[j];
  for (; i < n; ++i) total += static_cast<double>(x[i]);
  return total;
}

/// out = e^(x - shift); returns the sum. out may be x itself.
template <class T> EBB_MULTIVERSION double row_exp(const T* x, T shift, int64_t n, T* out) {
  double sum = 0;
  for (int64_t at = 0; at < n; at += kRowBlock) {
    const int64_t width = std::min(kRowBlock, n - at);
    const T* from = x + at;
    T* to = out + at;
#pragma GCC ivdep
    for (int64_t i = 0; i < width; ++i) to[i] = exp(from[i] - shift);
    sum += block_sum(to, width);
  }
  return sum;
}

/// The sum of e^(x - shift) alone.
template <class T> EBB_MULTIVERSION double row_exp_sum(const T* x, T shift, int64_t n) {
  T block[kRowBlock];
  double sum = 0;
  for (int64_t at = 0; at < n; at += kRowBlock) {
    const int64_t width = std::min(kRowBlock, n - at);
    const T* from = x + at;
#pragma GCC ivdep
    for (int64_t i = 0; i < width; ++i) block[i] = exp(from[i] - shift);
    sum += block_sum(block, width);
  }
  return sum;
}

/// The sum of x.
template <class T> EBB_MULTIVERSION double row_sum(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t at = 0; at < n; at += kRowBlock) {
    sum += block_sum(x + at, std::min(kRowBlock, n - at));
  }
  return sum;
}

/// x *= factor.
template <class T> EBB_MULTIVERSION void row_scale(T* x, T factor, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace ebb::cpu
