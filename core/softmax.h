// What the devices share of softmax rows.
#pragma once

#include "ebb/core/scalar.h"

namespace ebb {

/// g - p total, the gradient of log_softmax from its output y, p = e^y, and the sum of the upstream g. Where p is near
/// 1 that would cancel: there it is g (1 - p) - p (total - g).
template <class T> EBB_HD T log_softmax_gradient(T y, T g, T total) {
  const T minus = expm1(y);
  return where(y < T(-0.7), g - exp(y) * total, -(g * minus) - (1 + minus) * (total - g));
}

}  // namespace ebb
