// Comparison of two tensors.
#pragma once

#include <optional>
#include <string>

#include "ebb/core/tensor.h"

namespace ebb::parity {

/// The tolerance |got - expected| <= absolute S + relative |expected|, where S is the largest
/// finite
/// |expected| of the tensor.
struct Tolerance {
  double absolute = 0, relative = 0;

  Tolerance times(double factor) const { return {factor * absolute, factor * relative}; }
};

/// Returns 1e-12, 1e-9 for f64; 1e-6, 2e-5 for f32; and 0 for other dtypes.
Tolerance default_tolerance(DType dtype);

/// Returns the difference in one line, or nothing if shape and dtype are equal and all elements are
/// within the tolerance. NaN equals NaN, and an infinity equals itself. An undefined `got` means
/// zeros. The tensors may be on any device.
std::optional<std::string> difference(const Tensor& expected, const Tensor& got,
                                      Tolerance tolerance);

/// Returns the largest |got - expected| divided by the largest |expected|, of finite elements.
/// Undefined tensors give 0.
double relative_error(const Tensor& expected, const Tensor& got);

/// Returns true if shape, dtype and every bit are the same.
bool identical(const Tensor& a, const Tensor& b);

}  // namespace ebb::parity
