// Division by a number that is the same for all threads, in three instructions instead of twenty.
#pragma once

#include <cstdint>

#include "ebb/core/host_device.h"

namespace ebb::cuda {

/// A divisor from 1 to 2^31 - 1 of numbers from 0 to 2^31 - 1. It converts to int.
///
/// With s = ceil(log2 d) and m = floor(2^32 (2^s - d) / d) + 1, the quotient of n is
/// (floor(n m / 2^32) + n) / 2^s, rounded down: T. Granlund, P. L. Montgomery, Division by
/// Invariant Integers using Multiplication (1994), figure 4.1.
class Divisor {
 public:
  Divisor(int d) : d_(d) {
    while ((int64_t{1} << shift_) < d) ++shift_;
    const uint64_t excess = (uint64_t{1} << shift_) - static_cast<uint64_t>(d);
    multiplier_ = static_cast<uint32_t>((excess << 32) / static_cast<uint64_t>(d) + 1);
  }

  EBB_HD operator int() const { return d_; }
  EBB_HD friend int operator/(int n, const Divisor& d) {
    const uint32_t u = static_cast<uint32_t>(n);
    const uint32_t high = static_cast<uint32_t>((uint64_t{u} * d.multiplier_) >> 32);
    return static_cast<int>((high + u) >> d.shift_);
  }
  EBB_HD friend int operator%(int n, const Divisor& d) { return n - n / d * d.d_; }

 private:
  int d_;
  uint32_t multiplier_;
  int shift_ = 0;
};

}  // namespace ebb::cuda
