// Kernels of cross-entropy over class indices, for the teams of rows.h. One pass over a row
// computes loss and gradient.
//
// The total is summed in f64, always in the same order. For an index out of range, the kernel
// records a fault, writes NaN and accesses no memory through the index.
#pragma once

#include "ebb/backends/cuda/faults.h"
#include "ebb/backends/cuda/softmax_rows.h"

namespace ebb::cuda {

/// Below this sum, digits of all elements except the largest have been lost.
inline constexpr double kNearlyOne = 1 + 1e-6;

/// Layout: input (N, C, inner) contiguous.
template <class T> struct CrossEntropyProblem {
  const T* input;
  const T* weight;    // (C), or null
  const T* upstream;  // (N, inner), or null for 1
  T* losses;          // or null
  T* total;           // or null
  T* gradient;        // or null
  const void* target;
  const double* selected;  // the sum of selected weights, or null if every block computes it
  double* partials;
  unsigned* ticket;
  int64_t positions, classes, inner, ignore_index;
  double smoothing;
  bool mean, wide_target;  // wide_target: i64, else u8
  bool notes;              // records a fault for an index out of range
  Fault fault;
  FaultNote where;

  __device__ int64_t target_at(int64_t i) const {
    return wide_target ? static_cast<const int64_t*>(target)[i]
                       : static_cast<const uint8_t*>(target)[i];
  }
  __device__ bool in_range(int64_t t) const { return t >= 0 && t < classes; }
  __device__ void note_bad(int64_t i, int64_t t) const {
    if (!notes) return;
    Fault found = fault;
    found.index = t;
    found.position = i;
    note(where, found);
  }
  __device__ double weight_of(int64_t c) const {
    return weight ? static_cast<double>(weight[c]) : 1;
  }
  __device__ double selected_at(int64_t i) const {
    const int64_t t = target_at(i);
    return t == ignore_index || !in_range(t) ? 0 : weight_of(t);
  }
};

// The values that all rows use: 1 / (sum of selected weights) for a mean, and the sum of all class
// weights if smoothing needs it. Every thread of the block takes part and receives them.
struct Shared {
  double scale, weight_sum;
};
template <class T> __device__ Shared shared_sums(const CrossEntropyProblem<T>& p) {
  Shared s{1, static_cast<double>(p.classes)};
  if (p.mean) {
    double sum = 0;
    if (p.selected) {
      sum = *p.selected;
    } else if (p.positions <= kWarp) {  // in every warp, without a barrier
      const int64_t i = threadIdx.x % kWarp;
      sum = warp_join<AddUp>(i < p.positions ? p.selected_at(i) : 0.0);
    } else {
#pragma unroll 8
      for (int64_t i = threadIdx.x; i < p.positions; i += blockDim.x) sum += p.selected_at(i);
      sum = block_join<AddUp>(sum);
    }
    s.scale = 1 / sum;
  }
  if (p.smoothing > 0 && p.weight) {
    double sum = 0;
    for (int64_t c = threadIdx.x; c < p.classes; c += blockDim.x)
      sum += static_cast<double>(p.weight[c]);
    s.weight_sum = block_join<AddUp>(sum);
  }
  return s;
}

// The factors of one position: loss = -hit logp_t - share sum_c w_c logp_c; gradient =
// softmax_factor e^(x - top) - smooth w_c - [c = t] hit_factor.
struct Factors {
  double hit, share, hit_factor;

