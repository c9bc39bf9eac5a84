// Options of the sanitizers, linked into the test programs that are built with them (EBB_SANITIZE).
// Variables of the environment come after these and win.
extern "C" {

// An allocation that cannot be had returns null, which Ebb turns into an Error; tests ask for such.
const char* __asan_default_options() { return "allocator_may_return_null=1"; }
const char* __tsan_default_options() {
  return "allocator_may_return_null=1:second_deadlock_stack=1";
}
const char* __ubsan_default_options() { return "print_stacktrace=1"; }

}  // extern "C"
