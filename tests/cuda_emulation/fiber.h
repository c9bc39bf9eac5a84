// A stack to run on, and the way onto it and back. A fiber lives as long as the process: it runs `loop`, which gives
// way with leave() and must not return. One fiber runs at a time, and whoever enters one holds the lock of the grid.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace ebb::emulation {

class Fiber {
 public:
  // REQUIRES: `loop` never returns.
  explicit Fiber(void (*loop)());
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the fiber until it leaves. Called outside any fiber.
  void enter();
  // Gives way to whoever entered the running fiber.
  static void leave();
  static Fiber* running();

 private:
  static void main(boost::context::detail::transfer_t from);

  boost::context::detail::fcontext_t context_;
  void (*loop_)();
  void* stack_;                 // lowest address; below it lies a page that may not be touched
  void* fake_stack_ = nullptr;  // AddressSanitizer's, while the fiber is away
};

}  // namespace ebb::emulation
