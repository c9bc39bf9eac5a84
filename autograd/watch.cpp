#include "ebb/autograd/watch.h"

#include <utility>

#include "ebb/autograd/anomaly.h"
#include "ebb/autograd/node.h"

namespace ebb {

namespace {
constinit thread_local WatchOps* innermost = nullptr;

// What is called in here leaves the place of the op that is looked at.
struct InsideWatch {
  InsideWatch() { ++detail::composite_depth; }
  ~InsideWatch() { --detail::composite_depth; }
};
}  // namespace

WatchOps::WatchOps(std::function<void(const OpEvent&)> watch)
    : watch_(std::move(watch)), outer_(innermost), before_(detail::watching) {
  innermost = this;
  detail::watching |= detail::kWatcher;
}

WatchOps::~WatchOps() {
  innermost = outer_;
  detail::watching = before_;
}

void note_results(std::string_view op, Node* node, std::span<const Tensor* const> results,
                  std::span<const Tensor* const> inputs) {
  const std::source_location place = detail::place;
  const InsideWatch scope;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i]->defined()) continue;
    if (innermost && detail::forward_depth == 0) {
      WatchOps* watcher = innermost;
      const unsigned before = std::exchange(detail::watching, 0u);
      struct Restore {
        unsigned before;
        ~Restore() { detail::watching = before; }
      } restore{before};
      watcher->watch_({op, node, static_cast<int>(i), *results[i], inputs, place.line() ? &place : nullptr});
    }
    if (anomaly_detection()) detail::check_result(op, *results[i], inputs);
  }
}

}  // namespace ebb
