// Convolutions as products of matrices whose elements are looked up where they lie: no columns are
// written.
//
// For each group, out (M, N) = a (M, K) b (K, N), with forward M output channels, N elements of all
// images' y, K taps of an output's kernel; a = w, b from x input gradient M input channels, N
// elements of all images' x, K taps that reach an input; a = w, b from y weight gradient M output
// channels, N taps, K elements of all images' y; a = y, b from x Elements outside of x are 0; in
// the input gradient, taps that no element of y uses.
//
// A block of 256 threads computes a tile of 64 x 64 (or 32 x 32, 4 x 4 or 2 x 2 a thread) and walks
// K in chunks of 16 in shared memory; the next chunk is loaded during the computation. The gradient
// of w has a long K and few tiles: K is cut into pieces, whose sums are added in order afterwards.
// Accumulators have the tensors' type. Traffic: per tile its part of a and b from the cache; out
// once.
#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/core/convolution.h"

namespace ebb::cuda {
namespace {

constexpr int kChunk = 16;

using Kind = ConvolutionKind;

/// A convolution as kernels see it. Sizes of images and kernels fit 32 bits; offsets need not.
template <class T> struct Problem {
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

/// The element of x, or of its gradient's y, for element `at` of the other one and a tap of the
/// kernel; 0 if there is none. channel: its number in x (or y).
template <class T>
__device__ T x_at(const Problem<T>& p, const Place& at, int64_t channel, int tap_row,
                  int tap_column) {
  const int row = at.row * p.stride[0] - p.padding[0] + tap_row * p.dilation[0],
            column = at.column * p.stride[1] - p.padding[1] + tap_column * p.dilation[1];
  if (row < 0 || row >= p.height || column < 0 || column >= p.width) return T(0);
  return p.x[((at.image * p.channels + channel) * p.height + row) * p.width + column];
}
template <class T>
__device__ T y_at(const Problem<T>& p, const Place& at, int64_t channel, int tap_row,
                  int tap_column) {
  const int row = at.row + p.padding[0] - tap_row * p.dilation[0],
            column = at.column + p.padding[1] - tap_column * p.dilation[1];
  if (row < 0 || column < 0 || row % p.stride[0] != 0 || column % p.stride[1] != 0) return T(0);
  const int i = row / p.stride[0], j = column / p.stride[1];
  if (i >= p.y_height || j >= p.y_width) return T(0);
  return p.y[((at.image * p.outputs + channel) * p.y_height + i) * p.y_width + j];
}

template <Kind kKind, class T, int Tile> class ConvolutionTile {
 public:
  static constexpr bool kAlongK =
      kKind == Kind::WeightGradient;  // adjacent threads load adjacent k

  __device__ ConvolutionTile(const Problem<T>& p, int group, int64_t first_row,
                             int64_t first_column, int piece)
      : p_(p),
        group_(group),
        piece_(piece),
        first_row_(first_row),
        first_column_(first_column),
        first_k_(piece * p.piece),
        end_k_(first_k_ + p.piece < p.k ? first_k_ + p.piece : p.k) {
    if constexpr (!kAlongK) {  // all elements of b that this thread loads are for one column
      column_ = first_column + static_cast<int>(threadIdx.x) % Tile;
      if (column_ < p.n)
        at_ = kKind == Kind::Forward ? place_of(column_, p.y_height, p.y_width)
                                     : place_of(column_, p.height, p.width);
    }
  }

  __device__ void run() {
    __shared__ T as[kChunk][Tile + 1], bs[kChunk][Tile + 1];
    T a_next[kLoads], b_next[kLoads];
    load(first_k_, a_next, b_next);
    for (int64_t k = first_k_; k < end_k_; k += kChunk) {
      if (k > first_k_) __syncthreads();  // all threads have read the last chunk
#pragma unroll
      for (int u = 0; u < kLoads; ++u) {
        as[a_k(u)][a_row(u)] = a_next[u];
        bs[b_k(u)][b_column(u)] = b_next[u];
      }
      __syncthreads();
      if (k + kChunk < end_k_) load(k + kChunk, a_next, b_next);
#pragma unroll
      for (int s = 0; s < kChunk; ++s) {
        T a[kOwn], b[kOwn];
#pragma unroll
        for (int i = 0; i < kOwn; ++i) {
          a[i] = as[s][row(i)];
          b[i] = bs[s][column(i)];
        }
#pragma unroll
        for (int i = 0; i < kOwn; ++i) {
#pragma unroll
          for (int j = 0; j < kOwn; ++j) sum_[i][j] += a[i] * b[j];
        }
      }
    }
    store();
  }

 private:
  static constexpr int kSide = 16, kOwn = Tile / kSide;    // threads along a side; elements of each
  static constexpr int kLoads = Tile * kChunk / kThreads;  // of a thread and operand

  __device__ static int row(int i) { return static_cast<int>(threadIdx.x) / kSide + i * kSide; }
  __device__ static int column(int j) { return static_cast<int>(threadIdx.x) % kSide + j * kSide; }

  // The places of this thread's u-th load in a chunk.
  __device__ static int a_k(int) { return static_cast<int>(threadIdx.x) % kChunk; }
  __device__ static int a_row(int u) {
    return static_cast<int>(threadIdx.x) / kChunk + u * (kThreads / kChunk);
  }
  __device__ static int b_k(int u) {
    return kAlongK ? a_k(u) : static_cast<int>(threadIdx.x) / Tile + u * (kThreads / Tile);
  }
  __device__ static int b_column(int u) {
    return kAlongK ? a_row(u) : static_cast<int>(threadIdx.x) % Tile;
  }

  __device__ void load(int64_t k, T (&a)[kLoads], T (&b)[kLoads]) const {
    if constexpr (kAlongK) {
      const int64_t at = k + a_k(0);
      const bool inside = at < end_k_;
      const Place place = inside ? place_of(at, p_.y_height, p_.y_width) : Place{};
      const int plane = p_.y_plane(), window = p_.window();
      const int64_t y = (place.image * p_.outputs + group_ * p_.group_outputs) * plane +
                        place.row * p_.y_width + place.column;
#pragma unroll
      for (int u = 0; u < kLoads; ++u) {
        const int64_t m = first_row_ + a_row(u), n = first_column_ + b_column(u);
        a[u] = inside && m < p_.m ? p_.y[y + m * plane] : T(0);
        b[u] = T(0);
        if (!inside || n >= p_.n) continue;
        const int c = static_cast<int>(n) / window, tap = static_cast<int>(n) % window;
        b[u] =
            x_at(p_, place, group_ * p_.group_channels + c, tap / p_.kernel[1], tap % p_.kernel[1]);
      }
    } else {
#pragma unroll
      for (int u = 0; u < kLoads; ++u) {
        a[u] = w_at(first_row_ + a_row(u), k + a_k(u));
        b[u] = T(0);
        const int64_t at = k + b_k(u);
        if (at >= end_k_ || column_ >= p_.n) continue;
        const int window = p_.window();
        const int c = static_cast<int>(at) / window, tap = static_cast<int>(at) % window;
        const int tap_row = tap / p_.kernel[1], tap_column = tap % p_.kernel[1];
        b[u] = kKind == Kind::Forward
                   ? x_at(p_, at_, group_ * p_.group_channels + c, tap_row, tap_column)
                   : y_at(p_, at_, group_ * p_.group_outputs + c, tap_row, tap_column);
      }
    }
  }
  __device__ T w_at(int64_t m, int64_t k) const {
    if (m >= p_.m || k >= end_k_) return T(0);
    if constexpr (kKind == Kind::Forward) {
      return p_.w[(group_ * p_.group_outputs + m) * p_.k + k];
    } else {
      const int window = p_.window(), o = static_cast<int>(k) / window,
                tap = static_cast<int>(k) % window;
      return p_
          .w[((group_ * p_.group_outputs + int64_t{o}) * p_.group_channels + m) * window + tap];
    }
  }

  __device__ void store() const {
#pragma unroll
    for (int j = 0; j < kOwn; ++j) {
      const int64_t n = first_column_ + column(j);
      if (n >= p_.n) continue;
      int64_t at, step;  // of out for m = 0, and from m to m + 1
      if constexpr (kKind == Kind::WeightGradient) {
        at = ((int64_t{piece_} * p_.groups + group_) * p_.m) * p_.n + n;
        step = p_.n;
      } else {
        const bool forward = kKind == Kind::Forward;
        step = forward ? p_.y_plane() : p_.x_plane();
        const int64_t image = n / step;
        at = (image * (forward ? p_.outputs : p_.channels) + group_ * p_.m) * step + n % step;
      }
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const int64_t m = first_row_ + row(i);
        if (m >= p_.m) continue;
        T x = sum_[i][j];
        if (kKind == Kind::Forward && p_.bias) x += p_.bias[group_ * p_.m + m];
        p_.out[at + m * step] = x;
      }
    }
  }

  const Problem<T>& p_;
  int64_t group_;
  int piece_;
  int64_t first_row_, first_column_, first_k_, end_k_;
  int64_t column_ = 0;
  Place at_{};
  T sum_[kOwn][kOwn] = {};
};

template <Kind kKind, class T, int Tile>
__global__ void __launch_bounds__(kThreads)
    convolution_kernel(const __grid_constant__ Problem<T> p, int64_t tiles) {
  const int64_t rows = (p.m + Tile - 1) / Tile, columns = (p.n + Tile - 1) / Tile;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    if (tile >= gridDim.x) __syncthreads();  // the last tile's reads of shared memory
    int64_t rest = tile;
    const int64_t column = rest % columns;
    rest /= columns;
    const int64_t row = rest % rows;
    rest /= rows;
    ConvolutionTile<kKind, T, Tile>(p, static_cast<int>(rest % p.groups), row * Tile, column * Tile,
                                    static_cast<int>(rest / p.groups))
        .run();
  }
}

// out[i] = the sum of parts[piece][i], in order.
template <class T>
__global__ void __launch_bounds__(kThreads)
    add_pieces_kernel(const T* parts, T* out, int64_t numel, int pieces) {
  for (int64_t i = first_item(); i < numel; i += item_step()) {
    T sum = parts[i];
    for (int piece = 1; piece < pieces; ++piece) sum += parts[piece * numel + i];
    out[i] = sum;
  }
}

// The sums of (images, outputs, plane) over images and plane, in f64: a block for each output.
template <class T>
__global__ void __launch_bounds__(kThreads)
    channel_sums_kernel(const T* y, T* sums, int64_t images, int64_t outputs, int64_t plane) {
  for (int64_t o = blockIdx.x; o < outputs; o += gridDim.x) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < images * plane; i += blockDim.x)
      sum += static_cast<double>(y[(i / plane * outputs + o) * plane + i % plane]);
    sum = block_join<AddUp>(sum);
    if (threadIdx.x == 0) sums[o] = static_cast<T>(sum);
  }
}

