// Anomaly detection: finds the op that makes the first NaN or infinity, and where it was written.
#pragma once

#include <span>
#include <string_view>

#include "ebb/autograd/graph/call_site.h"
#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// True while a detect_anomaly guard is alive on this thread.
inline bool anomaly_detection() { return (detail::observers & detail::kAnomaly) != 0; }

/// While it lives, every op checks its result and every backward its gradients: the first that is not finite although
/// its inputs are throws an Error that names the op, the ranges of its inputs and the line in the user's code. Errors
/// of backward name the ranges of the incoming gradients, and the line, too. Costs a pass over each tensor.
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
/// { auto guard = ebb::detect_anomaly(); ... }
[[nodiscard]] inline DetectAnomaly detect_anomaly() { return DetectAnomaly(); }

/// After a node's backward made the gradients of its inputs from those of its outputs. Throws Error when one is not
/// finite.
void check_gradients(const Node& node, std::span<const Tensor> results,
                     std::span<const Tensor> gradients);

namespace detail {
/// Throws Error when the result is not finite although all inputs are.
void check_result(std::string_view op, const Tensor& result, std::span<const Tensor* const> inputs);
}  // namespace detail

}  // namespace ebb
