// CUDA kernels of an optimizer rule. A file that nvcc compiles enters them:
//
//   #include "my_rule.h"  // struct MyRule
//   #include "ebb/backends/cuda/rule_kernels.h"
//   EBB_CUDA_RULE(MyRule)
//
// and nn::RuleOptimizer<MyRule> runs on the GPU as well.
//
// One launch steps all parameters, or several launches if there are very many. A block processes a
// chunk of one parameter. A thread loads all of its elements, 16 bytes at a time, before it
// computes the first one. The first thread of each block computes the Update, which all elements
// share, from the learning rate and the number of the step. A captured step reads both from the
// device, and its last block increments the number. Traffic: each element is read and written once.
#pragma once

#include <new>
#include <utility>

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/optimizer_rule.h"
#include "ebb/core/scalar.h"

namespace ebb::cuda {

/// A launch of a step: those of its items that have one dtype.
struct RuleLaunch {
  const OptimizerStep& step;
  std::span<const size_t> which;
  StepState* state;  ///< of a captured step, or null
  bool counts;       ///< the last launch of the step
};

/// The kernels of one rule on the GPU, by F32 and F64.
struct RuleKernels {
  void (*run[2])(const RuleLaunch& launch);
};

namespace detail {

constexpr int64_t kRuleChunk = 8 * kThreads;                    // elements a block
constexpr int kEach = static_cast<int>(kRuleChunk) / kThreads;  // elements a thread
constexpr int64_t kFewRuleBlocks = 128;
// Tensors a launch: their list travels as an argument of at most 4 KiB.
constexpr int rule_tensors(int buffers) { return buffers > 2 ? 32 : 44; }

template <class T, int B> struct RuleList {
  static constexpr int kTensors = rule_tensors(B);
  int count;
  // Block b works on the tensor k with first_block[k] <= b < first_block[k + 1].
  int64_t first_block[kTensors + 1];
  int64_t numel[kTensors];
  bool aligned[kTensors];  // all of its arrays are aligned to 16 bytes
  T* param[kTensors];
  const T* grad[kTensors];
  T* buffer[B > 0 ? B : 1][kTensors];
  T* average[kTensors];            // or null
  const double* factor[kTensors];  // or null
};

// The numbers of OptimizerStep that every rule has.
struct RuleNumbers {
  double lr, scale, bound, average_rate;
  int64_t step;
};

// This thread's elements of one array of a chunk. If packed, which needs whole chunks of aligned
// arrays, they are accessed 16 bytes at a time.
template <class T> class Elements {
 public:
  __device__ void load(const T* from, int64_t begin, int64_t end, bool packed) {
    if (packed) {
#pragma unroll
      for (int u = 0; u < kEach / kPack<T>; ++u)
        packs_[u] = *reinterpret_cast<const Pack<T, kPack<T>>*>(from + begin + first_of(u));
    } else {
#pragma unroll
      for (int e = 0; e < kEach; ++e) {
        const int64_t i = begin + alone(e);
        if (i < end) at(e) = from[i];
      }
    }
  }
  __device__ void store(T* to, int64_t begin, int64_t end, bool packed) {
    if (packed) {
#pragma unroll
      for (int u = 0; u < kEach / kPack<T>; ++u)
        *reinterpret_cast<Pack<T, kPack<T>>*>(to + begin + first_of(u)) = packs_[u];
    } else {
#pragma unroll
      for (int e = 0; e < kEach; ++e) {
        const int64_t i = begin + alone(e);
        if (i < end) to[i] = at(e);
      }
    }
  }
  __device__ T& at(int e) { return packs_[e / kPack<T>].v[e % kPack<T>]; }
  // The place of element e in a chunk that is not packed.
  __device__ static int alone(int e) { return e * kThreads + static_cast<int>(threadIdx.x); }

 private:
  __device__ static int first_of(int u) {
    return (u * kThreads + static_cast<int>(threadIdx.x)) * kPack<T>;
  }

  Pack<T, kPack<T>> packs_[kEach / kPack<T>] = {};
};

template <class Update, class T, size_t... I>
__device__ __forceinline__ void update_element(const Update& update, T& p, T g,
                                               [[maybe_unused]] Elements<T>* buffers,
                                               [[maybe_unused]] int e,
                                               std::index_sequence<I...>) {
  update(p, g, buffers[I].at(e)...);
}

template <class Rule, class T, int B>
__global__ void __launch_bounds__(kThreads)
    rule_kernel(Rule rule, const __grid_constant__ RuleList<T, B> list, RuleNumbers numbers,
                StepState* state, bool counts, bool is_early) {
  using Update = typename Rule::template Update<T>;
  __shared__ double shared[kMaxUpdateBytes / sizeof(double)];
  const auto make_update = [&] {
    if (threadIdx.x != 0) return;
    const StepNumbers now =
        state ? StepNumbers{state->lr, state->step + 1} : StepNumbers{numbers.lr, numbers.step};
    ::new (static_cast<void*>(shared)) Update(rule, now);
  };
  const auto count_step = [&] {
    if (!state || !counts || threadIdx.x != 0) return;
    if (atomicAdd(&state->ticket, 1u) == gridDim.x - 1) {  // all blocks have read the step's number
      state->ticket = 0;
      ++state->step;
    }
  };
  // Few blocks do both while they wait for the gradients. Many compute the update while they load.
  if (is_early) {
    make_update();
    __threadfence();
    count_step();
  }
  int k = 0;
  while (static_cast<int64_t>(blockIdx.x) >= list.first_block[k + 1]) ++k;
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) - list.first_block[k]) * kRuleChunk;
  const int64_t end = begin + kRuleChunk < list.numel[k] ? begin + kRuleChunk : list.numel[k];
  const bool packed = list.aligned[k] && end - begin == kRuleChunk;
  await_previous();
  Elements<T> p, g, buffers[B > 0 ? B : 1];
  p.load(list.param[k], begin, end, packed);
  g.load(list.grad[k], begin, end, packed);
#pragma unroll
  for (int b = 0; b < B; ++b) buffers[b].load(list.buffer[b][k], begin, end, packed);

