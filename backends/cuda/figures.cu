// Sums of a training: its loss, and the right answers of a classifier. A warp finds the largest
// score of a row; the last block adds the counts to the sums. Traffic: one read of the scores.
#include "ebb/backends/cuda/arg_row.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/training.h"

namespace ebb::cuda {
namespace {

struct Figures {
  const void* loss;
  DType loss_dtype;
  double samples;
  double* loss_sum;
  const void* target;
  DType target_dtype;
  double* correct;
  int64_t rows, classes;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    figures_kernel(const __grid_constant__ Figures f, const T* scores, double* partials,
                   unsigned* ticket) {
  await_previous();
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            teams = static_cast<int>(blockDim.x) / kWarp;
  double correct = 0;
  for (int64_t row =
           static_cast<int64_t>(blockIdx.x) * teams + static_cast<int>(threadIdx.x) / kWarp;
       row < f.rows; row += static_cast<int64_t>(gridDim.x) * teams) {
    const int64_t wanted = f.target_dtype == DType::U8 ? static_cast<const uint8_t*>(f.target)[row]
                                                       : static_cast<const int64_t*>(f.target)[row];
    const int64_t answer = warp_arg<true>(scores + row * f.classes, f.classes, 1);
    if (lane == 0 && answer == wanted) ++correct;
  }
  if (!grid_sum(correct, partials, ticket)) return;
  if (f.correct) *f.correct += correct;
  if (f.loss) *f.loss_sum += f.samples * load_as<double>(f.loss, f.loss_dtype, 0);
}

}  // namespace

void add_figures(const FiguresArgs& args) {
  Figures f{};
  if (args.loss) {
    f.loss = args.loss->raw();
    f.loss_dtype = args.loss->dtype();
    f.samples = args.samples;
    f.loss_sum = data_of<double>(args.loss_sum);
  }
  if (args.scores) {
    f.target = args.target->raw();
    f.target_dtype = args.target->dtype();
    f.correct = data_of<double>(args.correct);
    f.rows = args.scores->size(0);
    f.classes = args.scores->size(1);
  }
  dispatch_all(args.scores ? args.scores->dtype() : DType::F32, [&]<class T>(T) {
    launch_early(figures_kernel<T>, grid_for(f.rows, kThreads / kWarp), kThreads, f,
                 data_of<const T>(args.scores), context().partials, context().ticket);
  });
}

}  // namespace ebb::cuda