template <class T> Problem<T> problem_of(const ConvolutionArgs& args) {
  const Shape &x = args.x->shape(), &w = args.w->shape(), &y = args.y->shape();
  const ConvolutionGeometry& g = args.geometry;
  const auto small = [](int64_t n) {
    if (n > INT32_MAX / 2) fail("convolution", "size ", n, " is too large for the GPU");
    return static_cast<int>(n);
  };
  Problem<T> p{.x = data_of<T>(args.x),
               .w = data_of<T>(args.w),
               .y = data_of<T>(args.y),
               .bias = data_of<T>(args.bias),
               .out = nullptr,
               .channels = small(x[1]),
               .height = small(x[2]),
               .width = small(x[3]),
               .outputs = small(y[1]),
               .y_height = small(y[2]),
               .y_width = small(y[3]),
               .group_channels = small(w[1]),
               .group_outputs = small(w[0] / g.groups),
               .kernel = {small(w[2]), small(w[3])},
               .stride = {small(g.stride[0]), small(g.stride[1])},
               .padding = {small(g.padding[0]), small(g.padding[1])},
               .dilation = {small(g.dilation[0]), small(g.dilation[1])},
               .groups = small(g.groups),
               .m = 0,
               .n = 0,
               .k = 0,
               .piece = 0,
               .pieces = 1};
  // Places in x and y, and taps of an output, are computed in 32 bits.
  for (int i = 0; i < 2; ++i) {
    small(checked_add("convolution", checked_mul("convolution", y[2 + i], g.stride[i]),
                      checked_mul("convolution", w[2 + i], g.dilation[i])) +
          x[2 + i] + g.padding[i]);
  }
  small(x[2] * x[3]);
  small(y[2] * y[3]);
  small(w.numel() / w[0]);
  small(w.numel() / w[1]);
  return p;
}

