#include "ebb/autograd/inspect/op_observer.h"

#include <utility>

#include "ebb/autograd/graph/node.h"
#include "ebb/autograd/inspect/anomaly.h"

namespace ebb {

namespace {
constinit thread_local OpObserver* innermost = nullptr;

// Calls inside of the observer do not change the call site of the observed op.
struct InsideWatch {
  InsideWatch() { ++detail::composite_depth; }
  ~InsideWatch() { --detail::composite_depth; }
};
}  // namespace

OpObserver::OpObserver(std::function<void(const OpEvent&)> watch)
    : watch_(std::move(watch)), outer_(innermost), before_(detail::observers) {
  innermost = this;
  detail::observers |= detail::kObserver;
}

OpObserver::~OpObserver() {
  innermost = outer_;
  detail::observers = before_;
}

void note_results(std::string_view op, Node* node, std::span<const Tensor* const> results,
                  std::span<const Tensor* const> inputs, std::span<const OpOption> options) {
  const std::source_location call_site = detail::call_site;
  const InsideWatch scope;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i]->defined()) continue;
    if (innermost && detail::forward_depth == 0) {
      OpObserver* watcher = innermost;
      const unsigned before = std::exchange(detail::observers, 0u);
      struct Restore {
        unsigned before;
        ~Restore() { detail::observers = before; }
      } restore{before};
      watcher->watch_({op, node, static_cast<int>(i), *results[i], inputs,
                       call_site.line() ? &call_site : nullptr, options});
    }
    if (anomaly_detection()) detail::check_result(op, *results[i], inputs);
  }
}

}  // namespace ebb
