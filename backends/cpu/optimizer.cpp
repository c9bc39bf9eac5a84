// Optimizer steps: all parameters in one call and one parallel region; each element is read and
// written once.
//
// A tensor is divided into chunks that start at multiples of kChunk, so that the bits do not depend
// on the number of threads. A gradient that is scaled or clamped goes through a block on the stack,
// and moving averages follow block by block, while the parameter is still in the L1 cache.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rule_kernels.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kChunk = 32 * 1024;
constexpr int64_t kAlone = 2 * kChunk;  // up to so many elements stay on the calling thread
constexpr int64_t kBlock = 2048;

template <class T> EBB_MULTIVERSION void adjust(int64_t n, T scale, T bound, const T* g, T* out) {
  EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) out[i] = clamp_max(clamp_min(scale * g[i], -bound), bound);
}

template <class T> EBB_MULTIVERSION void average(int64_t n, T rate, const T* p, T* mean) {
  EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) mean[i] += rate * (p[i] - mean[i]);
}

template <class T> T* elements(const Tensor* tensor) { return reinterpret_cast<T*>(tensor->raw()); }

// A step with its Update in one dtype.
template <class T> class Runner {
 public:
  explicit Runner(const OptimizerStep& step)
      : step_(step),
        buffers_(step.table->buffers.size()),
        run_(kernels().run[sizeof(T) == 8]),
        clips_(step.clip_value < std::numeric_limits<double>::infinity()) {
    kernels().prepare[sizeof(T) == 8](step.rule, {step.lr, step.step}, update_);
  }

  void operator()(const OptimizerItem& item, int64_t begin, int64_t n) const {
    T* p = elements<T>(item.param) + begin;
    const T* g = elements<T>(item.grad) + begin;
    void* buffers[kMaxRuleBuffers];
    for (size_t b = 0; b < buffers_; ++b) buffers[b] = elements<T>(item.buffers[b]) + begin;
    double scale = step_.grad_scale;
    if (item.factor) scale *= *elements<double>(item.factor);
    const bool adjusts = scale != 1 || clips_;
    if (!adjusts && !item.average) return run_(update_, n, p, g, buffers);

    alignas(64) T adjusted[kBlock];
    T* mean = item.average ? elements<T>(item.average) + begin : nullptr;
    for (int64_t at = 0; at < n; at += kBlock) {
      const int64_t count = std::min(kBlock, n - at);
      if (adjusts)
        adjust(count, static_cast<T>(scale), static_cast<T>(step_.clip_value), g + at, adjusted);
      run_(update_, count, p + at, adjusts ? adjusted : g + at, buffers);
      for (size_t b = 0; b < buffers_; ++b) buffers[b] = static_cast<T*>(buffers[b]) + count;
      if (!mean) continue;
      if (step_.average_rate == 1) std::copy_n(p + at, count, mean + at);
      else average(count, static_cast<T>(step_.average_rate), p + at, mean + at);
    }
  }

 private:
  const RuleKernels& kernels() const {
    return *static_cast<const RuleKernels*>(step_.table->cpu_kernels);
  }

  const OptimizerStep& step_;
  size_t buffers_;
  RuleKernels::Run run_;
  bool clips_;
  alignas(16) std::byte update_[kMaxUpdateBytes];
};

struct Part {
  const OptimizerItem* item;
  int64_t begin, n;
};

// Steps all parameters of one dtype.
template <class T> void step_all(const OptimizerStep& step, DType dtype, int64_t total) {
  const Runner<T> run(step);
  if (total <= kAlone) {
    for (const OptimizerItem& item : step.items) {
      if (item.param->dtype() == dtype) run(item, 0, item.param->numel());
    }
    return;
  }
  static thread_local std::vector<Part> parts;  // keeps its memory between steps
  parts.clear();
  for (const OptimizerItem& item : step.items) {
    if (item.param->dtype() != dtype) continue;
    const int64_t n = item.param->numel();
    for (int64_t at = 0; at < n; at += kChunk)
      parts.push_back({&item, at, std::min(kChunk, n - at)});
  }
  const Part* list = parts.data();
  parallel_for(static_cast<int64_t>(parts.size()), 1, [&run, list](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) run(*list[i].item, list[i].begin, list[i].n);
  });
}

// Returns the sum of squares, in f64 with 16 lanes.
template <class T> EBB_MULTIVERSION double squares(int64_t n, const T* x) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const double v = static_cast<double>(x[i + l]);
      lanes[l] += v * v;
    }
  }
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

// The sums of the chunks are added in order.
void sum_of_squares(Tensor& out, std::span<const Tensor* const> in) {
  struct Chunk {
    const Tensor* tensor;
    int64_t begin, n;
    double sum;
  };
  static thread_local std::vector<Chunk> chunks;
  chunks.clear();
  int64_t total = 0;
  for (const Tensor* x : in) {
    for (int64_t at = 0; at < x->numel(); at += kChunk)
      chunks.push_back({x, at, std::min(kChunk, x->numel() - at), 0});
    total += x->numel();
  }
  Chunk* list = chunks.data();
  const auto count = static_cast<int64_t>(chunks.size());
  const auto run = [list](int64_t begin, int64_t end) {
    for (Chunk* c = list + begin; c != list + end; ++c) {
      c->sum = c->tensor->dtype() == DType::F32
                   ? squares(c->n, elements<const float>(c->tensor) + c->begin)
                   : squares(c->n, elements<const double>(c->tensor) + c->begin);
    }
  };
  if (total <= kAlone) run(0, count);
  else parallel_for(count, 1, run);
  double sum = 0;
  for (const Chunk& c : chunks) sum += c.sum;
  *elements<double>(&out) = sum;
}

void optimizer_step(const OptimizerStep& step) {
  int64_t narrow = 0, wide = 0;
  for (const OptimizerItem& item : step.items)
    (item.param->dtype() == DType::F32 ? narrow : wide) += item.param->numel();
  if (narrow > 0) step_all<float>(step, DType::F32, narrow);
  if (wide > 0) step_all<double>(step, DType::F64, wide);
}

}  // namespace ebb::cpu
