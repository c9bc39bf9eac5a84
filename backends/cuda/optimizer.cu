// Optimizer steps: all parameters in one launch (a few, when they are many), each element read and written once.
//
// A block takes a chunk of one parameter. What is the same for all elements (bias corrections) the first thread of
// each block computes from the learning rate and the step's number, which a captured step reads from the device; its
// last block counts the step there. Formulas: nn/optim/optimizer.h.
#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/scalar.h"

namespace ebb::cuda {
namespace {

constexpr int kTensors = 48;              // a launch: their list travels as an argument
constexpr int64_t kChunk = 8 * kThreads;  // elements a block

// The hyperparameters as a kernel takes them.
struct Hyper {
  OptimizerStep::Kind kind;
  bool nesterov;
  double momentum, dampening, weight_decay, beta1, beta2, eps;
};

template <class T> struct TensorList {
  int count;
  int64_t first_block
      [kTensors +
       1];  // block b works on the tensor k with first_block[k] <= b < first_block[k + 1]
  int64_t numel[kTensors];
  bool aligned[kTensors];  // all of its arrays are aligned to 16 bytes
  T* param[kTensors];
  const T* grad[kTensors];
  T* first[kTensors];   // momentum, or the first moment
  T* second[kTensors];  // the second moment
};

// What all elements share, rounded once.
template <class T> struct Rule {
  T lr, weight_decay, keep, add, look_ahead, by_buffer;                // SGD
  T step_size, rate1, beta2, rate2, eps, root_correction, l2, shrink;  // Adam; rate = 1 - beta
};

template <class T> __device__ Rule<T> make_rule(const Hyper& h, double lr, int64_t step) {
  Rule<T> r{};
  if (h.kind == OptimizerStep::Kind::SGD) {
    r.lr = static_cast<T>(lr);
    r.weight_decay = static_cast<T>(h.weight_decay);
    r.keep = step == 1 ? T(0) : static_cast<T>(h.momentum);
    r.add = step == 1 ? T(1) : static_cast<T>(1 - h.dampening);
    r.look_ahead = h.nesterov ? T(1) : T(0);
    r.by_buffer = h.nesterov ? static_cast<T>(h.momentum) : T(1);
    return r;
  }
  const bool decoupled = h.kind == OptimizerStep::Kind::AdamW;
  const double t = static_cast<double>(step);
  r.step_size = static_cast<T>(lr / (1 - std::pow(h.beta1, t)));
  r.rate1 = static_cast<T>(1 - h.beta1);
  r.beta2 = static_cast<T>(h.beta2);
  r.rate2 = static_cast<T>(1 - h.beta2);
  r.eps = static_cast<T>(h.eps);
  r.root_correction = static_cast<T>(std::sqrt(1 - std::pow(h.beta2, t)));
  r.l2 = static_cast<T>(decoupled ? 0 : h.weight_decay);
  r.shrink = static_cast<T>(decoupled ? 1 - lr * h.weight_decay : 1);
  return r;
}

template <class T> __device__ void update_sgd(const Rule<T>& r, T& p, T g, T* buffer) {
  const T d = g + r.weight_decay * p;
  if (!buffer) {
    p -= r.lr * d;
    return;
  }
  const T b = r.keep * *buffer + r.add * d;
  *buffer = b;
  p -= r.lr * (r.look_ahead * d + r.by_buffer * b);
}

template <class T> __device__ void update_adam(const Rule<T>& r, T& p, T g, T& m, T& v) {
  const T d = g + r.l2 * p;
  const T first = m + r.rate1 * (d - m);
  const T second = r.beta2 * v + r.rate2 * (d * d);
  m = first;
  v = second;
  p = p * r.shrink - r.step_size * first / (sqrt(second) / r.root_correction + r.eps);
}

constexpr int kEach = static_cast<int>(kChunk) / kThreads;  // elements a thread

// This thread's elements of one array of a chunk. Packed: 16 bytes at once, for whole chunks of
// aligned arrays.
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

// A thread loads all of its elements before it computes with the first one, and before the first
// thread computes the shared values. state: of a captured step, or null. counts: this launch is the
// last of the step.
template <class T, bool kSgd>
__global__ void __launch_bounds__(kThreads)
    step_kernel(Hyper h, const __grid_constant__ TensorList<T> list, double lr, int64_t step,
                StepState* state, bool counts, unsigned* ticket) {
  await_previous();
  __shared__ Rule<T> rule;
  int k = 0;
  while (static_cast<int64_t>(blockIdx.x) >= list.first_block[k + 1]) ++k;
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) - list.first_block[k]) * kChunk;
  const int64_t end = begin + kChunk < list.numel[k] ? begin + kChunk : list.numel[k];
  const bool packed = list.aligned[k] && end - begin == kChunk;
  T *const first_moments = list.first[k], *const second_moments = list.second[k];
  Elements<T> p, g, first, second;
  p.load(list.param[k], begin, end, packed);
  g.load(list.grad[k], begin, end, packed);
  if (first_moments) first.load(first_moments, begin, end, packed);
  if (second_moments) second.load(second_moments, begin, end, packed);

