// gradcheck and gradgradcheck: is the gradient of a function the derivative of its values?
//
// Compares the analytic Jacobian, one backward an output element, with central differences, one pair of evaluations an
// input element, in f64. Never passes for nothing: gradients that are all zero, NaN, an input without influence,
// an empty input and a kink inside the step are each reported as failures that say what to do.
// Deterministic from options.seed. Formula: numeric = (f(x + eps) - f(x - eps)) / (2 eps); an element passes when
// |analytic - numeric| <= atol + rtol |numeric|.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

struct GradcheckOptions {
  double eps = 1e-6;
  double atol = 1e-5;
  double rtol = 1e-3;
  uint64_t seed = 0;        ///< of the upstreams that gradgradcheck draws
  bool allow_zero = false;  ///< accept inputs whose derivative is zero everywhere: where it is so by mathematics
  bool raise = true;        ///< throw Error with the report on failure
};

/// One element whose gradients differ.
struct GradcheckFailure {
  int output, input;
  int64_t output_index, input_index;  ///< row-major
  double analytic, numeric;
};

struct GradcheckReport {
  bool passed = true;
  int64_t compared = 0;  ///< Jacobian elements
  double max_error = 0;  ///< largest |analytic - numeric|
  std::vector<GradcheckFailure> failures;
  std::vector<int> zero_inputs;  ///< checked inputs that no output depends on; in gradgradcheck upstreams come last
  std::string message;           ///< one line a problem; empty when passed
  explicit operator bool() const { return passed; }
};

using TensorFunction = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

/// Checks the first derivative. inputs: those that require grad are checked and must be f64 leaves; others are passed
/// on as they are. f must be a pure function of its inputs. Inputs come back with the values that they had.
/// Throws Error on failure (unless options.raise is false) and on unusable arguments.
GradcheckReport gradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs, GradcheckOptions options = {});

/// Checks the second derivative: gradcheck of the gradient as a function of the inputs and of a random upstream.
/// Vacuous when it depends on none of the inputs (f is linear): set allow_zero where that is meant.
GradcheckReport gradgradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                              GradcheckOptions options = {});

}  // namespace ebb
