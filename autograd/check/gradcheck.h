// gradcheck and gradgradcheck compare the gradient of a function with the derivative of its values.
//
// The numeric derivative is (f(x + eps) - f(x - eps)) / (2 eps) in f64. An element passes if
// |analytic - numeric| <= atol + rtol |numeric|.
//
// Full mode compares every element of the Jacobian. It needs one backward per output element and
// two evaluations per input element. Fast mode compares projections on random directions. It needs
// one backward and two evaluations per input of any size. If it finds a difference, full mode runs
// to find the element.
//
// Both modes also check what finite differences cannot see: backward is linear in its upstream
// gradient and does not change it; upstream gradients and inputs that are expanded or strided give
// the same result as contiguous ones; the outputs give the same gradient one by one and together.
//
// A check that could not find a mistake fails too: gradients that are all zero or all below atol,
// NaN, an input without influence, an empty input, inputs whose elements share memory, a kink
// within eps, or different results for the same inputs. The message says what to do.
//
// After a failure, the recorded graph is searched for the op whose backward is wrong. All random
// numbers come from options.seed.
#pragma once

#include <string>
#include <vector>

#include "ebb/autograd/check/functional.h"
#include "ebb/core/tensor.h"

namespace ebb {

struct GradcheckOptions {
  double eps = 1e-6;
  double atol = 1e-5;
  double rtol = 1e-3;
  uint64_t seed = 0;        ///< for random upstream gradients and the directions of fast mode
  bool allow_zero = false;  ///< accept inputs whose derivative is zero everywhere
  bool raise = true;        ///< throw Error with the report on failure; false: never throw
  bool fast = false;        ///< random projections instead of every element
  bool suspect = true;      ///< after a failure, search for the wrong op (two evaluations per op)
};

/// An element whose gradients differ. In fast mode it is a projection if the function is too large
/// for full mode.
struct GradcheckFailure {
  int output;
  int input;
  // Row-major indices of elements; -1 for a projection on random directions.
  int64_t output_index;
  int64_t input_index;
  double analytic;
  double numeric;
  double relative_error;  ///< |analytic - numeric| / |numeric|; infinity where numeric is 0
};

struct GradcheckReport {
  bool passed = true;
  int64_t compared = 0;  ///< Jacobian elements, or projections
  double max_error = 0;  ///< largest |analytic - numeric|
  std::vector<GradcheckFailure> failures;
  /// Checked inputs that no output depends on. In gradgradcheck the upstream gradients come last.
  std::vector<int> zero_inputs;
  /// Ops whose backward may be wrong, with shapes and call site.
  std::vector<std::string> suspects;
  std::string message;  ///< the problem in one line; empty if the check passed
  explicit operator bool() const { return passed; }
};

/// Checks the first derivative of f.
///
/// Inputs that require grad are checked and must be f64 leaves. Others may have any dtype. f must
/// be a pure function of its inputs; they have their values back afterwards. Outputs that are not
/// floating are ignored. Throws Error if the check fails, and for unusable arguments; passes on
/// what f throws. With raise = false all of these are reports.
GradcheckReport gradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                          GradcheckOptions options = {});

/// Checks the second derivative: runs gradcheck on the gradient as a function of the inputs and of
/// a random upstream gradient. If f is linear, the gradient depends on no input and the check fails
/// as vacuous; allow_zero accepts this.
GradcheckReport gradgradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                              GradcheckOptions options = {});

namespace detail {
/// Runs f with each recorded result perturbed. Returns the ops whose output has the right gradient
/// while one of their inputs has a wrong one. The first one is the nearest to the outputs.
std::vector<std::string> find_suspects(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                       const GradcheckOptions& options);
}  // namespace detail

}  // namespace ebb