  if (threadIdx.x == 0)
    rule = state ? make_rule<T>(h, state->lr, state->step + 1) : make_rule<T>(h, lr, step);
  __syncthreads();
  const Rule<T> r = rule;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    if (!packed && p.alone(e) >= end - begin) break;
    if constexpr (kSgd) update_sgd(r, p.at(e), g.at(e), first_moments ? &first.at(e) : nullptr);
    else update_adam(r, p.at(e), g.at(e), first.at(e), second.at(e));
  }
  p.store(list.param[k], begin, end, packed);
  if (first_moments) first.store(first_moments, begin, end, packed);
  if (second_moments) second.store(second_moments, begin, end, packed);

  if (!state || !counts) return;
  __syncthreads();
  if (threadIdx.x == 0 &&
      atomicAdd(ticket, 1u) == gridDim.x - 1) {  // all blocks have read the step's number
    *ticket = 0;
    ++state->step;
  }
}

template <class T>
void run(const OptimizerStep& s, const std::vector<size_t>& which, StepState* state, bool counts) {
  const Hyper h{s.kind,         s.nesterov, s.momentum, s.dampening,
                s.weight_decay, s.beta1,    s.beta2,    s.eps};
  for (size_t at = 0; at < which.size();) {
    TensorList<T> list{};
    for (; at < which.size() && list.count < kTensors; ++at) {
      const size_t k = which[at];
      const int n = list.count++;
      list.numel[n] = s.params[k].numel();
      list.first_block[n + 1] = list.first_block[n] + (list.numel[n] + kChunk - 1) / kChunk;
      list.param[n] = reinterpret_cast<T*>(s.params[k].raw());
      list.grad[n] = reinterpret_cast<const T*>(s.grads[k].raw());
      list.first[n] = s.first.empty() ? nullptr : reinterpret_cast<T*>(s.first[k].raw());
      list.second[n] = s.second.empty() ? nullptr : reinterpret_cast<T*>(s.second[k].raw());
      list.aligned[n] = is_aligned(list.param[n]) && is_aligned(list.grad[n]) &&
                        is_aligned(list.first[n]) && is_aligned(list.second[n]);
    }
    const int64_t blocks = list.first_block[list.count];
    if (blocks == 0) continue;
    const auto kernel =
        s.kind == OptimizerStep::Kind::SGD ? step_kernel<T, true> : step_kernel<T, false>;
    launch_early(kernel, dim3(static_cast<unsigned>(blocks)), kThreads, h, list, s.lr, s.step,
                 state, counts && at == which.size(), context().ticket);
  }
}

}  // namespace

void optimizer_step(OptimizerStep& step) {
  StepState* state = captured_state(step);
  std::vector<size_t> narrow, wide;
  for (size_t k = 0; k < step.params.size(); ++k) {
    if (step.params[k].numel() == 0) continue;
    (step.params[k].dtype() == DType::F32 ? narrow : wide).push_back(k);
  }
  run<float>(step, narrow, state, wide.empty());
  run<double>(step, wide, state, true);
}

}  // namespace ebb::cuda