  if (!is_early) make_update();
  __syncthreads();
  const Update update = *reinterpret_cast<const Update*>(shared);
  const double factor = list.factor[k] ? *list.factor[k] : 1;
  const T scale = static_cast<T>(numbers.scale * factor), bound = static_cast<T>(numbers.bound);
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    if (!packed && p.alone(e) >= end - begin) break;
    const T gradient = clamp_max(clamp_min(scale * g.at(e), -bound), bound);
    update_element(update, p.at(e), gradient, buffers, e, std::make_index_sequence<B>{});
  }
  p.store(list.param[k], begin, end, packed);
#pragma unroll
  for (int b = 0; b < B; ++b) buffers[b].store(list.buffer[b][k], begin, end, packed);
  if (T* const means = list.average[k]) {
    const T rate = static_cast<T>(numbers.average_rate);
    Elements<T> mean;
    mean.load(means, begin, end, packed);
#pragma unroll
    for (int e = 0; e < kEach; ++e)
      mean.at(e) = rate == 1 ? p.at(e) : mean.at(e) + rate * (p.at(e) - mean.at(e));
    mean.store(means, begin, end, packed);
  }

  if (is_early) return;
  __syncthreads();
  count_step();
}

template <class T> T* elements_of(const Tensor* tensor) {
  return tensor ? reinterpret_cast<T*>(tensor->raw()) : nullptr;
}

template <class Rule, class T> void launch_rule(const RuleLaunch& l) {
  constexpr int B = rule_buffers<Rule>();
  using List = RuleList<T, B>;
  const OptimizerStep& s = l.step;
  const RuleNumbers numbers{s.lr, s.grad_scale, s.clip_value, s.average_rate, s.step};
  for (size_t at = 0; at < l.which.size();) {
    List list{};
    for (; at < l.which.size() && list.count < List::kTensors; ++at) {
      const OptimizerItem& item = s.items[l.which[at]];
      const int n = list.count++;
      list.numel[n] = item.param->numel();
      list.first_block[n + 1] = list.first_block[n] + (list.numel[n] + kRuleChunk - 1) / kRuleChunk;
      list.param[n] = elements_of<T>(item.param);
      list.grad[n] = elements_of<const T>(item.grad);
      list.average[n] = elements_of<T>(item.average);
      list.factor[n] = elements_of<const double>(item.factor);
      list.aligned[n] =
          is_aligned(list.param[n]) && is_aligned(list.grad[n]) && is_aligned(list.average[n]);
      for (int b = 0; b < B; ++b) {
        list.buffer[b][n] = elements_of<T>(item.buffers[b]);
        list.aligned[n] = list.aligned[n] && is_aligned(list.buffer[b][n]);
      }
    }
    const int64_t blocks = list.first_block[list.count];
    // No other kernel of the step accesses the state.
    const bool is_early = blocks <= kFewRuleBlocks && list.count == std::ssize(s.items);
    launch_early(rule_kernel<Rule, T, B>, dim3(static_cast<unsigned>(blocks)), kThreads,
                 *static_cast<const Rule*>(s.rule), list, numbers, l.state,
                 l.counts && at == l.which.size(), is_early);
  }
}

}  // namespace detail

/// The kernel table of a rule.
template <class Rule>
inline constexpr RuleKernels kRuleKernels = {
    {&detail::launch_rule<Rule, float>, &detail::launch_rule<Rule, double>}};

/// Enters the kernels of rules.
template <class... Rule> bool enter_rules() {
  ((CudaRuleSlot<Rule>::kernels = &kRuleKernels<Rule>), ...);
  return true;
}

}  // namespace ebb::cuda

#define EBB_CUDA_RULE_NAME_(line) ebb_cuda_rule_##line
#define EBB_CUDA_RULE_NAME(line) EBB_CUDA_RULE_NAME_(line)
/// At namespace scope of a file that nvcc compiles: enters the kernels of a rule before main().
#define EBB_CUDA_RULE(Rule) \
  static const bool EBB_CUDA_RULE_NAME(__LINE__) = ebb::cuda::enter_rules<Rule>();
