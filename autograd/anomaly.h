// Anomaly detection: finds the op that makes the first NaN or infinity, and where it was written.
#pragma once

#include <source_location>
#include <span>

#include "ebb/core/tensor.h"

namespace ebb {

namespace detail {
extern constinit thread_local bool anomaly_on;
void note_location(const std::source_location& where);
}  // namespace detail

/// True while a detect_anomaly guard is alive on this thread.
inline bool anomaly_detection() { return detail::anomaly_on; }

/// While it lives, every op checks its result and every backward its gradients: the first that is not finite although
/// its inputs are throws an Error that names the op and the place in the user's code. Costs a pass over each tensor.
class DetectAnomaly {
 public:
  explicit DetectAnomaly(bool on = true) : before_(detail::anomaly_on) { detail::anomaly_on = on; }
  ~DetectAnomaly() { detail::anomaly_on = before_; }
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;

 private:
  bool before_;
};
/// { auto guard = ebb::detect_anomaly(); ... }
[[nodiscard]] inline DetectAnomaly detect_anomaly() { return DetectAnomaly(); }

/// How public ops take their first tensor: knows where it was called from.
class TensorArg {
 public:
  TensorArg(const Tensor& tensor, std::source_location where = std::source_location::current()) : tensor_(tensor) {
    if (detail::anomaly_on) [[unlikely]]
      detail::note_location(where);
  }
  operator const Tensor&() const { return tensor_; }
  const Tensor& operator*() const { return tensor_; }
  const Tensor* operator->() const { return &tensor_; }

 private:
  const Tensor& tensor_;
};

/// In an op made of other ops: keeps the place where the user called it, while the parts run.
class CompositeScope {
 public:
  CompositeScope();
  ~CompositeScope();
  CompositeScope(const CompositeScope&) = delete;
  CompositeScope& operator=(const CompositeScope&) = delete;
};

class Node;

/// While a node's backward runs: what it calls counts as called where the node was made. Nothing without detection.
class BackwardScope {
 public:
  explicit BackwardScope(const Node& node) : active_(detail::anomaly_on) {
    if (active_) [[unlikely]]
      enter(node);
  }
  ~BackwardScope() {
    if (active_) [[unlikely]]
      leave();
  }
  BackwardScope(const BackwardScope&) = delete;
  BackwardScope& operator=(const BackwardScope&) = delete;

 private:
  void enter(const Node& node);
  void leave();

  bool active_;
  bool had_location_ = false;
  std::source_location before_;
};

/// After an op ran: stores where it was called in the node, and checks the result. Called only when detection is on.
void note_result(std::string_view op, Node* node, const Tensor& result, std::span<const Tensor* const> inputs);
/// After a node's backward ran. Throws Error when a gradient is not finite.
void check_gradients(const Node& node, std::span<const Tensor> gradients);

}  // namespace ebb
