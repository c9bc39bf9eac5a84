// oneDNN's matmul primitive for f32 products.
//
// It uses the matmul primitive instead of dnnl_sgemm, which 3.x deprecates. Both are equally fast
// on layer shapes. Measured with oneDNN 2.6.3 on one core of a Zen 3 (AVX2), GFLOP/s of matmul and
// sgemm: Y = X W^T: 64x128x784 90, 91; 128x512x784 92, 92; 128x512x512 92, 93. dX = dY W:
// 64x784x128 98, 99; 128x784x512 93, 93. dW = dY^T X: 128x784x64 91, 91; 512x784x128 95, 95. A call
// of the primitive costs 0.5 microseconds more than sgemm (0.7 instead of 0.3 on 2x2x2). Only small
// products notice it, and they use Ebb's own kernels (gemm.cpp).
#include "ebb/backends/cpu/onednn.h"

#include <algorithm>
#include <array>
#include <string>

#include "ebb/backends/cpu/onednn_support.h"
#include "ebb/backends/cpu/parallel.h"

namespace ebb::cpu {
namespace {

using dnnl::memory;

/// Everything that a primitive depends on.
struct Key {
  int64_t m, n, k, a_row, a_col, b_row, b_col, c_row, flags, threads;
  bool operator==(const Key&) const = default;
};

constexpr int64_t kAccumulate = 1, kBias = 2;  // bits of Key::flags

dnnl::primitive_attr attributes(int64_t flags) {
  dnnl::post_ops ops;
  if (flags & kAccumulate) ops.append_sum(1.0f);
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

dnnl::matmul::primitive_desc describe(const Key& key, const memory::desc& a, const memory::desc& b,
                                      const memory::desc& bias, const memory::desc& c) {
  const dnnl::primitive_attr attr = attributes(key.flags);
#if DNNL_VERSION_MAJOR >= 3
  return key.flags & kBias ? dnnl::matmul::primitive_desc(onednn::engine(), a, b, bias, c, attr)
                           : dnnl::matmul::primitive_desc(onednn::engine(), a, b, c, attr);
#else
  const dnnl::matmul::desc desc =
      key.flags & kBias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
  return dnnl::matmul::primitive_desc(desc, attr, onednn::engine());
#endif
}

/// A primitive with its memory objects, whose addresses are replaced in each call.
class Product {
 public:
  explicit Product(const Key& key) {
    const auto f32 = memory::data_type::f32;
    const memory::desc a({key.m, key.k}, f32, memory::dims{key.a_row, key.a_col});
    const memory::desc b({key.k, key.n}, f32, memory::dims{key.b_row, key.b_col});
    const memory::desc c({key.m, key.n}, f32, memory::dims{key.c_row, 1});
    const memory::desc bias({1, key.n}, f32, memory::dims{key.n, 1});
    const dnnl::matmul::primitive_desc primitive_desc = describe(key, a, b, bias, c);
    if (std::string(primitive_desc.impl_info_str()).starts_with("ref")) return;
    primitive_ = dnnl::matmul(primitive_desc);
    scratchpad_bytes_ = primitive_desc.scratchpad_desc().get_size();
    add(DNNL_ARG_SRC, a);
    add(DNNL_ARG_WEIGHTS, b);
    add(DNNL_ARG_DST, c);
    if (key.flags & kBias) add(DNNL_ARG_BIAS, bias);
    if (scratchpad_bytes_ > 0) add(DNNL_ARG_SCRATCHPAD, primitive_desc.scratchpad_desc());
  }

  bool usable() const { return count_ > 0; }
  size_t scratchpad_bytes() const { return scratchpad_bytes_; }

  void run(const dnnl::stream& stream, const Gemm<float>& g, void* scratchpad) {
    for (int i = 0; i < count_; ++i)
      memory_[i].set_data_handle(address(args_[i].arg, g, scratchpad));
    onednn::execute(primitive_, stream, count_, args_.data());
  }

 private:
  void add(int arg, const memory::desc& desc) {
    memory_[count_] = memory(desc, onednn::engine(), nullptr);
    args_[count_] = {arg, memory_[count_].get()};
    ++count_;
  }

  static void* address(int arg, const Gemm<float>& g, void* scratchpad) {
    switch (arg) {
      case DNNL_ARG_SRC: return const_cast<float*>(g.a);
      case DNNL_ARG_WEIGHTS: return const_cast<float*>(g.b);
      case DNNL_ARG_BIAS: return const_cast<float*>(g.bias);
      case DNNL_ARG_SCRATCHPAD: return scratchpad;
      default: return g.c;
    }
  }

  dnnl::matmul primitive_;
  std::array<memory, 5> memory_;
  std::array<dnnl_exec_arg_t, 5> args_{};
  int count_ = 0;
  size_t scratchpad_bytes_ = 0;
};

/// Returns true if (rows, cols) with these strides is a row- or column-major matrix.
bool is_plain(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride) {
  return (col_stride == 1 && row_stride >= cols) || (row_stride == 1 && col_stride >= rows);
}

/// Applies relu in a separate pass, because oneDNN's relu post-op turns NaN into 0.
void relu(const Gemm<float>& g) {
  parallel_for(g.m, std::max<int64_t>(1, (1 << 15) / g.n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* const c = g.c + i * g.c_row;
      for (int64_t j = 0; j < g.n; ++j) c[j] = c[j] < 0 ? 0 : c[j];
    }
  });
}

}  // namespace

bool onednn_gemm(const Gemm<float>& g) {
  if (g.m <= 0 || g.n <= 0 || g.k <= 0) return false;
  if (!is_plain(g.m, g.k, g.a_row, g.a_col) || !is_plain(g.k, g.n, g.b_row, g.b_col)) return false;
  // oneDNN 3.7.2 writes outside of a single column whose elements are apart. No op of Ebb makes
  // such a product.
  if (g.c_row < g.n || (g.n == 1 && g.c_row != 1)) return false;
  thread_local onednn::Cache<Key, Product> cache;
  const int64_t flags = (g.accumulate ? kAccumulate : 0) | (g.bias ? kBias : 0);
  Product* product = cache.find(
      {g.m, g.n, g.k, g.a_row, g.a_col, g.b_row, g.b_col, g.c_row, flags, onednn::threads()});
  if (!product) return false;
  product->run(cache.stream(), g, cache.scratchpad(product->scratchpad_bytes()));
  if (g.relu) relu(g);
  return true;
}

const char* onednn_version() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }();
  return text.c_str();
}

}  // namespace ebb::cpu
