// What the devices share of softmax rows.
#pragma once

#include "ebb/core/scalar.h"

namespace ebb {

/// An element of log_softmax above this has more than half of the row: there the plain gradients cancel.
inline constexpr double kLogHalf = -0.6931471805599453;

/// g - p total, the gradient of log_softmax from its output y, p = e^y, and the sum of the upstream g; exact where p is
/// near 1: g (1 - p) - p (total - g).
template <class T> EBB_HD T sure_log_softmax_gradient(T y, T g, double total) {
  const T minus = expm1(y), others = static_cast<T>(total - static_cast<double>(g));
  return -(g * minus) - (1 + minus) * others;
}

}  // namespace ebb
