// Runs one case and reports the differences.
#pragma once

#include <array>

#include "cases.h"

namespace ebb::parity {

struct Outcome {
  DType dtype = DType::F32;  ///< of the results
  /// The largest relative_error of the value and of the gradients of order 1 and 2.
  std::array<double, 3> error = {};
  std::vector<std::string> problems;  ///< one line each; empty if the case passed
  bool vacuous = false;               ///< true if all expected gradients are 0
  std::string thrown;                 ///< the message of the expected ebb::Error of an error case
};

/// The results of a case's function: its outputs, and the gradients of their sum with respect to
/// grad_of.
struct Computed {
  std::vector<Tensor> outputs, gradients;
};
Computed compute(const Case& c, Device device);

Outcome run_case(const Case& c, Device device);

}  // namespace ebb::parity