template <Kind kKind, class T, int Tile> void launch_tiles(const Problem<T>& p) {
  const int64_t tiles = ((p.m + Tile - 1) / Tile) * ((p.n + Tile - 1) / Tile) * p.groups * p.pieces;
  launch(convolution_kernel<kKind, T, Tile>, grid_for(tiles, 1), kThreads, p, tiles);
}
template <Kind kKind, class T> void launch_convolution(const Problem<T>& p) {
  if (p.m <= 32 || p.n <= 32) launch_tiles<kKind, T, 32>(p);
  else launch_tiles<kKind, T, 64>(p);
}

template <class T> void weight_gradient(Problem<T> p, const ConvolutionArgs& args) {
  const int64_t images = args.x->shape()[0], tile = std::min(p.m, p.n) <= 32 ? 32 : 64;
  const int64_t tiles = ((p.m + tile - 1) / tile) * ((p.n + tile - 1) / tile) * p.groups;
  const int64_t shortest = 512;  // a piece is worth a block
  const int64_t wanted = int64_t{context().multiprocessors} * 4 / tiles;
  p.pieces = static_cast<int>(std::clamp<int64_t>(std::min(wanted, p.k / shortest), 1, 256));
  p.piece = (p.k / p.pieces / kChunk + 1) * kChunk;
  p.pieces = static_cast<int>((p.k + p.piece - 1) / p.piece);
  T* out = data_of<T>(args.w);
  const int64_t numel = args.w->numel();
  if (p.pieces == 1) {
    p.out = out;
    launch_convolution<Kind::WeightGradient>(p);
  } else {
    const Tensor parts =
        empty({p.pieces, numel}, {.dtype = args.w->dtype(), .device = args.w->device()});
    p.out = data_of<T>(&parts);
    launch_convolution<Kind::WeightGradient>(p);
    launch(add_pieces_kernel<T>, grid_for(numel), kThreads, p.out, out, numel, p.pieces);
  }
  if (args.y_sum) {
    launch(channel_sums_kernel<T>, grid_for(p.outputs, 1), kThreads, p.y, data_of<T>(args.y_sum),
           images, int64_t{p.outputs}, int64_t{p.y_height} * p.y_width);
  }
}

