// Shared by the softmax kernels of all devices.
#pragma once

#include "ebb/core/scalar.h"

namespace ebb {

/// Returns true if an element of softmax (or log_softmax) is more than half of its row. For such an
/// element the usual gradient cancels if p is near 1. The gradients of a row sum to 0, so its
/// gradient is computed as minus the sum of the others, which do not cancel.
template <bool kLog, class T> EBB_HD bool is_sure(T y) {
  return y > T(kLog ? -0.6931471805599453 : 0.5);
}

}  // namespace ebb
