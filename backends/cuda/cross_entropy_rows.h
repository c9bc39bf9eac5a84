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

/// Layout: input (N, C, inner) contiguous. kPlain: without weights and smoothing, which take
/// registers that rows need.
template <class T, bool kPlain> struct CrossEntropyProblem {
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
  int kept;  // the elements of a row in shared memory (shared_row.h)
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
  __device__ bool has_weights() const { return !kPlain && weight; }
  __device__ bool smooths() const { return !kPlain && smoothing > 0; }
  __device__ double weight_of(int64_t c) const {
    return has_weights() ? static_cast<double>(weight[c]) : 1;
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
template <class T, bool kPlain>
__device__ Shared shared_sums(const CrossEntropyProblem<T, kPlain>& p) {
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
  if (p.smooths() && p.has_weights()) {
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

  __device__ bool is_finite() const { return hit_factor - hit_factor == 0; }
  // The gradients of a row add up to 0. If p_t is near 1, p_t - 1 has lost its digits and the
  // others have not. The gradient of x_t is then minus the sum of the others.
  __device__ bool settles(double e, double sum) const { return 2 * e > sum && is_finite(); }
};
template <class T, bool kPlain>
__device__ Factors factors_of(const CrossEntropyProblem<T, kPlain>& p, const Shared& s, int64_t i,
                              int64_t t) {
  Factors f;
  f.hit = p.smooths() ? (1 - p.smoothing) * p.weight_of(t) : p.weight_of(t);
  f.share = p.smooths() ? p.smoothing / static_cast<double>(p.classes) : 0;
  f.hit_factor = s.scale * (p.upstream ? static_cast<double>(p.upstream[i]) : 1);
  return f;
}

template <class T, bool kPlain>
__device__ T gradient_of(const CrossEntropyProblem<T, kPlain>& p, const Factors& f,
                         T softmax_factor, T e, int64_t c, int64_t t) {
  T g = e * softmax_factor;
  if (p.smooths())
    g -= static_cast<T>(f.hit_factor * f.share) * (p.has_weights() ? p.weight[c] : T(1));
  if (c == t) g -= static_cast<T>(f.hit_factor * f.hit);
  return g;
}

template <class T, bool kPlain>
__device__ void write_total(const CrossEntropyProblem<T, kPlain>& p, const Shared& s,
                            double total) {
  // If the weights sum to 0, the mean is NaN, also if smoothing makes the total other than 0.
  const bool no_mean = s.scale == std::numeric_limits<double>::infinity();
  *p.total = static_cast<T>(no_mean ? 0 * s.scale : total * s.scale);
}

// The totals of the teams of a block. Zeroed by init().
struct TeamTotals {
  double parts[kWarp];
  unsigned arrived;

  template <class Team> __device__ void init() {
    if constexpr (Team::is_block) return;
    if (threadIdx.x == 0) arrived = 0;
    __syncthreads();
  }
};

/// Computes the sum of the teams' totals, which are in their threads of rank 0. Unlike grid_sum()
/// it has no barrier: the last warp to arrive adds them, in their order. A team calls it when it
/// knows the loss of its last row, before it writes the gradient. Returns true in one thread of the
/// grid.
template <class Team>
__device__ bool sum_of_teams(double& total, TeamTotals& totals, double* partials,
                             unsigned* ticket) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp;
  if (Team::is_block && warp > 0) return false;
  const int warps = Team::is_block ? 1 : static_cast<int>(blockDim.x) / kWarp;
  int last = 1;
  if (warps > 1) {
    if (lane == 0) {
      totals.parts[warp] = total;
      __threadfence_block();
      last = atomicAdd(&totals.arrived, 1u) == static_cast<unsigned>(warps) - 1;
    }
    if (!__shfl_sync(kAllLanes, last, 0)) return false;
    __syncwarp();
    __threadfence_block();
    const volatile double* parts = totals.parts;
    total = warp_join<AddUp>(lane < warps ? parts[lane] : 0.0);
  }
  if (gridDim.x == 1) return lane == 0;
  if (lane == 0) {
    partials[blockIdx.x] = total;
    __threadfence();
    last = atomicAdd(ticket, 1u) == gridDim.x - 1;
    if (last) *ticket = 0;
  }
  if (!__shfl_sync(kAllLanes, last, 0)) return false;
  __syncwarp();
  __threadfence();
  total = 0;
#pragma unroll 8
  for (unsigned i = static_cast<unsigned>(lane); i < gridDim.x; i += kWarp)
    total += __ldcg(partials + i);
  total = warp_join<AddUp>(total);
  return lane == 0;
}

// Returns element t of a row, for all threads of the team.
template <class Team, class T>
__device__ T element_at(RowOf<Team, T>& row, const T* from, int64_t t) {
  if constexpr (Team::is_block || Team::kept > 4) {
    return from[t];
  } else {  // it is in a register of some thread
    T mine = 0;
    row.each([&](auto c, const T(&v)[1]) {
      if (c == t) mine = v[0];
    });
    return __shfl_sync(kAllLanes, mine, static_cast<int>(t % kWarp));
  }
}

/// Resident blocks with 64 registers per thread. The loss needs more registers than softmax.
template <class Team> inline constexpr int kLossBlocks = 1024 / Team::most_threads;

template <class Team, class T, bool kPlain>
__global__ void __launch_bounds__(Team::most_threads, kLossBlocks<Team>)
    cross_entropy_rows(const __grid_constant__ CrossEntropyProblem<T, kPlain> p) {
  __shared__ TeamTotals totals;
  await_previous();
  constexpr bool kKeptExp = !Team::has_tail;
  const int64_t n = p.classes, first = Team::first_row();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  RowOf<Team, T> row(n, p.kept);
  totals.template init<Team>();
  Shared s{};
  double total = 0;  // of this thread's rows, in the thread of rank 0
  const auto add_totals = [&] {
    double sum = total;
    if (p.total && sum_of_teams<Team>(sum, totals, p.partials, p.ticket)) write_total(p, s, sum);
  };
  for (int64_t i = first;; i += Team::row_step()) {
    const bool exists = i < p.positions;
    const int64_t t = exists ? p.target_at(i) : 0, after = i + Team::row_step();
    if (exists) row.load({p.input + i * n});
    if (i == first) s = shared_sums(p);  // all threads, while their first rows arrive
    if (!exists) {
      if (i == first) add_totals();
      return;
    }
    const bool last = after >= p.positions;
    const T* const next_input = last ? nullptr : p.input + after * n;
    T* gradient = p.gradient ? p.gradient + i * n : nullptr;
    // The same for all threads of the team. The gradient of an invalid row is `fill`.
    const bool valid = t != p.ignore_index && p.in_range(t);
    const T fill = t == p.ignore_index ? T(0) : nan;
    const T at_target = valid ? element_at<Team>(row, p.input + i * n, t) : T(0);
    const bool smooths = p.smooths();
    double weighted = 0;
    // The sum without the target: it keeps its digits if p_t is near 1.
    const auto [top, others] = row_sums<kKeptExp, Team, T>(
        row, [own = t - Team::rank()](auto c) { return c - Team::rank() != static_cast<int>(own); },
        smooths, [&](auto c, double x) { weighted += p.weight_of(c) * x; });
    const T e_target = exp_below(at_target, top);
    const double sum = others + static_cast<double>(e_target);
    const auto exp_at = [top = top](const T(&v)[1]) {
      return kKeptExp ? v[0] : exp_below(v[0], top);
    };
    const Factors f = factors_of(p, s, i, valid ? t : 0);
    if (p.losses || p.total) {
      if (smooths) weighted = Team::template join_apart<AddUp>(weighted);
      if (Team::rank() == 0) {
        const double more = at_target == top ? others : sum - 1;
        const auto log_sum = static_cast<double>(math::log1p(static_cast<T>(more)));
        double loss = -f.hit * (static_cast<double>(at_target - top) - log_sum);
        if (smooths) {
          weighted -= s.weight_sum * (static_cast<double>(top) - shown_from<Team>(top));
          loss -= f.share * (weighted - s.weight_sum * log_sum);
        }
        if (!valid) {
          loss = static_cast<double>(fill);
          if (t != p.ignore_index) p.note_bad(i, t);
        }
        total += loss;
        if (p.losses) p.losses[i] = static_cast<T>(loss);
      }
    }
    if (last) add_totals();
    if (!gradient) {
      row.each_last(next_input, [](auto, const T(&)[1]) {});
      continue;
    }
    const T factor =
        static_cast<T>(f.hit_factor * (f.hit + f.share * s.weight_sum)) / static_cast<T>(sum);
    if (!smooths) {
      row.each_last(next_input, [&](auto c, const T(&v)[1]) {
        Team::store(gradient + c, valid ? exp_at(v) * factor : fill);
      });
      if (valid && t % Team::size == Team::rank()) {  // the thread that wrote this element
        gradient[t] = f.is_finite() ? static_cast<T>(-f.hit_factor * f.hit * (others / sum))
                                    : gradient_of(p, f, factor, e_target, t, t);
      }
      continue;
    }
    const bool settles = valid && f.settles(static_cast<double>(e_target), sum);
    double settled = 0;
    row.each_last(next_input, [&](auto c, const T(&v)[1]) {
      if (settles && c == t) return;
      const T g = valid ? gradient_of(p, f, factor, exp_at(v), c, t) : fill;
      gradient[c] = g;
      settled += static_cast<double>(g);
    });
    if (settles) {
      settled = Team::template join_apart<AddUp>(settled);
      if (Team::rank() == 0) gradient[t] = static_cast<T>(0 - settled);
    }
  }
}

}  // namespace ebb::cuda
