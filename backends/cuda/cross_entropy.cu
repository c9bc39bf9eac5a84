// Cross-entropy over class indices: input (N, C, inner) contiguous.
//
// If inner is 1, a warp or a block computes a row (cross_entropy_rows.h). Otherwise a thread
// computes a position, so that memory is read along rows. So it does for few short rows, where one
// warp then takes a third of the time of 32 warps. A mean divides by the sum of the selected
// weights. Every block computes this sum itself if there are few targets; otherwise a separate
// kernel does. Traffic: the input is read once (wide rows and columns again, mostly from the
// cache), and the gradient is written once.
#include "ebb/backends/cuda/cross_entropy_rows.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"

namespace ebb::cuda {
namespace {

constexpr int64_t kFewTargets = 1024;  // up to here, every block sums the weights itself
constexpr int64_t kOneBlock = 128;     // up to here, one block computes all rows
constexpr int64_t kShortRow = 16;      // up to here, a thread computes a row of one block
constexpr int kSumThreads = 1024;

template <class T>
__global__ void __launch_bounds__(kSumThreads)
    selected_weight_kernel(CrossEntropyProblem<T> p, double* out) {
  double sum = 0;
#pragma unroll 8
  for (int64_t i = first_item(); i < p.positions; i += item_step()) sum += p.selected_at(i);
  if (grid_sum(sum, p.partials, p.ticket)) *out = sum;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_columns(const __grid_constant__ CrossEntropyProblem<T> p) {
  await_previous();
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
    if (!valid && t != p.ignore_index) p.note_bad(i, t);
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
  CrossEntropyProblem<T> p{.input = data_of<T>(args.input),
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
                           .wide_target = args.target->dtype() == DType::I64,
                           .notes = args.losses || args.total,
                           .fault = fault_of("cross_entropy"),
                           .where = fault_note()};
  p.fault.limit = p.classes;
  if (p.positions == 0 && !p.total) return;
  Tensor selected;
  if (p.mean && p.positions > kFewTargets) {
    selected = empty({}, {.dtype = DType::F64, .device = Device::cuda()});
    p.selected = data_of<double>(&selected);
    launch(selected_weight_kernel<T>, grid_for(p.positions, 16 * kSumThreads), kSumThreads, p,
           data_of<double>(&selected));
  }
  const bool is_few = p.positions <= kOneBlock;
  if (p.inner > 1 || (is_few && p.classes <= kShortRow)) {
    const int warps =
        is_few ? static_cast<int>((p.positions + kWarp - 1) / kWarp) : kThreads / kWarp;
    const int threads = std::max(warps, 1) * kWarp;
    launch_early(cross_entropy_columns<T>, grid_for(p.positions, threads), threads, p);
    return;
  }
  with_row_team<T>(p.classes, [&]<class Team>(Team) {
    // One block for few rows, because it then has the total. Otherwise only as many blocks as can
    // be resident, because the last one adds the partial sums of all.
    const bool one_block = !Team::is_block && is_few;
    const int threads = one_block ? Team::most_threads : Team::threads;
    const int blocks = Team::is_block ? kLossBlocks<Team> : 16;
    const dim3 grid = one_block ? 1 : grid_for(p.positions, threads / Team::size, blocks);
    launch_early(cross_entropy_rows<Team, T>, grid, threads, p);
  });
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& args) {
  dispatch_floating(args.input->dtype(), [&]<class T>(T) { run<T>(args); });
}

}  // namespace ebb::cuda
