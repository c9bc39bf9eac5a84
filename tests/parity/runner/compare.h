// When two tensors count as equal.
#pragma once

#include <optional>
#include <string>

#include "ebb/core/tensor.h"

namespace ebb::parity {

/// |got - expected| <= absolute S + relative |expected|, S the largest finite |expected| of the tensor.
struct Tolerance {
  double absolute = 0, relative = 0;

  Tolerance times(double factor) const { return {factor * absolute, factor * relative}; }
};

/// 1e-12, 1e-9 for f64 and 1e-6, 2e-5 for f32; 0 for the others.
Tolerance default_tolerance(DType dtype);

/// What differs, on one line; nothing when shape and dtype are equal and all elements within the tolerance. NaN equals
/// NaN, an infinity the same infinity. An undefined `got` stands for zeros. Tensors on any device.
std::optional<std::string> difference(const Tensor& expected, const Tensor& got,
                                      Tolerance tolerance);

/// The largest |got - expected| over the largest |expected|, of finite elements of tensors of one shape; undefined: 0.
double relative_error(const Tensor& expected, const Tensor& got);

/// Whether shape, dtype and every bit are the same.
bool identical(const Tensor& a, const Tensor& b);

}  // namespace ebb::parity
