// Runs one case and says what differs.
#pragma once

#include <array>

#include "cases.h"

namespace ebb::parity {

struct Outcome {
  DType dtype = DType::F32;  ///< of the results
  std::array<double, 3> error =
      {};  ///< the largest relative_error of the value and of the gradients of order 1 and 2
  std::vector<std::string> problems;  ///< one line each; none: the case passed
  bool vacuous = false;               ///< no expected gradient has an element other than 0
  std::string thrown;                 ///< the message of the ebb::Error that an error case got
};

/// What a case's function gives: its outputs, and the gradients of their sum with respect to grad_of.
struct Computed {
  std::vector<Tensor> outputs, gradients;
};
Computed compute(const Case& c, Device device);

Outcome run_case(const Case& c, Device device);

}  // namespace ebb::parity
