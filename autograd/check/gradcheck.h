// gradcheck and gradgradcheck: is the gradient of a function the derivative of its values?
//
// Full mode compares the analytic Jacobian, one backward an output element, with central differences, one pair of
// evaluations an input element, in f64. Fast mode compares projections of it on random directions: one backward and one
// pair of evaluations an input, whatever its size; where it finds a difference, full mode follows to say where.
// Never passes for nothing: gradients that are all zero, NaN, an input without influence, an empty input, a kink inside
// the step and a function that is not a function of its inputs are each reported as failures that say what to do.
// A difference is followed through the recorded graph to the op whose backward makes it.
// Deterministic from options.seed. Formula: numeric = (f(x + eps) - f(x - eps)) / (2 eps); an element passes when
// |analytic - numeric| <= atol + rtol |numeric|.
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
  uint64_t seed = 0;  ///< of the upstreams that gradgradcheck draws, and of fast mode's directions
  bool allow_zero =
      false;  ///< accept inputs whose derivative is zero everywhere: where it is so by mathematics
  bool raise = true;  ///< throw Error with the report on failure
  bool fast = false;  ///< random projections instead of every element
  bool suspect =
      true;  ///< look for the op that is wrong: two evaluations for each op, on failure only
};

/// One element whose gradients differ; in fast mode, for functions too large for full mode, a projection.
struct GradcheckFailure {
  int output, input;
  int64_t output_index, input_index;  ///< row-major; -1: a projection on random directions
  double analytic, numeric;
  double relative_error;  ///< |analytic - numeric| / |numeric|
};

struct GradcheckReport {
  bool passed = true;
  int64_t compared = 0;  ///< Jacobian elements, or projections
  double max_error = 0;  ///< largest |analytic - numeric|
  std::vector<GradcheckFailure> failures;
  std::vector<int>
      zero_inputs;  ///< checked inputs that no output depends on; in gradgradcheck upstreams come last
  std::vector<std::string> suspects;  ///< ops whose backward may be wrong, with shapes and call site
  std::string message;                ///< what is wrong, in one line; empty when passed
  explicit operator bool() const { return passed; }
};

/// Checks the first derivative. inputs: those that require grad are checked and must be f64 leaves; others, of any
/// dtype, are passed on as they are. f must be a pure function of its inputs, which come back with the values that they
/// had. Outputs that are not floating are left out.
/// Throws Error on failure (unless options.raise is false) and on unusable arguments.
GradcheckReport gradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                          GradcheckOptions options = {});

/// Checks the second derivative: gradcheck of the gradient as a function of the inputs and of a random upstream.
/// Vacuous when it depends on none of the inputs (f is linear): set allow_zero where that is meant.
GradcheckReport gradgradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                              GradcheckOptions options = {});

namespace detail {
/// Runs f with each recorded result moved a little, and returns the ops whose output has the right gradient while one
/// of their inputs has a wrong one. The first found is the nearest to the outputs.
std::vector<std::string> find_suspects(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                       const GradcheckOptions& options);
}  // namespace detail

}  // namespace ebb
