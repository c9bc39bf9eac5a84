#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include "runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace ebb::emulation {
namespace {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::transfer_t;

// Pages are allocated when they are first used. Sanitized and unoptimized kernels have large
// frames.
constexpr std::size_t kStackBytes = 256 * 1024;

// The caller that entered the running fiber.
struct Caller {
  fcontext_t context = nullptr;
  const void* stack = nullptr;
  std::size_t stack_bytes = 0;
  void* fake_stack = nullptr;
};
Caller caller;
Fiber* current = nullptr;

// AddressSanitizer has to know before and after each switch which stack is in use.
#if defined(__SANITIZE_ADDRESS__)
void before_switch(void** fake_stack, const void* stack, std::size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
}
void after_switch(void* fake_stack, const void** old_stack, std::size_t* old_bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, old_stack, old_bytes);
}
#else
void before_switch(void**, const void*, std::size_t) {}
void after_switch(void*, const void**, std::size_t*) {}
#endif

}  // namespace

Fiber::Fiber(void (*loop)()) : loop_(loop) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, page + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0)
    die("no memory for the stack of a thread");
  stack_ = static_cast<std::byte*>(memory) + page;
  // Stacks that start at the same offset in a page would compete for the same few cache lines.
  static std::size_t count = 0;
  const std::size_t used = kStackBytes - count++ * 448 % page;
  context_ =
      boost::context::detail::make_fcontext(static_cast<std::byte*>(stack_) + used, used, main);
}

void Fiber::enter() {
  current = this;
  before_switch(&caller.fake_stack, stack_, kStackBytes);
  context_ = jump_fcontext(context_, nullptr).fctx;
  after_switch(caller.fake_stack, nullptr, nullptr);
  current = nullptr;
}

void Fiber::leave() {
  Fiber* const self = current;
  before_switch(&self->fake_stack_, caller.stack, caller.stack_bytes);
  caller.context = jump_fcontext(caller.context, nullptr).fctx;
  after_switch(self->fake_stack_, &caller.stack, &caller.stack_bytes);
}

Fiber* Fiber::running() { return current; }

void Fiber::main(transfer_t from) {
  caller.context = from.fctx;
  after_switch(nullptr, &caller.stack, &caller.stack_bytes);
  current->loop_();
  die("the loop of a fiber has ended");
}

}  // namespace ebb::emulation
