// What the devices share of softmax rows.
#pragma once

#include "ebb/core/scalar.h"

namespace ebb {

/// Whether an element of softmax, or of log_softmax, has more than half of its row. There the plain gradient cancels,
/// and has lost its digits where p is near 1, for y is 0 or 1. The gradients of a row add up to 0: that of the sure
/// element is the sum of the others', which have theirs, with its sign turned.
template <bool kLog, class T> EBB_HD bool is_sure(T y) {
  return y > T(kLog ? -0.6931471805599453 : 0.5);
}

}  // namespace ebb
