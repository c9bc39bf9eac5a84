// Convolutions as products of matrices, whose elements are read from the tensors directly: no
// columns are written.
//
// For each group, out (M, N) = a (M, K) b (K, N), with
//
//                    M                N                  K                               a, b
//   forward          output channels  y of all images    taps of an output's kernel      w, x
//   input gradient   input channels   x of all images    taps that reach an input        w, y
//   weight gradient  output channels  taps of an output  y of all images                 y, x
//
// Elements outside of x are 0; in the input gradient, taps that no element of y uses.
//
// A block of 256 threads computes a tile of Rows x Columns, 64 x 64 or 32 x 32 (4 x 4 or 2 x 2 a
// thread), and walks K in chunks of 16 in shared memory; the next chunk is loaded during the
// computation. Divisions are few: the taps of a chunk are found by 16 threads, and an element of y
// or x once for a tile.
// The gradient of w has a long K and few tiles: K is cut into pieces, whose sums are added in order
// afterwards. Accumulators have the tensors' type. Traffic: per tile its part of a and b from the
// cache; out once.
#pragma once

#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/convolution.h"

namespace ebb::cuda {

inline constexpr int kChunk = 16;

/// A convolution as kernels see it. Sizes of images and kernels fit 32 bits; offsets need not.
template <class T> struct ConvolutionProblem {
  const T *x, *w, *y, *bias;
  T* out;
  int channels, height, width, outputs, y_height, y_width, group_channels, group_outputs, kernel[2];
  int stride[2], padding[2], dilation[2], groups;
  int64_t m, n, k;  ///< of each group
  int64_t piece;    ///< of k for a block
  int pieces;

  __device__ int x_plane() const { return height * width; }
  __device__ int y_plane() const { return y_height * y_width; }
  __device__ int window() const { return kernel[0] * kernel[1]; }
};

/// A number of a row-major (image, row, column).
struct Place {
  int64_t image;
  int row, column;
};
__device__ inline Place place_of(int64_t at, int rows, int columns) {
  if (at < INT32_MAX) {  // cheaper divisions
    const unsigned small = static_cast<unsigned>(at), line = small / static_cast<unsigned>(columns);
    const unsigned image = line / static_cast<unsigned>(rows);
    return {image, static_cast<int>(line - image * static_cast<unsigned>(rows)),
            static_cast<int>(small - line * static_cast<unsigned>(columns))};
  }
  const int64_t line = at / columns, image = line / rows;
  return {image, static_cast<int>(line - image * rows), static_cast<int>(at - line * columns)};
}

/// The position of an element of w: its input (or output) channel in the group, its distance from
/// the kernel's first element in x, and for the input gradient its offset for m = 0.
struct Tap {
  int channel, row, column;
  int64_t weight;
};

template <ConvolutionKind kKind, class T, int Rows, int Columns> class ConvolutionTile {
 public:
  // Adjacent threads load adjacent k.
  static constexpr bool kAlongK = kKind == ConvolutionKind::WeightGradient;

  __device__ ConvolutionTile(const ConvolutionProblem<T>& p, int group, int64_t first_row,
                             int64_t first_column, int piece)
      : p_(p),
        group_(group),
        piece_(piece),
        first_row_(first_row),
        first_column_(first_column),
        first_k_(piece * p.piece),
        end_k_(first_k_ + p.piece < p.k ? first_k_ + p.piece : p.k) {
    if constexpr (kAlongK) {
#pragma unroll
      for (int u = 0; u < kLoadsB; ++u)
        columns_[u] = first_column + b_column(u) < p.n ? tap_of(first_column + b_column(u)) : Tap{};
    } else {  // all elements of b that this thread loads are for one column
      const int64_t column = first_column + static_cast<int>(threadIdx.x) % Columns;
      inside_ = column < p.n;
      if (inside_) go_to(column);
    }
  }

  __device__ void run() {
    // Aligned for vectors, and padded so that few threads store to the same bank.
    alignas(32) __shared__ T as[kChunk][Rows + 4], bs[kChunk][Columns + 4];
    __shared__ Tap taps[2][kChunk];  // of the chunk that is loaded next, and of the one behind it
    T a_next[kLoadsA], b_next[kLoadsB];
    const int thread = static_cast<int>(threadIdx.x);
    if constexpr (!kAlongK) {
      if (thread < kChunk) taps[0][thread] = tap_of(first_k_ + thread);
      __syncthreads();
    }
    load(first_k_, taps[0], a_next, b_next);
    int turn = 1;
    for (int64_t k = first_k_; k < end_k_; k += kChunk, turn ^= 1) {
      if (k > first_k_) __syncthreads();  // all threads have read the last chunk
#pragma unroll
      for (int u = 0; u < kLoadsA; ++u) as[a_k()][a_row(u)] = a_next[u];
#pragma unroll
      for (int u = 0; u < kLoadsB; ++u) bs[b_k(u)][b_column(u)] = b_next[u];
      if (!kAlongK && thread < kChunk) taps[turn][thread] = tap_of(k + kChunk + thread);
      __syncthreads();
      if (k + kChunk < end_k_) load(k + kChunk, taps[turn], a_next, b_next);
#pragma unroll
      for (int i = 0; i < kChunk; ++i) multiply(as[i], bs[i]);
    }
    store();
  }

 private:
  static constexpr int kSide = 16;  // threads along a side
  static constexpr int kOwnRows = Rows / kSide, kOwnColumns = Columns / kSide;  // of a thread
  static constexpr int kLoadsA = Rows * kChunk / kThreads, kLoadsB = Columns * kChunk / kThreads;

  // This thread's elements of the tile, in vectors. Adjacent threads own adjacent vectors.
  template <int Own> static constexpr int kVector = Own < 4 ? Own : 4;
  template <int Own> __device__ static int element(int thread, int i) {
    constexpr int v = kVector<Own>;
    return i / v * kSide * v + thread * v + i % v;
  }
  __device__ static int row(int i) {
    return element<kOwnRows>(static_cast<int>(threadIdx.x) / kSide, i);
  }
  __device__ static int column(int j) {
    return element<kOwnColumns>(static_cast<int>(threadIdx.x) % kSide, j);
  }

  // The places of this thread's u-th load in a chunk.
  __device__ static int a_k() { return static_cast<int>(threadIdx.x) % kChunk; }
  __device__ static int a_row(int u) {
    return static_cast<int>(threadIdx.x) / kChunk + u * (kThreads / kChunk);
  }
  __device__ static int b_k(int u) {
    return kAlongK ? a_k() : static_cast<int>(threadIdx.x) / Columns + u * (kThreads / Columns);
  }
  __device__ static int b_column(int u) {
    return kAlongK ? a_row(u) : static_cast<int>(threadIdx.x) % Columns;
  }

  // The tap with number i of an output's kernel, or of an input's.
  __device__ Tap tap_of(int64_t i) const {
    const int window = p_.window(), channel = static_cast<int>(i) / window,
              at = static_cast<int>(i) - channel * window;
    const int row = at / p_.kernel[1], column = at - row * p_.kernel[1];
    Tap tap{channel, row * p_.dilation[0], column * p_.dilation[1], 0};
    if constexpr (kKind == ConvolutionKind::InputGradient) {
      tap.weight = (group_ * p_.group_outputs + channel) * p_.group_channels * window + at;
    }
    return tap;
  }

  // Sets where taps begin to count for element `at` of all images' y, or of x in the input
  // gradient. Returns its image.
  __device__ int64_t go_to(int64_t at) {
    if constexpr (kKind == ConvolutionKind::InputGradient) {
      const Place place = place_of(at, p_.height, p_.width);
      row_ = place.row + p_.padding[0];
      column_ = place.column + p_.padding[1];
      planes_ = p_.y + (place.image * p_.outputs + group_ * p_.group_outputs) * p_.y_plane();
      return place.image;
    } else {
      const Place place = place_of(at, p_.y_height, p_.y_width);
      row_ = place.row * p_.stride[0] - p_.padding[0];
      column_ = place.column * p_.stride[1] - p_.padding[1];
      planes_ = p_.x + (place.image * p_.channels + group_ * p_.group_channels) * p_.x_plane();
      return place.image;
    }
  }

  // The element of x (or y) at a tap from where go_to() went; 0 if there is none.
  __device__ T looked_up(const Tap& tap) const {
    if constexpr (kKind == ConvolutionKind::InputGradient) {
      int row = row_ - tap.row, column = column_ - tap.column;
      if (row < 0 || column < 0) return T(0);
      if (p_.stride[0] > 1 || p_.stride[1] > 1) {
        const int i = row / p_.stride[0], j = column / p_.stride[1];
        if (i * p_.stride[0] != row || j * p_.stride[1] != column) return T(0);
        row = i;
        column = j;
      }
      if (row >= p_.y_height || column >= p_.y_width) return T(0);
      return planes_[int64_t{tap.channel} * p_.y_plane() + row * p_.y_width + column];
    } else {
      const int row = row_ + tap.row, column = column_ + tap.column;
      if (row < 0 || row >= p_.height || column < 0 || column >= p_.width) return T(0);
      return planes_[int64_t{tap.channel} * p_.x_plane() + row * p_.width + column];
    }
  }

  __device__ void load(int64_t k, const Tap* taps, T (&a)[kLoadsA], T (&b)[kLoadsB]) {
    const int64_t own_k = k + a_k();
    const bool has_k = own_k < end_k_;
    if constexpr (kAlongK) {
      const int64_t plane = p_.y_plane();
      const T* y = p_.y;
      if (has_k) {
        const int64_t image = go_to(own_k);
        y += (image * (p_.outputs - 1) + group_ * p_.group_outputs) * plane + own_k;
      }
#pragma unroll
      for (int u = 0; u < kLoadsA; ++u) {
        const int64_t m = first_row_ + a_row(u);
        a[u] = has_k && m < p_.m ? y[m * plane] : T(0);
      }
#pragma unroll
      for (int u = 0; u < kLoadsB; ++u)
        b[u] = has_k && first_column_ + b_column(u) < p_.n ? looked_up(columns_[u]) : T(0);
    } else {
#pragma unroll
      for (int u = 0; u < kLoadsA; ++u) {
        const int64_t m = first_row_ + a_row(u);
        a[u] = has_k && m < p_.m ? w_at(m, own_k, taps[a_k()]) : T(0);
      }
#pragma unroll
      for (int u = 0; u < kLoadsB; ++u)
        b[u] = inside_ && k + b_k(u) < end_k_ ? looked_up(taps[b_k(u)]) : T(0);
    }
  }
  __device__ T w_at(int64_t m, int64_t k, const Tap& tap) const {
    return kKind == ConvolutionKind::Forward ? p_.w[(group_ * p_.group_outputs + m) * p_.k + k]
                                             : p_.w[tap.weight + m * p_.window()];
  }

  // Reads this thread's elements of a row of shared memory, a vector at a time.
  template <int Own> __device__ static void read(const T* shared, int thread, T (&own)[Own]) {
    constexpr int v = kVector<Own>;
#pragma unroll
    for (int i = 0; i < Own; i += v) {
      const auto vector = *reinterpret_cast<const Pack<T, v>*>(shared + element<Own>(thread, i));
#pragma unroll
      for (int j = 0; j < v; ++j) own[i + j] = vector.v[j];
    }
  }
  __device__ void multiply(const T* as, const T* bs) {
    T a[kOwnRows], b[kOwnColumns];
    read(as, static_cast<int>(threadIdx.x) / kSide, a);
    read(bs, static_cast<int>(threadIdx.x) % kSide, b);
#pragma unroll
    for (int i = 0; i < kOwnRows; ++i) {
#pragma unroll
      for (int j = 0; j < kOwnColumns; ++j) sum_[i][j] += a[i] * b[j];
    }
  }

  __device__ void store() const {
#pragma unroll
    for (int j = 0; j < kOwnColumns; ++j) {
      const int64_t n = first_column_ + column(j);
      if (n >= p_.n) continue;
      int64_t at, step;  // of out for m = 0, and from m to m + 1
      if constexpr (kKind == ConvolutionKind::WeightGradient) {
        at = ((int64_t{piece_} * p_.groups + group_) * p_.m) * p_.n + n;
        step = p_.n;
      } else {
        const bool forward = kKind == ConvolutionKind::Forward;
        step = forward ? p_.y_plane() : p_.x_plane();
        const int64_t image = n / step;
        at = (image * (forward ? p_.outputs : p_.channels) + group_ * p_.m) * step + n % step;
      }
#pragma unroll
      for (int i = 0; i < kOwnRows; ++i) {
        const int64_t m = first_row_ + row(i);
        if (m >= p_.m) continue;
        T x = sum_[i][j];
        if (kKind == ConvolutionKind::Forward && p_.bias) x += p_.bias[group_ * p_.m + m];
        p_.out[at + m * step] = x;
      }
    }
  }

  const ConvolutionProblem<T>& p_;
  int64_t group_;
  int piece_;
  int64_t first_row_, first_column_, first_k_, end_k_;
  bool inside_ = false;
  int row_ = 0, column_ = 0;
  const T* planes_ = nullptr;  // of the image, from the group's first channel on
  Tap columns_[kAlongK ? kLoadsB : 1] = {};
  T sum_[kOwnRows][kOwnColumns] = {};
};

template <ConvolutionKind kKind, class T, int Rows, int Columns>
__global__ void __launch_bounds__(kThreads, Rows* Columns > 64 * 128 ? 1 : 2)
    convolution_kernel(const __grid_constant__ ConvolutionProblem<T> p, int64_t tiles) {
  const int64_t rows = (p.m + Rows - 1) / Rows, columns = (p.n + Columns - 1) / Columns;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    if (tile >= gridDim.x) __syncthreads();  // the last tile's reads of shared memory
    int64_t rest = tile;
    const int64_t column = rest % columns;
    rest /= columns;
    const int64_t row = rest % rows;
    rest /= rows;
    ConvolutionTile<kKind, T, Rows, Columns>(p, static_cast<int>(rest % p.groups), row * Rows,
                                             column * Columns, static_cast<int>(rest / p.groups))
        .run();
  }
}

}  // namespace ebb::cuda
