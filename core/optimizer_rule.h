// Optimizer rules: what the optimizers ask of a backend for an update that is given by one formula.
//
// A rule is a struct with options and a class template Update, which has a call operator over (p,
// g, buffers ...):
//
//   struct SignDescent {
//     double lr = 1e-3, beta = 0.9;
//     static constexpr std::string_view name = "SignDescent";
//     static constexpr std::string_view buffers[] = {"momentum"};  // start as zeros
//     template <class T> struct Update {  // the numbers that all elements of one step share
//       T lr, rate;
//       EBB_HD Update(const SignDescent& rule, ebb::StepNumbers now)
//           : lr(T(now.lr)), rate(T(1 - rule.beta)) {}
//       EBB_HD void operator()(T& p, T g, T& m) const {
//         m += rate * (g - m);
//         p -= lr * ebb::sign(m);
//       }
//     };
//   };
//
// Each device has a table of kernels for each rule, which the optimizers pass to the backend.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>

#include "ebb/core/host_device.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The values on which an update may depend, in addition to the options of its rule.
struct StepNumbers {
  double lr;     ///< the learning rate of this step
  int64_t step;  ///< 1 at the first step of these parameters
};

/// The most buffers of a rule.
inline constexpr int kMaxRuleBuffers = 4;
/// The most bytes of an Update.
inline constexpr size_t kMaxUpdateBytes = 192;

/// Returns the number of buffers of a rule. A rule without buffers has no member `buffers`.
template <class Rule> consteval int rule_buffers() {
  if constexpr (requires { Rule::buffers; }) return static_cast<int>(std::size(Rule::buffers));
  else return 0;
}

/// The CUDA kernels of a rule, entered by a file that nvcc compiled (EBB_CUDA_RULE in
/// backends/cuda/rule_kernels.h); null without.
template <class Rule> struct CudaRuleSlot { static inline const void* kernels = nullptr; };

/// One rule as the library sees it: its names, and its kernels on each device, in a form that only
/// the device knows.
struct RuleTable {
  std::string_view name;
  std::span<const std::string_view> buffers;
  const void* cpu_kernels;
  const void* const* cuda_kernels;  ///< the slot
};

/// One parameter in a step. All tensors are contiguous, of one dtype (f32 or f64), shape and
/// device.
struct OptimizerItem {
  Tensor* param;
  Tensor* grad;
  Tensor* buffers[kMaxRuleBuffers];
  Tensor* average = nullptr;       ///< the moving average of the parameter, or null
  const Tensor* factor = nullptr;  ///< 0-d f64: multiplies the gradient, or null
};

/// One step of a rule over a list of parameters. A captured step (backends/cuda/capture.h) reads lr
/// and counts `step` in the object that it was given, which has to live as long.
struct OptimizerStep {
  const RuleTable* table = nullptr;
  const void* rule = nullptr;  ///< the rule object: its options
  double lr = 0;
  int64_t step = 0;  ///< 1 at the first step
  std::span<const OptimizerItem> items;
  /// The gradient that the rule sees is clamp(grad_scale factor grad, -clip_value, clip_value).
  double grad_scale = 1;
  double clip_value = std::numeric_limits<double>::infinity();
  /// average += average_rate (p - average), after p was updated; 1 copies p.
  double average_rate = 0;
  /// Updates nothing. Throws Error in a step that is being captured.
  bool skips = false;
};

}  // namespace ebb
