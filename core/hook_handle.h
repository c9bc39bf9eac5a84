// HookHandle: what registering a hook gives, to take the hook away again.
#pragma once

#include <functional>
#include <utility>

namespace ebb {

/// Does not keep the graph alive. A handle that goes out of scope leaves its hook where it is.
class HookHandle {
 public:
  HookHandle() = default;
  explicit HookHandle(std::function<void()> remove) : remove_(std::move(remove)) {}

  /// The hook is called no more, and what it held is freed. May be called twice, and by the hook itself.
  void remove() {
    if (const auto remove = std::exchange(remove_, nullptr)) remove();
  }

 private:
  std::function<void()> remove_;
};

}  // namespace ebb
