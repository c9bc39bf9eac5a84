// Polynomials whose coefficients are constants in the code, so that they are not loaded from a
// table.
#pragma once

#include "ebb/core/host_device.h"

namespace ebb::math::detail {

/// Returns every second term: c0 + c2 y + c4 y^2 + ...
template <class T> EBB_HD T every_second(T, T c0) { return c0; }
template <class T> EBB_HD T every_second(T, T c0, T) { return c0; }
template <class T, class... Rest> EBB_HD T every_second(T y, T c0, T, T c2, Rest... rest) {
  return every_second(y, c2, rest...) * y + c0;
}

/// Returns c0 + c1 x + c2 x^2 + ... Even and odd powers use Horner's rule in x^2 separately, which
/// halves the latency.
template <class T, class... Rest> EBB_HD T polynomial(T x, T c0, T c1, Rest... rest) {
  return every_second(x * x, c1, rest...) * x + every_second(x * x, c0, c1, rest...);
}

}  // namespace ebb::math::detail
