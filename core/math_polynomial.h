// Polynomials with coefficients written at the place of use: no table, so nothing to load or gather.
#pragma once

#include "ebb/core/host_device.h"

namespace ebb::math::detail {

/// Every second coefficient: c0 + c2 y + c4 y^2 + ...
template <class T> EBB_HD T every_second(T, T c0) { return c0; }
template <class T> EBB_HD T every_second(T, T c0, T) { return c0; }
template <class T, class... Rest> EBB_HD T every_second(T y, T c0, T, T c2, Rest... rest) {
  return every_second(y, c2, rest...) * y + c0;
}

/// c0 + c1 x + c2 x^2 + ..., the even and the odd powers by Horner's rule in x^2: half the latency of one chain.
template <class T, class... Rest> EBB_HD T polynomial(T x, T c0, T c1, Rest... rest) {
  return every_second(x * x, c1, rest...) * x + every_second(x * x, c0, c1, rest...);
}

}  // namespace ebb::math::detail
