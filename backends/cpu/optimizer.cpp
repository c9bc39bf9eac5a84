// Optimizer steps: all parameters in one call; each element is read and written once.
// nn/optim/optimizer.h has the formulas.
#include <cmath>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/core/scalar.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kChunk = 64 * 1024;

template <class T> struct SgdRule {
  T lr, momentum, one_minus_dampening, weight_decay;
  bool nesterov, first_step;
};

template <class T> EBB_MULTIVERSION void sgd(const SgdRule<T>& r, int64_t n, T* p, const T* g) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) p[i] -= r.lr * (g[i] + r.weight_decay * p[i]);
}

template <class T>
EBB_MULTIVERSION void sgd_momentum(const SgdRule<T>& r, int64_t n, T* p, const T* g, T* buffer) {
  const T keep = r.first_step ? T(0) : r.momentum,
          add = r.first_step ? T(1) : r.one_minus_dampening;
  const T look_ahead = r.nesterov ? T(1) : T(0), by_buffer = r.nesterov ? r.momentum : T(1);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const T d = g[i] + r.weight_decay * p[i];
    const T b = keep * buffer[i] + add * d;
    buffer[i] = b;
    p[i] -= r.lr * (look_ahead * d + by_buffer * b);
  }
}

template <class T> struct AdamRule {
  // rate1 = 1 - beta1 and rate2 = 1 - beta2 are rounded once.
  T step_size, rate1, beta2, rate2, eps, root_correction, l2, shrink;
};

template <class T>
EBB_MULTIVERSION void adam(const AdamRule<T>& r, int64_t n, T* p, const T* g, T* m, T* v) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const T d = g[i] + r.l2 * p[i];
    const T first = m[i] + r.rate1 * (d - m[i]);
    const T second = r.beta2 * v[i] + r.rate2 * (d * d);
    m[i] = first;
    v[i] = second;
    p[i] = p[i] * r.shrink - r.step_size * first / (sqrt(second) / r.root_correction + r.eps);
  }
}

template <class T> void step_parameter(const OptimizerStep& s, size_t k) {
  T* p = reinterpret_cast<T*>(s.params[k].raw());
  const T* g = reinterpret_cast<const T*>(s.grads[k].raw());
  T* first = s.first.empty() ? nullptr : reinterpret_cast<T*>(s.first[k].raw());
  T* second = s.second.empty() ? nullptr : reinterpret_cast<T*>(s.second[k].raw());
  const auto run = [&](auto&& body) { parallel_for(s.params[k].numel(), kChunk, body); };
  if (s.kind == OptimizerStep::Kind::SGD) {
    const SgdRule<T> rule{static_cast<T>(s.lr),
                          static_cast<T>(s.momentum),
                          static_cast<T>(1 - s.dampening),
                          static_cast<T>(s.weight_decay),
                          s.nesterov,
                          s.step == 1};
    run([&](int64_t begin, int64_t end) {
      if (first) sgd_momentum(rule, end - begin, p + begin, g + begin, first + begin);
      else sgd(rule, end - begin, p + begin, g + begin);
    });
    return;
  }
  const bool decoupled = s.kind == OptimizerStep::Kind::AdamW;
  const double t = static_cast<double>(s.step);
  const double correction1 = 1 - std::pow(s.beta1, t), correction2 = 1 - std::pow(s.beta2, t);
  const AdamRule<T> rule{static_cast<T>(s.lr / correction1),
                         static_cast<T>(1 - s.beta1),
                         static_cast<T>(s.beta2),
                         static_cast<T>(1 - s.beta2),
                         static_cast<T>(s.eps),
                         static_cast<T>(std::sqrt(correction2)),
                         static_cast<T>(decoupled ? 0 : s.weight_decay),
                         static_cast<T>(decoupled ? 1 - s.lr * s.weight_decay : 1)};
  run([&](int64_t begin, int64_t end) {
    adam(rule, end - begin, p + begin, g + begin, first + begin, second + begin);
  });
}

}  // namespace

void optimizer_step(const OptimizerStep& step) {
  for (size_t k = 0; k < step.params.size(); ++k) {
    dispatch_floating(step.params[k].dtype(), [&]<class T>(T) { step_parameter<T>(step, k); });
  }
}

}  // namespace ebb::cpu
