// Kernels of softmax, log_softmax and their gradients over rows, for the teams of rows.h.
//
// Sums are in f64, everything else is in the tensor's type. The maximum ignores NaN. A NaN makes
// the sum NaN, and the sum makes the whole row NaN.
#pragma once

#include "ebb/backends/cuda/shared_row.h"
#include "ebb/core/math.h"
#include "ebb/core/softmax.h"

namespace ebb::cuda {

/// Returns e^x for x <= 0. f32 uses CUDA's own function, which has the same error (1 ulp) as
/// core/math.h in half the instructions.
__device__ inline float row_exp(float x) { return std::exp(x); }
__device__ inline double row_exp(double x) { return math::exp_nonpositive(x); }
/// Returns e^(x - top) for x <= top; NaN if either is NaN, or if both are the same infinity.
template <class T> __device__ T exp_below(T x, T top) { return row_exp(x - top); }

/// Returns this team's row after row i, or null if there is none.
template <class Team, class T>
__device__ const T* next_row(const T* x, int64_t i, int64_t rows, int64_t n) {
  return i + Team::row_step() < rows ? x + (i + Team::row_step()) * n : nullptr;
}

/// The maximum of a row, and the sum of e^(x - top) in f64 over its elements, in some cases without
/// one of them. Every thread of the team receives both.
template <class T> struct RowSums {
  T top;
  double sum;
};
/// The value that row_sums() subtracts from an element before it passes it to `see`: the top, if it
/// is known by then.
template <class Team, class T> __device__ double shown_from(T top) {
  return Team::has_tail ? 0 : static_cast<double>(top);
}

/// Uses slots 0 and 1, in this order. kKeepExp: stores e^(x - top) in place of the kept elements.
/// adds(c): whether the sum includes element c. Calls see(c, x - shown_from) for every element if
/// `shows`.
template <bool kKeepExp, class Team, class T, class Adds, class See>
__device__ RowSums<T> row_sums(RowOf<Team, T>& row, const Adds& adds, bool shows, const See& see) {
  constexpr T none = -std::numeric_limits<T>::infinity();
  T top = none;
  double sum = 0;
  if constexpr (Team::has_tail) {
    // One pass: a thread rescales its sum if it finds a larger element.
    row.each_batch([&]<class C, int Count>(C c, C limit, T(&v)[Count][1]) {
      T most = top;
#pragma unroll
      for (int u = 0; u < Count; ++u) {
        if (c + u * Team::size < limit) most = LargerNumber::join(most, v[u][0]);
      }
      if (most > top && top != none) sum *= static_cast<double>(exp_below(top, most));
      top = most;
      const T base = top == none ? T(0) : top;  // e^-inf is 0
#pragma unroll
      for (int u = 0; u < Count; ++u) {
        if (c + u * Team::size < limit) {
          if (shows) see(c + u * Team::size, static_cast<double>(v[u][0]));
          if (adds(c + u * Team::size)) sum += static_cast<double>(exp_below(v[u][0], base));
        }
      }
    });
    const T mine = top;
    top = Team::template join<LargerNumber>(0, top);
    if (mine != none || top == none) sum *= static_cast<double>(exp_below(mine, top));
  } else {
    row.each([&](auto, const T(&v)[1]) { top = LargerNumber::join(top, v[0]); });
    top = Team::template join<LargerNumber>(0, top);
    if (shows) {
      row.each([&](auto c, const T(&v)[1]) {
        see(c, static_cast<double>(v[0]) - static_cast<double>(top));
      });
    }
    row.each([&](auto c, T(&v)[1]) {
      const T e = exp_below(v[0], top);
      if (adds(c)) sum += static_cast<double>(e);
      if constexpr (kKeepExp) v[0] = e;
    });
  }
  return {top, Team::template join<AddUp>(1, sum)};
}

// kept: the elements of a row in shared memory (shared_row.h).
template <class Team, class T, bool kLog>
__global__ void __launch_bounds__(Team::most_threads, Team::blocks)
    softmax_rows(const T* x, T* y, int64_t rows, int64_t n, int kept) {
  await_previous();
  constexpr bool kKeptExp = !kLog && !Team::has_tail;
  RowOf<Team, T> row(n, kept);
  for (int64_t i = Team::first_row(); i < rows; i += Team::row_step()) {
    row.load({x + i * n});
    const RowSums<T> of = row_sums<kKeptExp, Team, T>(
        row, [](auto) { return true; }, false, [](auto, double) {});
    const T scale = kLog ? static_cast<T>(log(of.sum)) : static_cast<T>(1 / of.sum);
    T* out = y + i * n;
    row.each_last(next_row<Team>(x, i, rows, n), [&](auto c, const T(&v)[1]) {
      if constexpr (kLog) Team::store(out + c, v[0] - of.top - scale);
      else Team::store(out + c, (kKeptExp ? v[0] : exp_below(v[0], of.top)) * scale);
    });
  }
}

template <bool kLog, class T> __device__ T backward_term(T y, T g) { return kLog ? g : g * y; }
template <bool kLog, class T> __device__ T backward_value(T y, T g, T total) {
  return kLog ? g - row_exp(y) * total : y * (g - total);
}

// A row with a sure element (core/softmax.h) needs one more sum.
template <class Team, class T, bool kLog>
__global__ void __launch_bounds__(Team::most_threads, Team::blocks)
    softmax_backward_rows(const T* y, const T* g, T* out, int64_t rows, int64_t n) {
  await_previous();
  Row<Team, T, 2> row(n);
  int slot = 0;
  for (int64_t i = Team::first_row(); i < rows; i += Team::row_step(), slot ^= 1) {
    row.load({y + i * n, g + i * n});
    double sum = 0;
    bool sure = false;
    row.each([&](auto, const T(&v)[2]) {
      sum += static_cast<double>(backward_term<kLog>(v[0], v[1]));
      sure |= is_sure<kLog>(v[0]);
    });
    sum = Team::template join<AddUp>(slot, sum, sure);
    const T total = static_cast<T>(sum);
    T* to = out + i * n;
    if (!sure) {
      row.each([&](auto c, const T(&v)[2]) {
        Team::store(to + c, backward_value<kLog>(v[0], v[1], total));
      });
      continue;
    }
    double settled = 0;
    row.each([&](auto c, const T(&v)[2]) {
      if (is_sure<kLog>(v[0])) return;
      const T value = backward_value<kLog>(v[0], v[1], total);
      Team::store(to + c, value);
      settled += static_cast<double>(value);
    });
    settled = Team::template join_apart<AddUp>(settled);
    row.each([&](auto c, const T(&v)[2]) {
      if (is_sure<kLog>(v[0])) to[c] = static_cast<T>(0 - settled);
    });
  }
}

// The gradient of log_softmax for wide rows. The total needs only g, which is in shared memory, so
// y is read only once. A row has at most one sure element.
template <class Team, class T>
__global__ void __launch_bounds__(Team::most_threads, Team::blocks)
    log_softmax_backward_wide(const T* y, const T* g, T* out, int64_t rows, int64_t n, int kept) {
  await_previous();
  SharedRow<Team, T> row(n, kept);
  for (int64_t i = Team::first_row(); i < rows; i += Team::row_step()) {
    row.load({g + i * n});
    double sum = 0;
    row.each([&](auto, const T(&v)[1]) { sum += static_cast<double>(v[0]); });
    const T total = static_cast<T>(Team::template join<AddUp>(0, sum));
    T* to = out + i * n;
    T* sure = nullptr;
    double settled = 0;
    row.each_last(next_row<Team>(g, i, rows, n), y + i * n, [&](auto c, const T(&v)[2]) {
      if (is_sure<true>(v[1])) {
        sure = to + c;
        return;
      }
      const T value = backward_value<true>(v[1], v[0], total);
      Team::store(to + c, value);
      settled += static_cast<double>(value);
    });
    bool found = sure != nullptr;
    settled = Team::template join<AddUp>(1, settled, found);
    if (sure) *sure = static_cast<T>(0 - settled);
  }
}

}  // namespace ebb::cuda
