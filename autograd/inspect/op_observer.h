// Calls a function after each op that runs on this thread. gradcheck uses it to find the op at
// fault, and summary() uses it to count. Without an observer it costs one test of a flag per op.
#pragma once

#include <functional>
#include <source_location>
#include <span>
#include <string_view>
#include <typeinfo>

#include "ebb/autograd/graph/call_site.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// An argument of a call that is not a tensor, or the formula of a pointwise op. It refers to the
/// value, which lives as long as the event.
class OpOption {
 public:
  template <class T> explicit OpOption(const T& value) : type_(&typeid(T)), value_(&value) {}
  OpOption(const std::type_info& type, const void* value) : type_(&type), value_(value) {}

  /// Returns the value if its type is T, else null.
  template <class T> const T* as() const {
    return *type_ == typeid(T) ? static_cast<const T*>(value_) : nullptr;
  }

 private:
  const std::type_info* type_;
  const void* value_;
};

/// One output of an op that has just run. Ops that the forward function of another op calls are not
/// reported.
struct OpEvent {
  std::string_view op;
  Node* node;                             ///< null if the op was not recorded
  int output;                             ///< the index of `result` among the outputs of the op
  const Tensor& result;                   ///< no other code has a handle of it yet
  std::span<const Tensor* const> inputs;  ///< without undefined tensors
  const std::source_location* call_site;  ///< null if it is not known
  std::span<const OpOption> options;      ///< in the order of the call
};

/// Calls `watch` after every op on this thread during its lifetime, except for ops inside of
/// `watch`.
class [[nodiscard]] OpObserver {
 public:
  [[nodiscard]] explicit OpObserver(std::function<void(const OpEvent&)> watch);
  ~OpObserver();
  OpObserver(const OpObserver&) = delete;
  OpObserver& operator=(const OpObserver&) = delete;

 private:
  friend void note_results(std::string_view, Node*, std::span<const Tensor* const>,
                           std::span<const Tensor* const>, std::span<const OpOption>);
  std::function<void(const OpEvent&)> watch_;
  OpObserver* outer_;
  unsigned before_;
};

/// Informs the observers of an op that has run, and checks its results for anomalies. REQUIRES
/// detail::observers.
void note_results(std::string_view op, Node* node, std::span<const Tensor* const> results,
                  std::span<const Tensor* const> inputs, std::span<const OpOption> options = {});

}  // namespace ebb
