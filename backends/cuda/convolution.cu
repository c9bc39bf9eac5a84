// Convolutions: on cuDNN, or on Ebb's own kernels (convolution_tile.h).
#include <utility>

#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/convolution_tile.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/cudnn_convolution.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/core/cuda.h"

namespace ebb::cuda {
namespace {

using Kind = ConvolutionKind;
template <class T> using Problem = ConvolutionProblem<T>;

// out[i] = the sum of parts[piece][i], in order.
template <class Part, class T>
__global__ void __launch_bounds__(kThreads)
    add_pieces_kernel(const Part* parts, T* out, int64_t numel, int64_t pieces) {
  for (int64_t i = first_item(); i < numel; i += item_step()) {
    Part sum = parts[i];
    for (int64_t piece = 1; piece < pieces; ++piece) sum += parts[piece * numel + i];
    out[i] = static_cast<T>(sum);
  }
}

// y[i] += bias[its channel], for (images, outputs, plane) of packs of V elements.
template <int V>
__global__ void __launch_bounds__(kThreads)
    add_bias_kernel(float* y, const float* bias, int64_t packs, int64_t plane, int64_t outputs) {
  for (int64_t i = first_item(); i < packs; i += item_step()) {
    const float b = bias[packs < INT32_MAX  // cheaper divisions
                             ? static_cast<unsigned>(i) / static_cast<unsigned>(plane) %
                                   static_cast<unsigned>(outputs)
                             : i / plane % outputs];
    auto& elements = reinterpret_cast<Pack<float, V>*>(y)[i];
    Pack<float, V> x = elements;
#pragma unroll
    for (int v = 0; v < V; ++v) x.v[v] += b;
    elements = x;
  }
}

// The sums of y (images, outputs, plane) over images and plane, in f64: out (pieces, outputs) from
// `pieces` parts of the places of a channel, each of `length`. A block computes one sum.
template <class T, class Out>
__global__ void __launch_bounds__(kThreads)
    channel_sums_kernel(const T* y, Out* out, int64_t images, int64_t outputs, int64_t plane,
                        int64_t pieces, int64_t length) {
  for (int64_t b = blockIdx.x; b < outputs * pieces; b += gridDim.x) {
    const int64_t output = b % outputs, first = b / outputs * length;
    const int64_t end = first + length < images * plane ? first + length : images * plane;
    double sum = 0;
#pragma unroll 4
    for (int64_t i = first + threadIdx.x; i < end; i += kThreads) {
      const int64_t image = end < INT32_MAX  // cheaper divisions
                                ? static_cast<unsigned>(i) / static_cast<unsigned>(plane)
                                : i / plane;
      sum += static_cast<double>(y[(image * (outputs - 1) + output) * plane + i]);
    }
    sum = block_join<AddUp>(sum);
    if (threadIdx.x == 0) out[b] = static_cast<Out>(sum);
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

// The number of tiles of out (m, n) in all groups and pieces.
template <class T> int64_t tiles_of(const Problem<T>& p, int64_t rows, int64_t columns) {
  return ((p.m + rows - 1) / rows) * ((p.n + columns - 1) / columns) * p.groups * p.pieces;
}

template <Kind kKind, class T, int Rows, int Columns> void launch_tiles(const Problem<T>& p) {
  const int64_t tiles = tiles_of(p, Rows, Columns);
  launch(convolution_kernel<kKind, T, Rows, Columns>, grid_for(tiles, 1), kThreads, p, tiles);
}
template <Kind kKind, class T> void launch_convolution(const Problem<T>& p) {
  if (p.m <= 32 || p.n <= 32) launch_tiles<kKind, T, 32, 32>(p);
  else launch_tiles<kKind, T, 64, 64>(p);
}

template <class T> void weight_gradient(Problem<T> p, const ConvolutionArgs& args) {
  const int64_t tile = std::min(p.m, p.n) <= 32 ? 32 : 64;
  const int64_t tiles = tiles_of(p, tile, tile);
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
    launch(add_pieces_kernel<T, T>, grid_for(numel), kThreads, p.out, out, numel, p.pieces);
  }
}

// Computes the tensor that args.kind names, with the bias, on Ebb's own kernels.
template <class T> void own_convolution(const ConvolutionArgs& args) {
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

template <int V> void add_bias(const Tensor& y, const Tensor& bias) {
  const int64_t packs = y.numel() / V, plane = y.size(2) * y.size(3) / V;
  launch(add_bias_kernel<V>, grid_for(packs), kThreads, data_of<float>(&y),
         data_of<const float>(&bias), packs, plane, y.size(1));
}

template <class T> void channel_sums(const Tensor& y, const Tensor& sums) {
  const int64_t outputs = y.size(1), plane = y.size(2) * y.size(3), places = y.size(0) * plane;
  const int64_t shortest = 2048;  // a piece is worth a block
  const int64_t wanted = int64_t{context().multiprocessors} * 8 / outputs;
  const int64_t length =
      (places - 1) / std::clamp<int64_t>(std::min(wanted, places / shortest), 1, 256) + 1;
  const int64_t pieces = (places - 1) / length + 1;
  const auto run = [&]<class Out>(Out* out) {
    launch(channel_sums_kernel<T, Out>, grid_for(outputs * pieces, 1), kThreads,
           data_of<const T>(&y), out, y.size(0), outputs, plane, pieces, length);
  };
  if (pieces == 1) return run(data_of<T>(&sums));
  const Tensor parts = empty({pieces, outputs}, {.dtype = DType::F64, .device = y.device()});
  run(data_of<double>(&parts));
  launch(add_pieces_kernel<double, T>, grid_for(outputs), kThreads, data_of<const double>(&parts),
         data_of<T>(&sums), outputs, pieces);
}

#ifdef EBB_CUDA_EMULATION
CudnnUse cudnn_use = CudnnUse::All;
#else
CudnnUse cudnn_use = CudnnUse::Faster;
#endif

// cuDNN has few engines for f64, and Ebb's kernels are faster.
bool prefers_cudnn(const ConvolutionArgs& args) {
  return args.x->dtype() == DType::F32 &&
         (cudnn_use == CudnnUse::All ||
          (cudnn_use == CudnnUse::Faster && is_faster_on_cudnn(args)));
}

// Computes everything on cuDNN, except for the sums of y. Returns false if cuDNN does not take the
// problem.
bool run_on_cudnn(const ConvolutionArgs& args) {
  if (!prefers_cudnn(args) || !cudnn_convolution(args)) return false;
  if (!args.bias) return true;
  const Tensor& y = *args.y;
  const bool packs = y.size(2) * y.size(3) % kPack<float> == 0 && is_aligned(y.raw());
  packs ? add_bias<kPack<float>>(y, *args.bias) : add_bias<1>(y, *args.bias);
  return true;
}

class CudaConvolutions final : public ConvolutionKernels {
 public:
  void run(const ConvolutionArgs& args) override {
    const bool done = run_on_cudnn(args);
    dispatch_floating(args.x->dtype(), [&]<class T>(T) {
      if (!done) own_convolution<T>(args);
      if (args.y_sum) channel_sums<T>(*args.y, *args.y_sum);
    });
  }
};

}  // namespace

CudnnUse use_cudnn(CudnnUse use) { return std::exchange(cudnn_use, use); }

bool is_faster_on_cudnn(const ConvolutionArgs& args) {
  const bool grouped = args.geometry.groups > 1;  // tiles of Ebb's kernels have unused rows
  const int64_t products = args.y->numel() * (args.w->numel() / args.w->size(0));
  switch (args.kind) {
    // A call of cuDNN keeps the host busy for longer than a launch, and the bias is a launch more.
    case Kind::Forward: return grouped || products > int64_t{1} << 24;
    case Kind::InputGradient: return grouped || products > int64_t{1} << 22;
    // The fast engines either use tensor cores or add up in no fixed order, except for depthwise
    // convolutions.
    case Kind::WeightGradient:
      return (grouped && args.w->size(1) == 1) || (allow_tf32() && products > int64_t{1} << 26);
  }
  return false;
}

ConvolutionKernels& convolution() {
  static CudaConvolutions instance;
  return instance;
}

}  // namespace ebb::cuda
