// Cross-entropy over class indices: input (N, C, inner) contiguous.
//
// If inner is 1, a warp or a block computes a row (cross_entropy_rows.h). Otherwise a thread
// computes a position, so that memory is read along rows. So it does for few short rows, where one
// warp then takes a third of the time of 32 warps. A mean divides by the sum of the selected
// weights. Every block computes this sum itself if there are few targets; otherwise a separate
// kernel does. Traffic: the input is read once (columns, and what does not fit into shared memory
// of a wide row, again, mostly from the cache), and the gradient is written once.
#include "ebb/backends/cuda/cross_entropy_rows.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"

namespace ebb::cuda {
namespace {

constexpr int64_t kOneBlock = 128;  // up to here, one block computes all rows
constexpr int64_t kShortRow = 16;   // up to here, a thread computes a row of one block
constexpr int kSumThreads = 1024;

template <class T, bool kPlain>
__global__ void __launch_bounds__(kSumThreads)
    selected_weight_kernel(CrossEntropyProblem<T, kPlain> p, double* out) {
  double sum = 0;
#pragma unroll 8
  for (int64_t i = first_item(); i < p.positions; i += item_step()) sum += p.selected_at(i);
  if (grid_sum(sum, p.partials, p.ticket)) *out = sum;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_columns(const __grid_constant__ CrossEntropyProblem<T, false> p) {
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
  if (p.total && grid_sum(total, p.partials, p.ticket)) write_total(p, s, total);
}

// Every block sums the selected weights itself if each of its threads has at most eight targets.
// Otherwise a separate kernel does. Returns the sum if so.
template <class T, bool kPlain>
Tensor sum_selected_weights(CrossEntropyProblem<T, kPlain>& p, int threads) {
  if (!p.mean || p.positions <= int64_t{8} * threads) return {};
  Tensor selected = empty({}, {.dtype = DType::F64, .device = Device::cuda()});
  launch(selected_weight_kernel<T, kPlain>, grid_for(p.positions, 16 * kSumThreads), kSumThreads, p,
         data_of<double>(&selected));
  p.selected = data_of<double>(&selected);
  return selected;
}

/// Calls body(RowTeam) with the team for rows of n classes. Rows of up to 1,024 elements are
/// processed by a warp, so that a row needs no barrier and few blocks have to add their totals;
/// weights and smoothing take too many registers for that.
template <class T, bool kPlain, class Body> void with_loss_team(int64_t n, const Body& body) {
  constexpr int kWide = static_cast<int>(sizeof(T) / sizeof(float));
  const int64_t words = n * kWide;
  if constexpr (kPlain) {
    if (words > 512 && words <= 1024) return body(RowTeam<kWarp, 32 / kWide>{});
    if (words > 256 && words <= 512) return body(RowTeam<kWarp, 16 / kWide>{});
    if (words > 128 && words <= 256) return body(RowTeam<kWarp, 8 / kWide>{});
  }
  with_row_team<T>(n, body);
}

/// Returns the threads of a block for rows of the team. Warps have blocks of at least 4, and of up
/// to 32 if there are enough rows for all multiprocessors.
template <class Team> int threads_for(int64_t rows) {
  if (Team::is_block) return Team::size;
  constexpr int64_t most = Team::most_threads / Team::size;
  if (rows <= kOneBlock) return Team::most_threads;
  int64_t warps = 4;
  while (warps < most && warps * context().multiprocessors < rows) warps *= 2;
  return static_cast<int>(warps) * Team::size;
}

bool is_few_short_rows(int64_t rows, int64_t classes) {
  return rows <= kOneBlock && classes <= kShortRow;
}

template <class T, bool kPlain> void run(const CrossEntropyArgs& args) {
  CrossEntropyProblem<T, kPlain> p{.input = data_of<T>(args.input),
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
                                   .kept = 0,
                                   .smoothing = args.label_smoothing,
                                   .mean = args.mean,
                                   .wide_target = args.target->dtype() == DType::I64,
                                   .notes = args.losses || args.total,
                                   .fault = fault_of("cross_entropy"),
                                   .where = fault_note()};
  p.fault.limit = p.classes;
  if (p.positions == 0 && !p.total) return;
  if constexpr (!kPlain) {
    if (p.inner > 1 || is_few_short_rows(p.positions, p.classes)) {
      const int64_t warps =
          std::clamp<int64_t>((p.positions + kWarp - 1) / kWarp, 1, kThreads / kWarp);
      const int threads = static_cast<int>(warps) * kWarp;
      const Tensor selected = sum_selected_weights(p, threads);
      launch_early(cross_entropy_columns<T>, grid_for(p.positions, threads), threads, p);
      return;
    }
  }
  with_loss_team<T, kPlain>(p.classes, [&]<class Team>(Team) {
    const int threads = threads_for<Team>(p.positions);
    const Tensor selected = sum_selected_weights(p, threads);
    p.kept = kept_in_shared_memory<Team, T>(p.classes);
    // No more blocks than can be resident. One block has the total at once.
    const bool one_block = !Team::is_block && p.positions <= kOneBlock;
    const dim3 grid =
        one_block ? dim3(1) : grid_for(p.positions, threads / Team::size, 1024 / threads);
    launch_early(p.kept * sizeof(T), cross_entropy_rows<Team, T, kPlain>, grid, threads, p);
  });
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& args) {
  const bool plain = !args.weight && args.label_smoothing == 0 && args.input->dim() <= 2 &&
                     !is_few_short_rows(args.target->numel(), args.input->shape()[1]);
  dispatch_floating(args.input->dtype(), [&]<class T>(T) {
    if (plain) run<T, true>(args);
    else run<T, false>(args);
  });
}

}  // namespace ebb::cuda
