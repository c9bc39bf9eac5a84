// Sums and maxima over the threads of a warp and of a block, always in the same order.
#pragma once

#include <cmath>
#include <limits>

#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/scalar.h"

namespace ebb::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;
inline constexpr int kWarp = 32;

struct AddUp {
  template <class T> __device__ static T join(T a, T b) { return a + b; }
  template <class T> __device__ static T none() { return T(0); }
};
/// Returns the larger of both, and NaN if either is NaN.
struct Larger {
  template <class T> __device__ static T join(T a, T b) { return maximum(a, b); }
  template <class T> __device__ static T none() { return -std::numeric_limits<T>::infinity(); }
};

/// Returns the larger of both, and ignores NaN. It takes one instruction instead of four, for rows
/// whose sum becomes NaN anyway.
struct LargerNumber {
  template <class T> __device__ static T join(T a, T b) { return std::fmax(a, b); }
  template <class T> __device__ static T none() { return -std::numeric_limits<T>::infinity(); }
};

/// Joins the values of the lanes of a warp. Every lane receives the result.
template <class Join, class T> __device__ T warp_join(T x) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    x = Join::template join<T>(x, __shfl_xor_sync(kAllLanes, x, distance));
  }
  return x;
}

/// Joins the values of all threads of a block of whole warps. Every thread receives the result. It
/// ends with a barrier, so it may be called again at once.
template <class Join, class T> __device__ T block_join(T x) {
  __shared__ T parts[kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  x = warp_join<Join>(x);
  if (warps == 1) return x;
  if (lane == 0) parts[warp] = x;
  __syncthreads();
  x = warp_join<Join>(lane < warps ? parts[lane] : Join::template none<T>());
  __syncthreads();
  return x;
}

/// Does the same as block_join with one barrier. Sets `any` in all threads if it was set in one of
/// them. The slots 0 and 1 are two buffers in shared memory. REQUIRES a barrier between two calls
/// with the same slot, such as that of a call with the other slot.
template <class Join, class T> __device__ T block_join_once(int slot, T x, bool* any = nullptr) {
  __shared__ T parts[2][kWarp];
  __shared__ bool some[2][kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  x = warp_join<Join>(x);
  const bool set = any && __any_sync(kAllLanes, *any);
  if (lane == 0) {
    parts[slot][warp] = x;
    some[slot][warp] = set;
  }
  __syncthreads();
  if (any) *any = __any_sync(kAllLanes, lane < warps && some[slot][lane]);
  return warp_join<Join>(lane < warps ? parts[slot][lane] : Join::template none<T>());
}

/// Computes the sum over a grid: each block writes its part to `partials`, and the block that
/// finishes last adds them in order. Returns true in thread 0 of that block, with the total in x.
/// REQUIRES a grid of at most kMaxPartials blocks.
__device__ inline bool grid_sum(double& x, double* partials, unsigned* ticket) {
  __shared__ bool last;
  x = block_join<AddUp>(x);
  if (gridDim.x == 1) return threadIdx.x == 0;
  if (threadIdx.x == 0) {
    partials[blockIdx.x] = x;
    __threadfence();
    last = atomicAdd(ticket, 1u) == gridDim.x - 1;
    if (last) *ticket = 0;
  }
  __syncthreads();
  if (!last) return false;
  __threadfence();
  x = 0;
#pragma unroll 8
  for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x) x += __ldcg(partials + i);
  x = block_join<AddUp>(x);
  return threadIdx.x == 0;
}

}  // namespace ebb::cuda
