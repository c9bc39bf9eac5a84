#include "ebb/backends/cuda/small_products.h"

#include <limits>

#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/small_product.h"
#include "ebb/core/cuda.h"

namespace ebb::cuda {
namespace {

bool use_small = true;

template <class T> SmallProduct<T> arguments(const MatmulArgs& args) {
  const Tensor &a = *args.a, &b = *args.b;
  const int64_t m = a.shape()[1], k = a.shape()[2], n = b.shape()[2];
  const TensorOptions like{.dtype = args.out->dtype(), .device = args.out->device()};
  if (args.relu_mask)
    *args.relu_mask = empty({m, mask_bits(n) / 8}, {.dtype = DType::U8, .device = like.device});
  if (args.gelu) *args.gelu = empty(args.out->shape(), like);
  return {.a = data_of<T>(&a),
          .b = data_of<T>(&b),
          .a_row = static_cast<int>(a.strides()[1]),
          .a_k = static_cast<int>(a.strides()[2]),
          .b_k = static_cast<int>(b.strides()[1]),
          .b_column = static_cast<int>(b.strides()[2]),
          .m = static_cast<int>(m),
          .n = static_cast<int>(n),
          .k = static_cast<int>(k),
          .relu = args.relu,
          .bias = data_of<T>(args.bias),
          .out = data_of<T>(args.out),
          .a_sum = data_of<T>(args.a_sum),
          .gelu = data_of<T>(args.gelu),
          .relu_mask = data_of<uint8_t>(args.relu_mask),
          .zero_mask = data_of<uint8_t>(args.zero_mask)};
}

template <int Tile, int Chunk, int Each, class T> void launch_tiles(SmallProducts<T>& list) {
  list.second_from = small_tiles(list.product[0], Tile);
  const int blocks = list.second_from + small_tiles(list.product[1], Tile);
  launch_early(small_product_kernel<Tile, Chunk, Each, T>, dim3(static_cast<unsigned>(blocks)),
               kThreads, list);
}

template <class T> void launch_split(const SmallProduct<T>& product, int splits) {
  constexpr int kTile = 16;
  const int tiles = small_tiles(product, kTile),
            each = (product.k + 4 * splits - 1) / (4 * splits) * 4;
  Tensor partials = empty({int64_t{tiles} * splits * kTileSums<kTile>},
                          {.dtype = dtype_of<T>, .device = Device::cuda()});
  launch_early(split_product_kernel<kTile, 64, 4, T>, dim3(static_cast<unsigned>(tiles * splits)),
               kThreads, product, splits, each, data_of<T>(&partials), context().tile_tickets);
}

int64_t tiles_of(int64_t m, int64_t n) { return ((m + 15) / 16) * ((n + 15) / 16); }

// Returns the number of blocks that share a tile. A block multiplies at least 128 of k. More blocks
// than two per multiprocessor of an H100 make it slower.
int splits_of(int64_t tiles, int k) {
  constexpr int64_t kBlocks = 264;
  if (k <= 256 || tiles > kMaxSplitTiles) return 1;
  return static_cast<int>(std::min<int64_t>((k + 80) / 160, kBlocks / tiles));
}

template <class T> void run(const MatmulArgs& first, const MatmulArgs* second) {
  SmallProducts<T> list{};
  list.product[0] = arguments<T>(first);
  if (second) list.product[1] = arguments<T>(*second);
  int k = 0;
  int64_t tiles = 0;
  for (const SmallProduct<T>& p : list.product) {
    k = std::max(k, p.k);
    tiles += tiles_of(p.m, p.n);
  }
  // Larger tiles if not all blocks of the kernels below would be resident. Those for short k need
  // fewer registers. A thread with more elements reads fewer operands, and k is divided among more
  // groups of threads.
  const int resident = k <= 128 ? 4 : 2;  // blocks per multiprocessor
  if (tiles > int64_t{context().multiprocessors} * resident) return launch_tiles<32, 64, 4>(list);
  if (const int splits = splits_of(tiles, k); !second && splits > 1)
    return launch_split(list.product[0], splits);
  if (k <= 32) return launch_tiles<16, 32, 1>(list);
  if (k <= 128) return launch_tiles<16, 64, 2>(list);
  launch_tiles<16, 64, 4>(list);
}

// The kernels compute offsets in 32 bits, also those of elements beyond the end of a tile.
bool has_small_offsets(const Tensor& x) {
  constexpr int64_t kBeyond = 256;
  const int64_t limit = std::numeric_limits<int>::max();
  int64_t last = 0;
  for (int d = 1; d < 3; ++d) {
    if (x.strides()[d] > limit / 2) return false;
    last += (x.shape()[d] + kBeyond) * x.strides()[d];
  }
  return last <= limit;
}

bool is_small(const MatmulArgs& args) {
  return is_small_product(args.a->shape()[1], args.b->shape()[2], args.a->shape()[2]);
}

// Products with a mask that are as fast on cuBLASLt, which then needs another kernel for the mask.
bool is_small_with_mask(const MatmulArgs& args) {
  const int64_t m = args.a->shape()[1], n = args.b->shape()[2], k = args.a->shape()[2];
  return (args.relu_mask || args.zero_mask) && args.out->dtype() == DType::F32 && !allow_tf32() &&
         k <= 512 && tiles_of(m, n) <= int64_t{context().multiprocessors} * 2;
}

}  // namespace

bool use_small_products(bool use) { return std::exchange(use_small, use); }

// Measured on an H100 in CUDA graphs: within these limits cuBLASLt takes 1.1 to 2.7 times as long.
bool is_small_product(int64_t m, int64_t n, int64_t k) {
  const int64_t tiles = tiles_of(m, n);
  return tiles <= 512 && k <= 1024 && tiles * k <= 32768;
}

bool takes_small_product(const MatmulArgs& args) {
  return use_small && args.a->shape()[0] == 1 && args.out->numel() > 0 &&
         (is_small(args) || is_small_with_mask(args)) && has_small_offsets(*args.a) &&
         has_small_offsets(*args.b);
}

void small_products(const MatmulArgs& first, const MatmulArgs* second) {
  const auto is_short = [](const MatmulArgs& args) {
    return is_small(args) && args.a->shape()[2] <= 512;
  };
  if (second && !(is_short(first) && is_short(*second))) {  // two launches are faster
    small_products(first, nullptr);
    return small_products(*second, nullptr);
  }
  dispatch_floating(first.out->dtype(), [&]<class T>(T) { run<T>(first, second); });
}

}  // namespace ebb::cuda