  // The gradients of a row add up to 0. If p_t is near 1, p_t - 1 has lost its digits and the
  // others have not. The gradient of x_t is then minus the sum of the others.
  __device__ bool settles(double e, double sum) const {
    return 2 * e > sum && hit_factor - hit_factor == 0;
  }
};
template <class T>
__device__ Factors factors_of(const CrossEntropyProblem<T>& p, const Shared& s, int64_t i,
                              int64_t t) {
  Factors f;
  f.hit = (1 - p.smoothing) * p.weight_of(t);
  f.share = p.smoothing / static_cast<double>(p.classes);
  f.hit_factor = s.scale * (p.upstream ? static_cast<double>(p.upstream[i]) : 1);
  return f;
}

template <class T>
__device__ T gradient_of(const CrossEntropyProblem<T>& p, const Factors& f, T softmax_factor, T e,
                         int64_t c, int64_t t) {
  T g = e * softmax_factor;
  if (p.smoothing > 0)
    g -= static_cast<T>(f.hit_factor * f.share) * (p.weight ? p.weight[c] : T(1));
  if (c == t) g -= static_cast<T>(f.hit_factor * f.hit);
  return g;
}

template <class T>
__device__ void finish(const CrossEntropyProblem<T>& p, const Shared& s, double total) {
  if (!p.total || !grid_sum(total, p.partials, p.ticket)) return;
  // If the weights sum to 0, the mean is NaN, also if smoothing makes the total other than 0.
  const bool no_mean = s.scale == std::numeric_limits<double>::infinity();
  *p.total = static_cast<T>(no_mean ? 0 * s.scale : total * s.scale);
}

// Returns element t of a row, for all threads of the team.
template <class Team, class T>
__device__ T element_at(Row<Team, T>& row, const T* from, int64_t t) {
  if constexpr (Team::is_block) {
    return from[t];
  } else {  // it is in a register
    T mine = 0;
    row.each([&](auto c, const T(&v)[1]) {
      if (c == t) mine = v[0];
    });
    return __shfl_sync(kAllLanes, mine, static_cast<int>(t % kWarp));
  }
}

// Starts to load the first row of a warp, whose load comes after the sum of the weights.
template <class Team, class T>
__device__ void prefetch_row([[maybe_unused]] const CrossEntropyProblem<T>& p) {
#if defined(__CUDA_ARCH__)
  const int64_t c = Team::rank() * Team::kept;
  if (Team::is_block || Team::first_row() >= p.positions || c >= p.classes) return;
  asm volatile("prefetch.global.L1 [%0];" ::"l"(p.input + Team::first_row() * p.classes + c));
#endif
}

/// Resident blocks with 64 registers per thread. The loss needs more registers than softmax.
template <class Team> inline constexpr int kLossBlocks = 1024 / Team::most_threads;

template <class Team, class T>
__global__ void __launch_bounds__(Team::most_threads, kLossBlocks<Team>)
    cross_entropy_rows(const __grid_constant__ CrossEntropyProblem<T> p) {
  await_previous();
  constexpr bool kKeptExp = !Team::has_tail;
  prefetch_row<Team>(p);
  const Shared s = shared_sums(p);
  const int64_t n = p.classes;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  double total = 0;  // of this thread's rows, in the thread of rank 0
  // Loads the target of the next row early.
  int64_t next = Team::first_row() < p.positions ? p.target_at(Team::first_row()) : 0;
  for (int64_t i = Team::first_row(); i < p.positions; i += Team::row_step()) {
    const int64_t t = next;
    if (i + Team::row_step() < p.positions) next = p.target_at(i + Team::row_step());
    Row<Team, T> row({p.input + i * n}, n);
    T* gradient = p.gradient ? p.gradient + i * n : nullptr;
    if (t == p.ignore_index || !p.in_range(t)) {  // the same for all threads of the team
      const T value = t == p.ignore_index ? T(0) : nan;
      if (gradient) row.each([&](auto c, const T(&)[1]) { gradient[c] = value; });
      if (Team::rank() == 0) {
        if (t != p.ignore_index) p.note_bad(i, t);
        total += static_cast<double>(value);
        if (p.losses) p.losses[i] = value;
      }
      continue;
    }
    const T at_target = element_at(row, p.input + i * n, t);
    const bool smooths = p.smoothing > 0;
    double weighted = 0;
    const RowSums<T> of =
        row_sums<kKeptExp>(row, smooths, [&](auto c, double x) { weighted += p.weight_of(c) * x; });
    const auto exp_at = [&of](const T(&v)[1]) { return kKeptExp ? v[0] : exp_below(v[0], of.top); };
    const Factors f = factors_of(p, s, i, t);
    if (p.losses || p.total) {
      double others = of.sum - 1;  // of e^(x - top), without the 1 of the top
      if (of.sum < kNearlyOne && at_target == of.top) {
        others = 0;
        row.each(
            [&](auto c, const T(&v)[1]) { others += c == t ? 0 : static_cast<double>(exp_at(v)); });
        others = Team::template join_apart<AddUp>(others);
      }
      if (smooths) weighted = Team::template join_apart<AddUp>(weighted);
      if (Team::rank() == 0) {
        const auto log_sum = static_cast<double>(math::log1p(static_cast<T>(others)));
        double loss = -f.hit * (static_cast<double>(at_target - of.top) - log_sum);
        if (smooths) {
          weighted -= s.weight_sum * (static_cast<double>(of.top) - shown_from<Team>(of));
          loss -= f.share * (weighted - s.weight_sum * log_sum);
        }
        total += loss;
        if (p.losses) p.losses[i] = static_cast<T>(loss);
      }
    }
    if (!gradient) continue;
    const T factor =
        static_cast<T>(f.hit_factor * (f.hit + f.share * s.weight_sum)) / static_cast<T>(of.sum);
    const T e_target = exp_below(at_target, of.top);
    const bool settles = f.settles(static_cast<double>(e_target), of.sum);
    if (!settles && !smooths) {
      row.each([&](auto c, const T(&v)[1]) { Team::store(gradient + c, exp_at(v) * factor); });
      if (t % Team::size == Team::rank())  // the thread that wrote this element
        gradient[t] = gradient_of(p, f, factor, e_target, t, t);
      continue;
    }
    double others = 0;
    row.each([&](auto c, const T(&v)[1]) {
      if (settles && c == t) return;
      const T g = gradient_of(p, f, factor, exp_at(v), c, t);
      gradient[c] = g;
      others += static_cast<double>(g);
    });
    if (settles) {
      others = Team::template join_apart<AddUp>(others);
      if (Team::rank() == 0) gradient[t] = static_cast<T>(0 - others);
    }
  }
  finish(p, s, total);
}

}  // namespace ebb::cuda
