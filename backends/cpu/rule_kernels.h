// The CPU kernels of an optimizer rule: one loop over contiguous elements, which the compiler
// vectorizes.
//
// Layout: parameter, gradient and buffers are contiguous arrays of n elements of one type.
// optimizer.cpp divides tensors into chunks and threads. Traffic: parameter and buffers are read
// and written once, the gradient is read once. This header is public, because nn::RuleOptimizer
// instantiates it in the user's file.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

#include "ebb/core/optimizer_rule.h"
#include "ebb/core/scalar.h"

namespace ebb {

namespace cpu {

/// The kernels of one rule on the CPU, by F32 and F64.
struct RuleKernels {
  /// Makes the Update of a step in memory of kMaxUpdateBytes.
  using Prepare = void (*)(const void* rule, StepNumbers now, void* update);
  using Run = void (*)(const void* update, int64_t n, void* p, const void* g, void* const* buffers);
  Prepare prepare[2];
  Run run[2];
};

template <class Update, class T, size_t... B>
EBB_KERNEL void rule_loop(const Update& update, int64_t n, T* p, const T* g, void* const* buffers,
                          std::index_sequence<B...>) {
  const Update u = update;  // a copy, which stores to p cannot change
  T* b[] = {static_cast<T*>(buffers[B])..., nullptr};
  EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    T x = p[i];
    T s[] = {b[B][i]..., T(0)};
    u(x, g[i], s[B]...);
    p[i] = x;
    ((b[B][i] = s[B]), ...);
  }
}

template <class Rule, class T> struct RuleLoop {
  using Update = typename Rule::template Update<T>;
  static_assert(std::is_trivially_copyable_v<Update> && sizeof(Update) <= kMaxUpdateBytes,
                "an Update holds a few numbers");
  static_assert(rule_buffers<Rule>() <= kMaxRuleBuffers, "a rule has at most 4 buffers");

  static void prepare(const void* rule, StepNumbers now, void* update) {
    ::new (update) Update(*static_cast<const Rule*>(rule), now);
  }
  static void run(const void* update, int64_t n, void* p, const void* g, void* const* buffers) {
    rule_loop(*static_cast<const Update*>(update), n, static_cast<T*>(p), static_cast<const T*>(g),
              buffers, std::make_index_sequence<static_cast<size_t>(rule_buffers<Rule>())>{});
  }
};

/// The kernel table of a rule.
template <class Rule>
inline constexpr RuleKernels kRuleKernels = {
    {&RuleLoop<Rule, float>::prepare, &RuleLoop<Rule, double>::prepare},
    {&RuleLoop<Rule, float>::run, &RuleLoop<Rule, double>::run}};

}  // namespace cpu

namespace detail {
template <class Rule> consteval std::span<const std::string_view> rule_buffer_names() {
  if constexpr (requires { Rule::buffers; }) return Rule::buffers;
  else return {};
}
}  // namespace detail

/// The table of a rule for every device.
template <class Rule>
inline constexpr RuleTable kRuleTable = {Rule::name, detail::rule_buffer_names<Rule>(),
                                         &cpu::kRuleKernels<Rule>, &CudaRuleSlot<Rule>::kernels};

}  // namespace ebb
