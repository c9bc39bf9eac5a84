// ReLU's mask: one bit per element, 1 if the result is above 0 or NaN. Rows have mask_bits(n) bits.
#pragma once

#include "ebb/backends/cuda/block.h"

namespace ebb::cuda {

/// The bits of a row of n elements: a multiple of 128, as cuBLASLt requires.
EBB_HD constexpr int64_t mask_bits(int64_t n) { return (n + 127) / 128 * 128; }

/// Sets elements to 0 where the mask is 0, in rows of n. Traffic: all elements read and written
/// once.
template <class T>
__global__ void __launch_bounds__(kThreads)
    zero_mask_kernel(T* out, int64_t count, int64_t n, const uint8_t* mask) {
  for (int64_t i = first_item(); i < count; i += item_step()) {
    const int64_t bit = i / n * mask_bits(n) + i % n;
    if (!(mask[bit / 8] >> (bit % 8) & 1)) out[i] = 0;
  }
}

/// Computes the mask of rows of n results, 128 bits per warp. Traffic: all elements read once.
template <class T>
__global__ void __launch_bounds__(kThreads)
    relu_mask_kernel(const T* out, int64_t rows, int64_t n, uint32_t* mask) {
  constexpr int kWords = 4;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t pieces = mask_bits(n) / (kWords * kWarp);
  for (int64_t piece = first_item() / kWarp; piece < rows * pieces; piece += item_step() / kWarp) {
    const T* row = out + piece / pieces * n;
    const int64_t column = piece % pieces * (kWords * kWarp) + lane;
    T x[kWords];
#pragma unroll
    for (int w = 0; w < kWords; ++w) x[w] = column + w * kWarp < n ? row[column + w * kWarp] : T(0);
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      const unsigned bits = __ballot_sync(kAllLanes, !(x[w] <= 0));
      if (lane == 0) mask[piece * kWords + w] = bits;
    }
  }
}

}  // namespace ebb::cuda
