// A stack, and functions to switch to it and back. A fiber lives as long as the process. It runs
// `loop`, which switches back with leave() and must not return. One fiber runs at a time; entering
// one requires the lock of the grid.
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

  // Runs the fiber until it calls leave(). Called outside of any fiber.
  void enter();
  // Switches back to the caller that entered the running fiber.
  static void leave();
  static Fiber* running();

 private:
  static void main(boost::context::detail::transfer_t from);

  boost::context::detail::fcontext_t context_;
  void (*loop_)();
  void* stack_;                 // lowest address; the page below it is protected
  void* fake_stack_ = nullptr;  // for AddressSanitizer, while the fiber is suspended
};

}  // namespace ebb::emulation
