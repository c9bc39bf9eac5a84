// HookHandle: the result of registering a hook, which can remove the hook.
#pragma once

#include <functional>
#include <utility>

namespace ebb {

/// A handle does not keep the graph alive. Destroying it does not remove the hook.
class HookHandle {
 public:
  HookHandle() = default;
  explicit HookHandle(std::function<void()> remove) : remove_(std::move(remove)) {}

  /// Removes the hook and frees what it captured. May be called twice, and by the hook itself.
  void remove() {
    if (const auto remove = std::exchange(remove_, nullptr)) remove();
  }

 private:
  std::function<void()> remove_;
};

}  // namespace ebb
