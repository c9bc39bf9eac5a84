// Products of few tiles. One kernel also applies bias and activation, writes ReLU's mask, and sums
// the rows of a.
//
// A block of 256 threads computes a tile of the result. A thread computes a square of 1 to 16
// elements. The squares of one group of threads cover the tile; the groups divide k among
// themselves and add their parts at the end, always in the same order. Long k is also divided among
// blocks, and the block that ends last adds their parts in order.
//
// The time of such a product is mostly latency, so many loads are in flight at once, also those of
// the bias and the zero mask, and offsets are computed before the wait for the previous kernel.
// Operands are copied to shared memory in chunks of k; the next chunk is loaded during the
// computation. A thread reads 16 bytes along k without bank conflicts. Traffic: per tile its rows
// of a and columns of b once (from the cache); the result is written once.
#pragma once

#include "ebb/backends/cuda/relu_mask.h"
#include "ebb/core/scalar.h"

namespace ebb::cuda {

/// The product out (m, n) = a (m, k) b (k, n). MatmulArgs in core/backend.h documents the other
/// members, which are null if they are not needed.
template <class T> struct SmallProduct {
  const T *a, *b;
  int a_row, a_k, b_k, b_column;  // strides
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

template <class T> EBB_HD int small_tiles(const SmallProduct<T>& p, int tile) {
  return small_tiles(p.m, tile) * small_tiles(p.n, tile);
}

/// The sums of a tile: those of its elements, and those of a's rows.
template <int Tile> inline constexpr int kTileSums = Tile* Tile + Tile;

/// Computes one tile. Tile: its side. Each: the side of what a thread computes. Chunk: the part of
/// k in shared memory, which does not influence the order of the sums. The constructor reads no
/// memory, so it can run before await_previous().
template <int Tile, int Chunk, int Each, class T> class SmallTile {
 public:
  /// With k from `from` to before `end`.
  __device__ SmallTile(const SmallProduct<T>& p, int tile, int from, int end)
      : p_(p),
        from_(from),
        end_(end),
        first_row_(tile / small_tiles(p.n, Tile) * Tile),
        first_column_(tile % small_tiles(p.n, Tile) * Tile),
        a_(p.a_row, p.a_k, first_row_, from),
        b_(p.b_column, p.b_k, first_column_, from) {}
  __device__ SmallTile(const SmallProduct<T>& p, int tile) : SmallTile(p, tile, 0, p.k) {}

  __device__ void run() {
    load_epilogue();
    const T* const sums = multiply_all();
    finish([&](int u) { return sum_at(sums, u); }, [&](int i) { return a_sum_at(sums, i); });
  }

  /// Computes part `part` of `splits` of the tile. The block that ends last adds all parts in
  /// order. Partials: kTileSums for each part.
  __device__ void run_split(int part, int splits, T* partials, unsigned* ticket) {
    __shared__ bool last;
    load_epilogue();
    const T* const sums = multiply_all();
    T* const mine = partials + part * kTileSums<Tile>;
#pragma unroll
    for (int u = 0; u < kElements; ++u) mine[u * kThreads + thread()] = sum_at(sums, u);
    if (p_.a_sum && first_column_ == 0) {
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        if (has_row(i)) mine[Tile * Tile + row_number(i)] = a_sum_at(sums, i);
    }
    __threadfence();
    __syncthreads();
    if (thread() == 0) {
      last = atomicAdd(ticket, 1u) == static_cast<unsigned>(splits) - 1;
      if (last) *ticket = 0;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    const auto total = [&](int at) {
      T sum = 0;
#pragma unroll 4
      for (int s = 0; s < splits; ++s) sum += __ldcg(partials + s * kTileSums<Tile> + at);
      return sum;
    };
    finish([&](int u) { return total(u * kThreads + thread()); },
           [&](int i) { return total(Tile * Tile + row_number(i)); });
  }

 private:
  static constexpr int kSide = Tile / Each;  // threads of a group along a side
  static constexpr int kGroups = kThreads / (kSide * kSide);
  static constexpr bool kAlone = kGroups == 1;  // a thread has the whole sum of its elements
  // Parts of k that remain after the sums within warps.
  static constexpr int kParts = kSide * kSide < kWarp ? kGroups / 2 : kGroups;
  static constexpr int kStride = Chunk + 4;                 // of a row in shared memory
  static constexpr int kLoads = Tile * Chunk / kThreads;    // of a thread and operand
  static constexpr int kElements = Tile * Tile / kThreads;  // of a thread, at the end
  static constexpr int kColumns = kAlone ? Each : 1;        // of these elements
  static constexpr int kRows = kAlone ? Each : 1;           // of a, whose sums a thread may have
  static_assert(kAlone || kParts * kTileSums<Tile> <= 2 * Tile * kStride);
  static_assert(!kAlone || kSide == 16, "the bits of the mask are stored by 16 threads of a row");

  // The elements of an operand that a thread loads: element u of a chunk has row row + u * row_step
  // of the tile and k + u * k_step. Adjacent threads load adjacent memory.
  struct Part {
    int row, row_step, k, k_step;
    int at, at_step, next;  // offsets: of the first element, to the next one, and to the next chunk

    __device__ Part(int row_stride, int k_stride, int first_row, int first_k) {
      const bool along_k = k_stride == 1;
      row = along_k ? thread() / Chunk : thread() % Tile;
      k = along_k ? thread() % Chunk : thread() / Tile;
      row_step = along_k ? kThreads / Chunk : 0;
      k_step = along_k ? 0 : kThreads / Tile;
      at = (first_row + row) * row_stride + (first_k + k) * k_stride;
      at_step = row_step * row_stride + k_step * k_stride;
      next = Chunk * k_stride;
    }
    // Loads the elements with fewer than `rows` rows and `count` k, and goes to the next chunk.
    __device__ void load(const T* from, int rows, int count, T (&x)[kLoads]) {
#pragma unroll
      for (int u = 0; u < kLoads; ++u)
        x[u] = row + u * row_step < rows && k + u * k_step < count ? from[at + u * at_step] : T(0);
      at += next;
    }
    __device__ void store(T* to, const T (&x)[kLoads]) const {
#pragma unroll
      for (int u = 0; u < kLoads; ++u) to[(row + u * row_step) * kStride + k + u * k_step] = x[u];
    }
  };
  static_assert(kThreads % Chunk == 0 && kThreads % Tile == 0);

  // Multiplies, and returns the sums of all groups in shared memory.
  __device__ const T* multiply_all() {
    alignas(16) __shared__ T shared[2 * Tile * kStride];
    T *as = shared, *bs = shared + Tile * kStride;
    T a_next[kLoads], b_next[kLoads];
    load(from_, a_next, b_next);
    for (int k = from_; k < end_; k += Chunk) {
      if (k > from_) __syncthreads();  // all threads have read the last chunk
      a_.store(as, a_next);
      b_.store(bs, b_next);
      __syncthreads();
      if (k + Chunk < end_) load(k + Chunk, a_next, b_next);
      multiply(as, bs, end_ - k < Chunk ? end_ - k : Chunk);
    }
    if constexpr (!kAlone) {
      __syncthreads();
      add_groups(shared);
    }
    return shared;
  }
  __device__ void load(int k, T (&a)[kLoads], T (&b)[kLoads]) {
    a_.load(p_.a, p_.m - first_row_, end_ - k, a);
    b_.load(p_.b, p_.n - first_column_, end_ - k, b);
  }

  // Four elements of f64 are two loads of 16 bytes, which is how the data is aligned.
  struct alignas(16) Four {
    T v[4];
  };
  __device__ static Four four(const T* at) { return *reinterpret_cast<const Four*>(at); }

  __device__ void multiply(const T* as, const T* bs, int count) {
    const int x = column(), y = row();
    const bool sums = p_.a_sum && first_column_ == 0 && x == 0;
#pragma unroll(kAlone&& Each == 1 ? 4 : 1)
    for (int k = 4 * turn(); k < count; k += 4 * kGroups) {
      Four a[Each], b[Each];
#pragma unroll
      for (int i = 0; i < Each; ++i) {
        a[i] = four(as + (y + i * kSide) * kStride + k);
        b[i] = four(bs + (x + i * kSide) * kStride + k);
      }
#pragma unroll
      for (int s = 0; s < 4; ++s) {
#pragma unroll
        for (int i = 0; i < Each; ++i) {
#pragma unroll
          for (int j = 0; j < Each; ++j) sum_[i][j] += a[i].v[s] * b[j].v[s];
        }
      }
      if (sums) {
#pragma unroll
        for (int i = 0; i < Each; ++i)
          a_sum_[i] += (a[i].v[0] + a[i].v[1]) + (a[i].v[2] + a[i].v[3]);
      }
    }
  }

  // Stores each group's sums: Tile * Tile results, then Tile sums of a's rows.
  __device__ void add_groups(T* parts) {
    constexpr bool two_in_a_warp = kSide * kSide < kWarp;
    const int lane = thread() % kWarp;
    if constexpr (two_in_a_warp) {
#pragma unroll
      for (int i = 0; i < Each; ++i) {
#pragma unroll
        for (int j = 0; j < Each; ++j)
          sum_[i][j] += __shfl_xor_sync(kAllLanes, sum_[i][j], kWarp / 2);
        a_sum_[i] += __shfl_xor_sync(kAllLanes, a_sum_[i], kWarp / 2);
      }
    }
    if (!two_in_a_warp || lane < kWarp / 2) {
      const int part = thread() / (two_in_a_warp ? kWarp : kSide * kSide);
      T* to = parts + part * kTileSums<Tile>;
#pragma unroll
      for (int i = 0; i < Each; ++i) {
#pragma unroll
        for (int j = 0; j < Each; ++j)
          to[(row() + i * kSide) * Tile + column() + j * kSide] = sum_[i][j];
        if (column() == 0) to[Tile * Tile + row() + i * kSide] = a_sum_[i];
      }
    }
    __syncthreads();
  }
  __device__ static T sum_parts(const T* parts, int at) {
    T sum = parts[at];
#pragma unroll
    for (int part = 1; part < kParts; ++part) sum += parts[part * kTileSums<Tile> + at];
    return sum;
  }

  // The elements that a thread completes: its own if it has their whole sums, else every 256th.
  __device__ int row_at(int u) const {
    return first_row_ + (kAlone ? row() + u / Each * kSide : (thread() + u * kThreads) / Tile);
  }
  __device__ int column_at(int u) const {
    return first_column_ + (kAlone ? column() + u % Each * kSide : thread() % Tile);
  }
  __device__ T sum_at(const T* parts, int u) const {
    if constexpr (kAlone) return sum_[u / Each][u % Each];
    else return sum_parts(parts, thread() + u * kThreads);
  }
  // The same for sums of a's rows.
  __device__ static int row_number(int i) { return kAlone ? row() + i * kSide : thread(); }
  __device__ bool has_row(int i) const {
    const bool mine = kAlone ? column() == 0 : thread() < Tile;
    return mine && first_row_ + row_number(i) < p_.m;
  }
  __device__ T a_sum_at(const T* parts, int i) const {
    if constexpr (kAlone) return a_sum_[i];
    else return sum_parts(parts, Tile * Tile + row_number(i));
  }

  // Loads what finish() needs, so that it does not wait for memory.
  __device__ void load_epilogue() {
#pragma unroll
    for (int j = 0; j < kColumns; ++j)
      bias_[j] = p_.bias && column_at(j) < p_.n ? p_.bias[column_at(j)] : T(0);
    if (!p_.zero_mask) return;
#pragma unroll
    for (int u = 0; u < kElements; ++u) {
      const int r = row_at(u), c = column_at(u);
      if (r >= p_.m || c >= p_.n) continue;
      const int bit = r * static_cast<int>(mask_bits(p_.n)) + c;
      if (!(p_.zero_mask[bit / 8] >> (bit % 8) & 1)) zeros_ |= 1u << u;
    }
  }
  template <class SumAt, class RowSumAt>
  __device__ void finish(const SumAt& sum_at, const RowSumAt& a_sum_at) const {
#pragma unroll
    for (int u = 0; u < kElements; ++u) {
      const int r = row_at(u), c = column_at(u);
      const bool inside = r < p_.m && c < p_.n;
      T x = sum_at(u);
      if (p_.bias) x += bias_[u % kColumns];
      if (p_.relu) x = relu(x);
      if (p_.relu_mask) store_mask(r, c, __ballot_sync(kAllLanes, inside && !(x <= 0)));
      if (!inside) continue;
      if (zeros_ >> u & 1) x = 0;
      const int at = r * p_.n + c;
      p_.out[at] = x;
      if (p_.gelu) p_.gelu[at] = gelu(x);
    }
    if (p_.a_sum && first_column_ == 0) {
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        if (has_row(i)) p_.a_sum[first_row_ + row_number(i)] = a_sum_at(i);
    }
  }
  // The lanes of a warp have 16 columns of two rows, or 32 of one.
  __device__ void store_mask(int r, int c, unsigned bits) const {
    constexpr int kWide = kAlone || Tile == 16 ? 16 : 32;
    using Bits = std::conditional_t<kWide == 16, uint16_t, uint32_t>;
    const int lane = thread() % kWarp;
    if (lane % kWide != 0 || r >= p_.m) return;
    *reinterpret_cast<Bits*>(p_.relu_mask + (r * mask_bits(p_.n) + c) / 8) =
        static_cast<Bits>(bits >> lane);
  }

  // GELU in its tanh form: a copy of the formula in autograd/ops, which backends must not include.
  __device__ static T gelu(T x) {
    const T u = T(0.79788456080286536) * (x + T(0.044715) * (x * x * x));
    return x * sigmoid(2 * u);
  }

  __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ static int column() { return thread() % kSide; }
  __device__ static int row() { return thread() / kSide % kSide; }
  // Returns the index of this group's four k. The two groups of a warp read different banks.
  __device__ static int turn() {
    const int group = thread() / (kSide * kSide);
    if constexpr (kGroups < 16) return group;
    else return (group / 2) % 4 + group % 2 * 4 + group / 8 * 8;
  }

  const SmallProduct<T>& p_;
  int from_, end_, first_row_, first_column_;
  Part a_, b_;
  T sum_[Each][Each] = {};
  T a_sum_[Each] = {};
  T bias_[kColumns];
  unsigned zeros_ = 0;  // the elements that the zero mask sets to 0
};

template <int Tile, int Chunk, int Each, class T>
__global__ void __launch_bounds__(kThreads)
    small_product_kernel(const __grid_constant__ SmallProducts<T> list) {
  const int block = static_cast<int>(blockIdx.x);
  const bool second = block >= list.second_from;
  SmallTile<Tile, Chunk, Each, T> tile(list.product[second],
                                       second ? block - list.second_from : block);
  await_previous();
  tile.run();
}

/// Computes one product, whose k is divided among `splits` adjacent blocks for each tile, `each`
/// for a block. Partials: kTileSums for each block. Tickets: one for each tile, 0 between kernels.
template <int Tile, int Chunk, int Each, class T>
__global__ void __launch_bounds__(kThreads)
    split_product_kernel(const __grid_constant__ SmallProduct<T> product, int splits, int each,
                         T* partials, unsigned* tickets) {
  const int at = static_cast<int>(blockIdx.x) / splits;
  const int part = static_cast<int>(blockIdx.x) % splits;
  const int from = part * each, end = from + each < product.k ? from + each : product.k;
  SmallTile<Tile, Chunk, Each, T> tile(product, at, from, end);
  await_previous();
  tile.run_split(part, splits, partials + at * splits * kTileSums<Tile>, tickets + at);
}

}  // namespace ebb::cuda
