#include "ebb/backends/cuda/small_products.h"

#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/small_product.h"

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
          .a_row = a.strides()[1],
          .a_k = a.strides()[2],
          .b_k = b.strides()[1],
          .b_column = b.strides()[2],
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

template <int Tile, int Chunk, class T> void launch_tiles(SmallProducts<T>& list, bool two) {
  const auto tiles = [&](int i) {
    const SmallProduct<T>& p = list.product[i];
    return small_tiles(p.m, Tile) * small_tiles(p.n, Tile);
  };
  list.second_from = tiles(0);
  const int blocks = list.second_from + (two ? tiles(1) : 0);
  launch_early(small_product_kernel<Tile, Chunk, T>, dim3(static_cast<unsigned>(blocks)), kThreads,
               list);
}

int64_t tiles_of(int64_t m, int64_t n) { return ((m + 15) / 16) * ((n + 15) / 16); }

template <class T> void run(const MatmulArgs& first, const MatmulArgs* second) {
  SmallProducts<T> list{};
  list.product[0] = arguments<T>(first);
  if (second) list.product[1] = arguments<T>(*second);
  int64_t k = 0, tiles = 0;
  for (const SmallProduct<T>& p : list.product) {
    k = std::max<int64_t>(k, p.k);
    tiles += tiles_of(p.m, p.n);
  }
  const bool two = second != nullptr;
  // Tiles of 16 if there are at most two per multiprocessor, otherwise larger ones. Long chunks if
  // k is long.
  if (tiles > int64_t{context().multiprocessors} * 2) return launch_tiles<32, 64>(list, two);
  if constexpr (std::is_same_v<T, float>) {
    if (k > 192) return launch_tiles<16, 256>(list, two);
  }
  launch_tiles<16, 64>(list, two);
}

}  // namespace

bool use_small_products(bool use) { return std::exchange(use_small, use); }

// Measured on an H100 in CUDA graphs: within these limits cuBLASLt takes 1.1 to 2.7 times as long.
bool is_small_product(int64_t m, int64_t n, int64_t k) {
  const int64_t tiles = tiles_of(m, n);
  return tiles <= 512 && k <= 512 && tiles * k <= 32768;
}

bool takes_small_product(const MatmulArgs& args) {
  return use_small && args.a->shape()[0] == 1 && args.out->numel() > 0 &&
         is_small_product(args.a->shape()[1], args.b->shape()[2], args.a->shape()[2]);
}

void small_products(const MatmulArgs& first, const MatmulArgs* second) {
  dispatch_floating(first.out->dtype(), [&]<class T>(T) { run<T>(first, second); });
}

}  // namespace ebb::cuda
