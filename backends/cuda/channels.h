// Two sums for each channel of a contiguous (outer, channels, inner), and passes that use them.
//
// The elements of a channel are divided into parts, so that few channels also keep all
// multiprocessors busy. If inner is greater than 1, a block processes a part of one channel and
// reads along planes. Otherwise it processes a part of the rows of 32 neighboring channels, a lane
// for each. Sums are in f64, and their order depends only on the shape and the device: sums_kernel
// writes those of the parts, and whoever uses them adds the parts up in order.
#pragma once

#include <algorithm>

#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/core/normalization.h"

namespace ebb::cuda {

struct Sums {
  double first = 0, second = 0;
};

/// Returns a / b for a >= 0 and b > 0. 32 bits need a fifth of the instructions.
__device__ inline int64_t quotient(int64_t a, int64_t b) {
  if (a <= INT32_MAX && b <= INT32_MAX) {
    return static_cast<int64_t>(static_cast<uint32_t>(a) / static_cast<uint32_t>(b));
  }
  return a / b;
}

/// How the channels are divided. V: elements that a thread loads at once (a pack). kColumns: inner
/// is 1.
template <bool kColumns, int V> struct ChannelParts {
  static constexpr int kLanes = kThreads / kWarp;  // rows that a block reads at once

  int64_t outer, channels, inner;
  int parts;  ///< of a channel, at most a warp

  __host__ __device__ int64_t blocks() const {
    return (kColumns ? (channels + kWarp - 1) / kWarp : channels) * parts;
  }
  /// The channel of this thread in the block's i-th turn. It can be channels or more if kColumns.
  __device__ int64_t channel(int64_t i) const {
    const int64_t c = quotient(i, parts);
    return kColumns ? c * kWarp + threadIdx.x % kWarp : c;
  }
  __device__ int part(int64_t i) const { return static_cast<int>(i - quotient(i, parts) * parts); }
  /// True in one thread of each channel.
  __device__ bool leads() const { return threadIdx.x < (kColumns ? kWarp : 1); }

  /// Calls body(outer index, position) for each pack of this thread.
  template <class Body> __device__ void each(int64_t c, int part, const Body& body) const {
    const int64_t width = kColumns ? 1 : inner / V, n = outer * width;
    const int64_t begin = n * part / parts, end = n * (part + 1) / parts;
    if constexpr (kColumns) {
#pragma unroll 4
      for (int64_t o = begin + threadIdx.x / kWarp; o < end; o += kLanes) body(o, o * channels + c);
    } else {
#pragma unroll 4
      for (int64_t e = begin + threadIdx.x; e < end; e += kThreads) {
        const int64_t o = quotient(e, width);
        body(o, ((o * channels + c) * width + e - o * width) * V);
      }
    }
  }

  /// Adds up the sums of the threads of a channel. Every thread receives the result.
  __device__ Sums join(Sums sums) const {
    if constexpr (!kColumns) {
      return {block_join<AddUp>(sums.first), block_join<AddUp>(sums.second)};
    } else {
      __shared__ Sums of[kLanes][kWarp];
      const int lane = static_cast<int>(threadIdx.x) % kWarp;
      of[threadIdx.x / kWarp][lane] = sums;
      __syncthreads();
      sums = of[0][lane];
#pragma unroll
      for (int r = 1; r < kLanes; ++r) {
        sums.first += of[r][lane].first;
        sums.second += of[r][lane].second;
      }
      __syncthreads();
      return sums;
    }
  }

  /// The sums of part p of channel c are elements c and channels + c of sums + 2 p channels.
  __device__ void store(double* to, int64_t c, int p, Sums sums) const {
    to[2 * p * channels + c] = sums.first;
    to[(2 * p + 1) * channels + c] = sums.second;
  }
  /// Adds up the sums of all parts of the channel. Every thread receives the result.
  __device__ Sums total(const double* from, int64_t c) const {
    Sums sums;
    const int threads = kColumns ? kLanes : kThreads;
    const int first = static_cast<int>(kColumns ? threadIdx.x / kWarp : threadIdx.x);
    for (int p = first; p < parts && c < channels; p += threads) {
      sums.first += from[2 * p * channels + c];
      sums.second += from[(2 * p + 1) * channels + c];
    }
    return join(sums);
  }
};

/// Writes the sums of all parts. Terms::of(shape, c) returns a function (outer index, position,
/// sums) that adds a pack of channel c.
template <class Parts, class Terms>
__global__ void __launch_bounds__(kThreads)
    sums_kernel(NormShape shape, Parts parts, Terms terms, double* sums) {
  for (int64_t i = blockIdx.x; i < parts.blocks(); i += gridDim.x) {
    const int64_t c = parts.channel(i);
    const int part = parts.part(i);
    Sums mine;
    if (c < parts.channels) {
      const auto add = terms.of(shape, c);
      parts.each(c, part, [&](int64_t o, int64_t at) { add(o, at, mine); });
    }
    mine = parts.join(mine);
    if (parts.leads() && c < parts.channels) parts.store(sums, c, part, mine);
  }
}

/// Passes over all elements with the sums of their channel. Rule::of(shape, c, total, leads)
/// returns a function of the position that processes a pack of channel c; `leads` is true in one
/// thread of a channel.
template <class Parts, class Rule>
__global__ void __launch_bounds__(kThreads)
    channels_kernel(NormShape shape, Parts parts, Rule rule, const double* sums) {
  for (int64_t i = blockIdx.x; i < parts.blocks(); i += gridDim.x) {
    const int64_t c = parts.channel(i);
    const int part = parts.part(i);
    const Sums total = parts.total(sums, c);
    if (c >= parts.channels) continue;
    const auto process = rule.of(shape, c, total, part == 0 && parts.leads());
    parts.each(c, part, [&](int64_t, int64_t at) { process(at); });
  }
}

/// Calls body(ChannelParts, grid) with the division of a shape. `aligned`: all tensors of this
/// shape start at multiples of 16 bytes.
template <class T, class Body>
void with_channel_parts(const NormShape& s, bool aligned, const Body& body) {
  const auto call = [&]<bool kColumns, int V>(std::bool_constant<kColumns>,
                                              std::integral_constant<int, V>) {
    ChannelParts<kColumns, V> parts{s.outer, s.channels, s.inner, 1};
    const int64_t blocks = parts.blocks(), threads = kColumns ? parts.kLanes : kThreads;
    const int64_t wanted = (8 * context().multiprocessors + blocks - 1) / blocks;
    const int64_t most = s.outer * (s.inner / V) / (4 * threads);  // at least 4 packs a thread
    parts.parts = static_cast<int>(std::clamp<int64_t>(std::min(wanted, most), 1, kWarp));
    body(parts, dim3(static_cast<unsigned>(std::min<int64_t>(parts.blocks(), INT32_MAX))));
  };
  if (s.inner == 1) {
    call(std::true_type{}, std::integral_constant<int, 1>{});
  } else if (aligned && s.inner % kPack<T> == 0) {
    call(std::false_type{}, std::integral_constant<int, kPack<T>>{});
  } else {
    call(std::false_type{}, std::integral_constant<int, 1>{});
  }
}

}  // namespace ebb::cuda
