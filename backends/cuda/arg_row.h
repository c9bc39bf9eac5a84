// The position of the extreme of a row, found by a warp.
#pragma once

#include "ebb/backends/cuda/block.h"

namespace ebb::cuda {

/// Returns the first position of the extreme of n > 0 elements that are `step` apart, or of the
/// first NaN if there is one. Every lane of the warp receives it.
template <bool kMax, class T> __device__ int64_t warp_arg(const T* row, int64_t n, int64_t step) {
  const auto better = [](T a, int64_t at_a, T b,
                         int64_t at_b) {  // true if a at at_a comes before b
    if (a != a || b != b) return a != a && (b == b || at_a < at_b);
    return (kMax ? a > b : a < b) || (a == b && at_a < at_b);
  };
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int64_t best = lane < n ? lane : 0;
  T value = row[best * step];
  for (int64_t i = lane + kWarp; i < n; i += kWarp) {
    const T candidate = row[i * step];
    if (better(candidate, i, value, best)) value = candidate, best = i;
  }
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    // Small types are exchanged as int.
    const T other = static_cast<T>(__shfl_xor_sync(kAllLanes, +value, distance));
    const int64_t other_best = __shfl_xor_sync(kAllLanes, best, distance);
    if (better(other, other_best, value, best)) value = other, best = other_best;
  }
  return best;
}

}  // namespace ebb::cuda