template <class T> void run_convolution(const ConvolutionArgs& args) {
  Problem<T> p = problem_of<T>(args);
  const int64_t images = args.x->shape()[0], window = int64_t{p.kernel[0]} * p.kernel[1];
  const int64_t y_places = images * p.y_height * p.y_width, x_places = images * p.height * p.width;
  switch (args.kind) {
    case Kind::Forward:
      p.m = p.group_outputs, p.n = y_places, p.k = p.piece = p.group_channels * window;
      p.out = data_of<T>(args.y);
      return launch_convolution<Kind::Forward>(p);
    case Kind::InputGradient:
      p.m = p.group_channels, p.n = x_places, p.k = p.piece = p.group_outputs * window;
      p.out = data_of<T>(args.x);
      return launch_convolution<Kind::InputGradient>(p);
    case Kind::WeightGradient:
      p.m = p.group_outputs, p.n = p.group_channels * window, p.k = y_places;
      return weight_gradient(p, args);
  }
}

class CudaConvolutions final : public ConvolutionKernels {
 public:
  void run(const ConvolutionArgs& args) override {
    dispatch_floating(args.x->dtype(), [&]<class T>(T) { run_convolution<T>(args); });
  }
};

}  // namespace

ConvolutionKernels& convolution() {
  static CudaConvolutions instance;
  return instance;
}

}  // namespace ebb::cuda
