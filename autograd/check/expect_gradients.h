// expect_gradients: one line of a GoogleTest test that checks the derivatives of an op.
//
//   #include "ebb/autograd/check/expect_gradients.h"
//
//   TEST(Cube, Gradients) {
//     ebb::expect_gradients([](const Tensor& x) { return cube(x); }, {tensor({-1, 2})});
//   }
//
// Needs GoogleTest, so <ebb/ebb.h> does not include it.
#pragma once

#include <gtest/gtest.h>

#include <source_location>
#include <utility>

#include "ebb/autograd/check/gradcheck.h"

namespace ebb {

namespace detail {

template <class T> std::vector<Tensor> as_tensors(T&& result) {
  if constexpr (std::is_convertible_v<T, Tensor>) return {std::forward<T>(result)};
  else return std::vector<Tensor>(std::begin(result), std::end(result));
}

// f(in[0], in[1], ...) with as many tensors as it takes, or f(in).
template <class F> std::vector<Tensor> call_with(const F& f, const std::vector<Tensor>& in) {
  if constexpr (std::is_invocable_v<const F&, const std::vector<Tensor>&>) {
    return as_tensors(f(in));
  } else if constexpr (std::is_invocable_v<const F&, Tensor>) {
    return as_tensors(f(in.at(0)));
  } else if constexpr (std::is_invocable_v<const F&, Tensor, Tensor>) {
    return as_tensors(f(in.at(0), in.at(1)));
  } else {
    return as_tensors(f(in.at(0), in.at(1), in.at(2)));
  }
}

}  // namespace detail

/// Adds a test failure at the caller's line unless the first and the second derivatives of f are
/// right: gradcheck and gradgradcheck, with their reports as the message.
///
/// f takes one to three tensors, or a list of them, and returns a tensor or a list. inputs:
/// floating ones are checked in f64, as copies; others are passed on as they are. A second
/// derivative that is zero is accepted, as f may be linear.
template <class F>
void expect_gradients(const F& f, const std::vector<Tensor>& inputs, GradcheckOptions options = {},
                      std::source_location where = std::source_location::current()) {
  std::vector<Tensor> leaves;
  for (const Tensor& x : inputs) {
    const bool checked = x.defined() && is_floating(x.dtype());
    leaves.push_back(checked ? x.detach().to(f64).clone().requires_grad_() : x);
  }
  const TensorFunction list = [&f](const std::vector<Tensor>& in) {
    return detail::call_with(f, in);
  };
  options.raise = false;
  const GradcheckReport first = gradcheck(list, leaves, options);
  options.allow_zero = true;
  const GradcheckReport second =
      first.passed ? gradgradcheck(list, leaves, options) : GradcheckReport{};
  const char* file = where.file_name();
  const int line = static_cast<int>(where.line());
  if (!first.passed) ADD_FAILURE_AT(file, line) << "first order: " << first.message;
  if (!second.passed) ADD_FAILURE_AT(file, line) << "second order: " << second.message;
}

}  // namespace ebb
