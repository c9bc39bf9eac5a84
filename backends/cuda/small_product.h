// Products of few tiles. One kernel also applies bias and activation, writes ReLU's mask, and sums
// the rows of a.
//
// A block of 256 threads computes a tile of the result. Its threads form groups. A thread computes
// 4 x 4 elements, and the groups divide k among themselves and add their parts at the end, always
// in the same order. The time of such a product is mostly memory latency, so many loads must be in
// flight at once. Operands are copied to shared memory in chunks of k; the next chunk is loaded
// during the computation. A thread reads 16 bytes along k without bank conflicts. Traffic: per tile
// its rows of a and columns of b once (from the cache); the result is written once.
#pragma once

#include "ebb/backends/cuda/relu_mask.h"
#include "ebb/core/scalar.h"

namespace ebb::cuda {

/// The product out (m, n) = a (m, k) b (k, n). MatmulArgs in core/backend.h documents the other
/// members, which are null if they are not needed.
template <class T> struct SmallProduct {
  const T *a, *b;
  int64_t a_row, a_k, b_k, b_column;  // strides
  int m, n, k;
  bool relu;
  const T* bias;
  T* out;
  T* a_sum;
  T* gelu;
  uint8_t* relu_mask;
  const uint8_t* zero_mask;
};

/// One or two independent products in one launch. Blocks from `second_from` on compute the second.
template <class T> struct SmallProducts {
  SmallProduct<T> product[2];
  int second_from;
};

constexpr int small_tiles(int64_t size, int tile) {
  return static_cast<int>((size + tile - 1) / tile);
}

/// Tile: the side of a block's tile, 16 or 32. Chunk: the part of k in shared memory.
template <int Tile, int Chunk, class T> class SmallTile {
 public:
  __device__ SmallTile(const SmallProduct<T>& p, int tile)
      : p_(p),
        first_row_(tile / small_tiles(p.n, Tile) * Tile),
        first_column_(tile % small_tiles(p.n, Tile) * Tile) {}

  __device__ void run() {
    alignas(16) __shared__ T shared[2 * Tile * kStride];
    T *as = shared, *bs = shared + Tile * kStride;
    T a_next[kLoads], b_next[kLoads];
    load(0, a_next, b_next);
    for (int k = 0; k < p_.k; k += Chunk) {
      if (k > 0) __syncthreads();  // all threads have read the last chunk
      store(as, p_.a_k == 1, a_next);
      store(bs, p_.b_k == 1, b_next);
      __syncthreads();
      if (k + Chunk < p_.k) load(k + Chunk, a_next, b_next);
      multiply(as, bs, p_.k - k < Chunk ? p_.k - k : Chunk);
    }
    __syncthreads();
    add_groups(shared);
    finish(shared);
  }

 private:
  static constexpr int kSide = Tile / 4;  // threads of a group along a side
  static constexpr int kGroups = kThreads / (kSide * kSide);
  // Parts of k that remain after the sums within warps.
  static constexpr int kParts = kSide * kSide < kWarp ? kGroups / 2 : kGroups;
  static constexpr int kStride = Chunk + 4;               // of a row in shared memory
  static constexpr int kLoads = Tile * Chunk / kThreads;  // of a thread and operand
  static_assert(kParts * (Tile * Tile + Tile) <= 2 * Tile * kStride);

  // Returns row and k of this thread's u-th element of a chunk. Adjacent threads load adjacent
  // memory.
  __device__ static int row_of(bool along_k, int u) {
    const int i = static_cast<int>(threadIdx.x) + u * kThreads;
    return along_k ? i / Chunk : i % Tile;
  }
  __device__ static int k_of(bool along_k, int u) {
    const int i = static_cast<int>(threadIdx.x) + u * kThreads;
    return along_k ? i % Chunk : i / Tile;
  }
  __device__ void load(int first_k, T (&a)[kLoads], T (&b)[kLoads]) const {
    const bool a_along = p_.a_k == 1, b_along = p_.b_k == 1;
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      const int row = first_row_ + row_of(a_along, u), k = first_k + k_of(a_along, u);
      a[u] = row < p_.m && k < p_.k ? p_.a[row * p_.a_row + k * p_.a_k] : T(0);
    }
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      const int column = first_column_ + row_of(b_along, u), k = first_k + k_of(b_along, u);
      b[u] = column < p_.n && k < p_.k ? p_.b[column * p_.b_column + k * p_.b_k] : T(0);
    }
  }
  __device__ static void store(T* to, bool along_k, const T (&x)[kLoads]) {
#pragma unroll
    for (int u = 0; u < kLoads; ++u) to[row_of(along_k, u) * kStride + k_of(along_k, u)] = x[u];
  }

  // Four elements of f64 are two loads of 16 bytes, which is how the data is aligned.
  struct alignas(16) Four {
    T v[4];
  };
  __device__ static Four four(const T* at) { return *reinterpret_cast<const Four*>(at); }

  __device__ void multiply(const T* as, const T* bs, int count) {
    const int x = column(), y = row();
    const bool sums = p_.a_sum && first_column_ == 0 && x == 0;
    for (int k = 4 * turn(); k < count; k += 4 * kGroups) {
      Four a[4], b[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        a[i] = four(as + (y + i * kSide) * kStride + k);
        b[i] = four(bs + (x + i * kSide) * kStride + k);
      }
#pragma unroll
      for (int s = 0; s < 4; ++s) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) sum_[i][j] += a[i].v[s] * b[j].v[s];
        }
      }
      if (sums) {
#pragma unroll
        for (int i = 0; i < 4; ++i) a_sum_[i] += (a[i].v[0] + a[i].v[1]) + (a[i].v[2] + a[i].v[3]);
      }
    }
  }

  // Stores each group's sums: Tile * Tile results, then Tile sums of a's rows.
  __device__ void add_groups(T* parts) {
    constexpr bool two_in_a_warp = kSide * kSide < kWarp;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    if constexpr (two_in_a_warp) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sum_[i][j] += __shfl_xor_sync(kAllLanes, sum_[i][j], kWarp / 2);
        a_sum_[i] += __shfl_xor_sync(kAllLanes, a_sum_[i], kWarp / 2);
      }
    }
    if (!two_in_a_warp || lane < kWarp / 2) {
      const int part = static_cast<int>(threadIdx.x) / (two_in_a_warp ? kWarp : kSide * kSide);
      T* to = parts + part * (Tile * Tile + Tile);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          to[(row() + i * kSide) * Tile + column() + j * kSide] = sum_[i][j];
        if (column() == 0) to[Tile * Tile + row() + i * kSide] = a_sum_[i];
      }
    }
    __syncthreads();
  }
  __device__ static T sum_parts(const T* parts, int at) {
    T sum = parts[at];
#pragma unroll
    for (int part = 1; part < kParts; ++part) sum += parts[part * (Tile * Tile + Tile) + at];
    return sum;
  }

  __device__ void finish(const T* parts) const {
#pragma unroll
    for (int u = 0; u < Tile * Tile / kThreads; ++u) {
      const int i = static_cast<int>(threadIdx.x) + u * kThreads;
      const int r = first_row_ + i / Tile, c = first_column_ + i % Tile;
      const bool inside = r < p_.m && c < p_.n;
      T x = sum_parts(parts, i);
      if (p_.bias && inside) x += p_.bias[c];
      if (p_.relu) x = relu(x);
      if (p_.relu_mask) {
        const unsigned bits = __ballot_sync(kAllLanes, inside && !(x <= 0));
        if (i % Tile == 0 && r < p_.m) store_bits(r, bits >> (i % kWarp));
      }
      if (!inside) continue;
      if (p_.zero_mask) {
        const int64_t bit = r * mask_bits(p_.n) + c;
        if (!(p_.zero_mask[bit / 8] >> (bit % 8) & 1)) x = 0;
      }
      const int64_t at = static_cast<int64_t>(r) * p_.n + c;
      p_.out[at] = x;
      if (p_.gelu) p_.gelu[at] = gelu(x);
    }
    if (p_.a_sum && first_column_ == 0) {
      const int r = static_cast<int>(threadIdx.x);
      if (r < Tile && first_row_ + r < p_.m)
        p_.a_sum[first_row_ + r] = sum_parts(parts, Tile * Tile + r);
    }
  }
  __device__ void store_bits(int r, unsigned bits) const {
    using Bits = std::conditional_t<Tile == 16, uint16_t, uint32_t>;
    *reinterpret_cast<Bits*>(p_.relu_mask + (r * mask_bits(p_.n) + first_column_) / 8) =
        static_cast<Bits>(bits);
  }

  // GELU in its tanh form: a copy of the formula in autograd/ops, which backends must not include.
  __device__ static T gelu(T x) {
    const T u = T(0.79788456080286536) * (x + T(0.044715) * (x * x * x));
    return x * sigmoid(2 * u);
  }

  __device__ static int column() { return static_cast<int>(threadIdx.x) % kSide; }
  __device__ static int row() { return static_cast<int>(threadIdx.x) / kSide % kSide; }
  // Returns the index of this group's four k. The two groups of a warp read different banks.
  __device__ static int turn() {
    const int group = static_cast<int>(threadIdx.x) / (kSide * kSide);
    if constexpr (kGroups < 16) return group;
    else return (group / 2) % 4 + group % 2 * 4 + group / 8 * 8;
  }

  const SmallProduct<T>& p_;
  int first_row_, first_column_;
  T sum_[4][4] = {};
  T a_sum_[4] = {};
};

template <int Tile, int Chunk, class T>
__global__ void __launch_bounds__(kThreads)
    small_product_kernel(const __grid_constant__ SmallProducts<T> list) {
  await_previous();
  const int block = static_cast<int>(blockIdx.x);
  const bool second = block >= list.second_from;
  SmallTile<Tile, Chunk, T>(list.product[second], second ? block - list.second_from : block).run();
}

}  // namespace ebb::cuda
