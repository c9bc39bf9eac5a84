// Cross-entropy over class indices: loss and gradient of a row in one visit.
//
// Layout: input (N, C, inner) contiguous; inner = 1: a warp or a block a row (rows.h); inner > 1: a thread a position,
// so that memory is read along rows. The total is summed in f64 in an order that is always the same. The sum of the
// selected weights, which a mean divides by, is taken by every block for itself where targets are few, and by a kernel
// of its own else. An index out of range, which check_indices has noted, gives NaN and touches nothing.
// Traffic: the input read once (wide rows: again, mostly from the cache), the gradient written once.
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/rows.h"

namespace ebb::cuda {
namespace {

constexpr int64_t kFewTargets = 8192;
constexpr double kNearlyOne = 1 + 1e-6;  // a sum below has lost digits of all but the top

template <class T> struct Problem {
  const T* input;
  const T* weight;    // (C), or null
  const T* upstream;  // (N, inner), or null for 1
  T* losses;          // or null
  T* total;           // or null
  T* gradient;        // or null
  const void* target;
  const double* selected;  // the sum of selected weights, or null: every block takes it
  double* partials;
  unsigned* ticket;
  int64_t positions, classes, inner, ignore_index;
  double smoothing;
  bool mean, wide_target;  // i64 rather than u8

  __device__ int64_t target_at(int64_t i) const {
    return wide_target ? static_cast<const int64_t*>(target)[i]
                       : static_cast<const uint8_t*>(target)[i];
  }
  __device__ bool in_range(int64_t t) const { return t >= 0 && t < classes; }
  __device__ double weight_of(int64_t c) const {
    return weight ? static_cast<double>(weight[c]) : 1;
  }
  __device__ double selected_at(int64_t i) const {
    const int64_t t = target_at(i);
    return t == ignore_index || !in_range(t) ? 0 : weight_of(t);
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads) selected_weight_kernel(Problem<T> p, double* out) {
  double sum = 0;
  for (int64_t i = first_item(); i < p.positions; i += item_step()) sum += p.selected_at(i);
  if (grid_sum(sum, p.partials, p.ticket)) *out = sum;
}

// What all rows share: 1 / (sum of selected weights) where a mean is taken, and the sum of all class weights where
// smoothing needs it. Every thread of the block takes part and receives it.
struct Shared {
  double scale, weight_sum;
};
template <class T> __device__ Shared shared_sums(const Problem<T>& p) {
  Shared s{1, static_cast<double>(p.classes)};
  if (p.mean) {
    double sum = 0;
    if (!p.selected) {
      for (int64_t i = threadIdx.x; i < p.positions; i += blockDim.x) sum += p.selected_at(i);
      sum = block_join<AddUp>(sum);
    } else {
      sum = *p.selected;
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

// The factors of one position: loss = -hit logp_t - share sum_c w_c logp_c; gradient = softmax_factor e^(x - top) -
// smooth w_c - [c = t] hit_factor.
struct Factors {
  double hit, share, hit_factor;

  // A row's gradients add up to 0. Where p_t is near 1, p_t - 1 has lost its digits, but the others have not: then the
  // gradient of x_t is their sum with its sign turned.
  __device__ bool settles(double e, double sum) const {
    return 2 * e > sum && hit_factor - hit_factor == 0;
  }
};
template <class T>
__device__ Factors factors_of(const Problem<T>& p, const Shared& s, int64_t i, int64_t t) {
  Factors f;
  f.hit = (1 - p.smoothing) * p.weight_of(t);
  f.share = p.smoothing / static_cast<double>(p.classes);
  f.hit_factor = s.scale * (p.upstream ? static_cast<double>(p.upstream[i]) : 1);
  return f;
}

template <class T>
__device__ T gradient_of(const Problem<T>& p, const Factors& f, T softmax_factor, T e, int64_t c,
                         int64_t t) {
  T g = e * softmax_factor;
  if (p.smoothing > 0)
    g -= static_cast<T>(f.hit_factor * f.share) * (p.weight ? p.weight[c] : T(1));
  if (c == t) g -= static_cast<T>(f.hit_factor * f.hit);
  return g;
}

template <class T> __device__ void finish(const Problem<T>& p, const Shared& s, double total) {
  if (!p.total || !grid_sum(total, p.partials, p.ticket)) return;
  // Weights that sum to 0 leave no mean: NaN, also where smoothing makes the total other than 0.
  const bool no_mean = s.scale == std::numeric_limits<double>::infinity();
  *p.total = static_cast<T>(no_mean ? 0 * s.scale : total * s.scale);
}

template <class Team, class T>
__global__ void __launch_bounds__(Team::kept == 0 ? 1024 : kThreads)
    cross_entropy_rows(Problem<T> p) {
  const Shared s = shared_sums(p);
  const int64_t n = p.classes;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  double total = 0;  // of this thread's rows, in the thread of rank 0
  for (int64_t i = Team::first_row(); i < p.positions; i += Team::row_step()) {
    const int64_t t = p.target_at(i);
    T* gradient = p.gradient ? p.gradient + i * n : nullptr;
    if (t == p.ignore_index || !p.in_range(t)) {  // the same for all threads of the team
      const T value = t == p.ignore_index ? T(0) : nan;
      if (gradient) Team::each(n, [&](int64_t c, int) { gradient[c] = value; });
      if (Team::rank() == 0) {
        total += static_cast<double>(value);
        if (p.losses) p.losses[i] = value;
      }
      continue;
    }
    const Row<T, Team> row(p.input + i * n, n);
    T top = Larger::none<T>();
    Team::each(n, [&](int64_t c, int k) { top = maximum(top, row.at(c, k)); });
    top = Team::template join<Larger>(top);
    double sum = 0, weighted = 0;
    Team::each(n, [&](int64_t c, int k) {
      const T shifted = row.at(c, k) - top;
      sum += static_cast<double>(exp(shifted));
      if (p.smoothing > 0)
        weighted += static_cast<double>((p.weight ? p.weight[c] : T(1)) * shifted);
    });
    sum = Team::template join<AddUp>(sum);
    const Factors f = factors_of(p, s, i, t);
    if (p.losses || p.total) {
      double others = sum - 1;  // of e^(x - top), without the 1 of the top
      if (sum < kNearlyOne && p.input[i * n + t] == top) {
        others = 0;
        Team::each(n, [&](int64_t c, int k) {
          others += c == t ? 0 : static_cast<double>(exp(row.at(c, k) - top));
        });
        others = Team::template join<AddUp>(others);
      }
      if (p.smoothing > 0) weighted = Team::template join<AddUp>(weighted);
      if (Team::rank() == 0) {
        const double log_sum = log1p(others);
        double loss = -f.hit * (static_cast<double>(p.input[i * n + t] - top) - log_sum);
        if (p.smoothing > 0) loss -= f.share * (weighted - s.weight_sum * log_sum);
        total += loss;
        if (p.losses) p.losses[i] = static_cast<T>(loss);
      }
    }
    if (gradient) {
      const T softmax_factor =
          static_cast<T>(f.hit_factor * (f.hit + f.share * s.weight_sum) / sum);
      const bool settles = f.settles(static_cast<double>(exp(p.input[i * n + t] - top)), sum);
      double others = 0;
      Team::each(n, [&](int64_t c, int k) {
        if (settles && c == t) return;
        const T g = gradient_of(p, f, softmax_factor, exp(row.at(c, k) - top), c, t);
        gradient[c] = g;
        others += static_cast<double>(g);
      });
      if (settles) {
        others = Team::template join<AddUp>(others);
        if (Team::rank() == 0) gradient[t] = static_cast<T>(0 - others);
      }
    }
  }
  finish(p, s, total);
}

template <class T> __global__ void __launch_bounds__(kThreads) cross_entropy_columns(Problem<T> p) {
  const Shared s = shared_sums(p);
  const T nan = std::numeric_limits<T>::quiet_NaN();
  double total = 0;
  for (int64_t i = first_item(); i < p.positions; i += item_step()) {
    const int64_t t = p.target_at(i), base = i / p.inner * p.classes * p.inner + i % p.inner;
    const bool valid = t != p.ignore_index && p.in_range(t);
    double loss = t == p.ignore_index ? 0 : static_cast<double>(nan);
    T top = Larger::none<T>();
    double sum = 0, weighted = 0;
    Factors f{};
    if (valid) {
      const T* x = p.input + base;
      for (int64_t c = 0; c < p.classes; ++c) top = maximum(top, x[c * p.inner]);
      for (int64_t c = 0; c < p.classes; ++c) {
        const T shifted = x[c * p.inner] - top;
        sum += static_cast<double>(exp(shifted));
        if (p.smoothing > 0)
          weighted += static_cast<double>((p.weight ? p.weight[c] : T(1)) * shifted);
      }
      f = factors_of(p, s, i, t);
      double others = sum - 1;
      if (sum < kNearlyOne && x[t * p.inner] == top) {
        others = 0;
        for (int64_t c = 0; c < p.classes; ++c) {
          others += c == t ? 0 : static_cast<double>(exp(x[c * p.inner] - top));
        }
      }
      const double log_sum = log1p(others);
      loss = -f.hit * (static_cast<double>(x[t * p.inner] - top) - log_sum);
      if (p.smoothing > 0) loss -= f.share * (weighted - s.weight_sum * log_sum);
    }
    if (p.losses) p.losses[i] = static_cast<T>(loss);
    total += loss;
    if (!p.gradient) continue;
    const T softmax_factor =
        valid ? static_cast<T>(f.hit_factor * (f.hit + f.share * s.weight_sum) / sum) : T(0);
    double others = 0;
    for (int64_t c = 0; c < p.classes; ++c) {
      const int64_t k = base + c * p.inner;
      p.gradient[k] = valid ? gradient_of(p, f, softmax_factor, exp(p.input[k] - top), c, t)
                            : static_cast<T>(loss);
      if (c != t) others += static_cast<double>(p.gradient[k]);
    }
    const int64_t at = base + t * p.inner;
    if (valid && f.settles(static_cast<double>(exp(p.input[at] - top)), sum))
      p.gradient[at] = static_cast<T>(0 - others);
  }
  finish(p, s, total);
}

template <class T> void run(const CrossEntropyArgs& args) {
  Problem<T> p{.input = data_of<T>(args.input),
               .weight = data_of<T>(args.weight),
               .upstream = data_of<T>(args.upstream),
               .losses = data_of<T>(args.losses),
               .total = data_of<T>(args.total),
               .gradient = data_of<T>(args.gradient),
               .target = args.target->raw(),
               .selected = nullptr,
               .partials = context().partials,
               .ticket = context().ticket,
               .positions = args.target->numel(),
               .classes = args.input->shape()[1],
               .inner = args.input->dim() > 2 ? args.input->shape()[2] : 1,
               .ignore_index = args.ignore_index,
               .smoothing = args.label_smoothing,
               .mean = args.mean,
               .wide_target = args.target->dtype() == DType::I64};
  if (p.positions == 0 && !p.total) return;
  Tensor selected;
  if (p.mean && p.positions > kFewTargets) {
    selected = empty({}, {.dtype = DType::F64, .device = Device::cuda()});
    p.selected = data_of<double>(&selected);
    launch(selected_weight_kernel<T>, grid_for(p.positions), kThreads, p,
           data_of<double>(&selected));
  }
  if (p.inner > 1) {
    launch(cross_entropy_columns<T>, grid_for(p.positions), kThreads, p);
    return;
  }
  with_row_team(p.positions, p.classes, [&]<class Team>(Team, dim3 grid, int threads) {
    launch(cross_entropy_rows<Team, T>, grid, threads, p);
  });
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& args) {
  dispatch_floating(args.input->dtype(), [&]<class T>(T) { run<T>(args); });
}

}  // namespace ebb::cuda
