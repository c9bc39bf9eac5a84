// Scalar functions for the references of losses.
#pragma once

#include <cmath>

namespace ebb::test {

inline double softplus_of(double x) {
  return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)));
}
inline double sigmoid_of(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

}  // namespace ebb::test
