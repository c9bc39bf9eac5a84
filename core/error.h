// Errors: one type of exception, and a function that writes its message.
//
// Every message has the form `[op] what was wrong: expected X, got Y`, on one line, with shapes,
// dtypes and devices.
//
//   fail("cross_entropy", "target ", target.shape(), " does not match input ", input.shape());
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace ebb {

/// The base class of all exceptions that Ebb throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Returns the text of a value in a message. Shape, DType, Device and Tensor have overloads in
/// their headers.
inline std::string to_text(std::string_view text) { return std::string(text); }
inline std::string to_text(const std::string& text) { return text; }
inline std::string to_text(const char* text) { return text; }
std::string to_text(double value);
template <class T>
requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) std::string to_text(T value) {
  return std::to_string(value);
}
inline std::string to_text(bool value) { return value ? "true" : "false"; }

namespace detail {
/// The name or the signature of the composite op that is running on this thread (CompositeScope in
/// autograd/graph/call_site.h), or empty.
extern constinit thread_local std::string_view composite_op;

/// Returns the op that a message names: the op that the user called, which is the running
/// composite op, if there is one, instead of the op at fault.
std::string_view reported_op(std::string_view op);
}  // namespace detail

/// Throws Error with "[op] " and the texts of the parts. Within a composite op, the message names
/// this composite op.
template <class... Parts>
[[noreturn, gnu::noinline, gnu::cold]] void fail(std::string_view op, const Parts&... parts) {
  std::string message(1, '[');
  message.append(detail::reported_op(op)).append("] ");
  (message.append(to_text(parts)), ...);
  throw Error(message);
}

}  // namespace ebb
