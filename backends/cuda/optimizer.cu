// Optimizer steps: launches the kernels of a rule (rule_kernels.h) for the parameters of each
// dtype. Also the sum of squares of all gradients, for clipping.
#include <vector>

#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/rule_kernels.h"

namespace ebb::cuda {
namespace {

constexpr int kSquareTensors = 128;
constexpr int64_t kSquareChunk = 64 * kThreads;  // elements a block takes at a time

struct SquareList {
  int count;
  int64_t first_chunk[kSquareTensors + 1];
  const void* data[kSquareTensors];
  int64_t numel[kSquareTensors];
  bool wide[kSquareTensors];  // f64
};

template <class T> __device__ double chunk_squares(const T* x, int64_t begin, int64_t end) {
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double v = static_cast<double>(x[i]);
    sum += v * v;
  }
  return sum;
}

// A grid of at most kMaxPartials blocks; block b processes the chunks b, b + grid, ... of all
// tensors. If adds is true, the sum is added to *out.
__global__ void __launch_bounds__(kThreads)
    squares_kernel(const __grid_constant__ SquareList list, double* out, bool adds,
                   double* partials, unsigned* ticket) {
  double sum = 0;
  int k = 0;
  const int64_t chunks = list.first_chunk[list.count];
  for (int64_t c = blockIdx.x; c < chunks; c += gridDim.x) {
    while (c >= list.first_chunk[k + 1]) ++k;
    const int64_t begin = (c - list.first_chunk[k]) * kSquareChunk;
    const int64_t end = begin + kSquareChunk < list.numel[k] ? begin + kSquareChunk : list.numel[k];
    sum += list.wide[k] ? chunk_squares(static_cast<const double*>(list.data[k]), begin, end)
                        : chunk_squares(static_cast<const float*>(list.data[k]), begin, end);
  }
  if (grid_sum(sum, partials, ticket)) *out = adds ? *out + sum : sum;
}

}  // namespace

void optimizer_step(OptimizerStep& step) {
  if (step.skips) return refuse_in_capture("optimizer", "accumulate gradients over several calls");
  const auto* kernels = static_cast<const RuleKernels*>(*step.table->cuda_kernels);
  if (!kernels) {
    fail(step.table->name,
         "this optimizer rule has no kernels for the GPU: a file that nvcc compiles enters them "
         "with "
         "EBB_CUDA_RULE");
  }
  StepState* state = captured_state(step);
  std::vector<size_t> which[2];
  for (size_t k = 0; k < step.items.size(); ++k) {
    const Tensor& p = *step.items[k].param;
    if (p.numel() > 0) which[p.dtype() == DType::F64].push_back(k);
  }
  for (int type = 0; type < 2; ++type) {
    if (!which[type].empty())
      kernels->run[type]({step, which[type], state, type == 1 || which[1].empty()});
  }
}

void sum_of_squares(Tensor& out, std::span<const Tensor* const> in) {
  auto* total = reinterpret_cast<double*>(out.raw());
  bool adds = false;
  size_t at = 0;
  do {
    SquareList list{};
    for (; at < in.size() && list.count < kSquareTensors; ++at) {
      const Tensor& x = *in[at];
      const int n = list.count++;
      list.data[n] = x.raw();
      list.numel[n] = x.numel();
      list.wide[n] = x.dtype() == DType::F64;
      list.first_chunk[n + 1] = list.first_chunk[n] + (x.numel() + kSquareChunk - 1) / kSquareChunk;
    }
    launch(squares_kernel, grid_for(list.first_chunk[list.count], 1), kThreads, list, total, adds,
           context().partials, context().ticket);
    adds = true;
  } while (at < in.size());
}

}  // namespace ebb::cuda
