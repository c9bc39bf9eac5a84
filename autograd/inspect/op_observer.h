// Watching ops run: a function that is called after each op of this thread. What gradcheck finds a wrong op with, and
// summary() counts with. Costs one test of a flag an op when nobody watches.
#pragma once

#include <functional>
#include <source_location>
#include <span>
#include <string_view>

#include "ebb/autograd/graph/call_site.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// One output of an op that has just run. Ops that only other ops' forward calls are not reported.
struct OpEvent {
  std::string_view op;
  Node* node;                             ///< null when the op was not recorded
  int output;                             ///< which output of the op `result` is
  const Tensor& result;                   ///< nobody else has it yet
  std::span<const Tensor* const> inputs;  ///< undefined ones left out
  const std::source_location* call_site;  ///< where it was called; null when that is not known
};

/// While it lives, every op that runs on this thread is reported to `watch`; ops that watch calls are not.
class OpObserver {
 public:
  explicit OpObserver(std::function<void(const OpEvent&)> watch);
  ~OpObserver();
  OpObserver(const OpObserver&) = delete;
  OpObserver& operator=(const OpObserver&) = delete;

 private:
  friend void note_results(std::string_view, Node*, std::span<const Tensor* const>,
                           std::span<const Tensor* const>);
  std::function<void(const OpEvent&)> watch_;
  OpObserver* outer_;
  unsigned before_;
};

/// After an op ran: tells who watches, and under anomaly detection checks the results. REQUIRES detail::observers.
void note_results(std::string_view op, Node* node, std::span<const Tensor* const> results,
                  std::span<const Tensor* const> inputs);

}  // namespace ebb
