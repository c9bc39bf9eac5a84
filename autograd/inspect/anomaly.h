// Anomaly detection: finds the op that produces the first NaN or infinity, and its call site.
#pragma once

#include <span>
#include <string_view>

#include "ebb/autograd/graph/call_site.h"
#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns true while a detect_anomaly guard exists on this thread.
inline bool anomaly_detection() { return (detail::observers & detail::kAnomaly) != 0; }

/// A guard during whose lifetime every op checks its result and every backward its gradients.
///
/// The first result that is not finite, although the inputs are, throws an Error that names the op,
/// the ranges of its inputs and the line in the user's code. An Error of backward names the ranges
/// of the upstream gradients and the line of the forward call. The checks cost one pass over each
/// tensor.
class [[nodiscard]] DetectAnomaly {
 public:
  [[nodiscard]] explicit DetectAnomaly(bool on = true) : before_(detail::observers) {
    detail::observers = on ? before_ | detail::kAnomaly : before_ & ~detail::kAnomaly;
  }
  ~DetectAnomaly() { detail::observers = before_; }
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;

 private:
  unsigned before_;
};
/// Returns a guard: { auto guard = ebb::detect_anomaly(); ... }
[[nodiscard]] inline DetectAnomaly detect_anomaly() { return DetectAnomaly(); }

/// Checks the gradients of the inputs of a node after its backward. Throws Error if one is not
/// finite.
void check_gradients(const Node& node, std::span<const Tensor> results,
                     std::span<const Tensor> gradients);

namespace detail {
/// Throws Error if the result is not finite although all inputs are.
void check_result(std::string_view op, const Tensor& result, std::span<const Tensor* const> inputs);
}  // namespace detail

}  // namespace ebb
