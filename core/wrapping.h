// Integer arithmetic that wraps around, as in torch, where int64_t would be undefined behavior.
#pragma once

#include <cstdint>

#include "ebb/core/host_device.h"

namespace ebb {

/// Returns an operand of +, - or *, whose result is converted back: integers wrap around, and other
/// types are used as they are.
///
///     static_cast<T>(wrapping(a) + wrapping(b))
template <class T> EBB_HD const T& wrapping(const T& x) { return x; }
EBB_HD uint64_t wrapping(int64_t x) { return static_cast<uint64_t>(x); }

}  // namespace ebb
