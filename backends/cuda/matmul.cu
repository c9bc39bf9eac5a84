// Products. Small ones use Ebb's own kernels (small_products.h). Others use cuBLASLt, whose
// epilogues compute bias, activation and their gradients. f64 has no epilogues and uses a kernel
// afterwards.
//
// cuBLASLt stores matrices by columns. A row-major out (m, n) is its D (n, m), so it computes D =
// B^T A^T, with b as its first operand. Matrices with contiguous rows or columns are passed
// directly; others are copied first.
#include <algorithm>

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/products.h"
#include "ebb/backends/cuda/runtime.h"
#include "ebb/backends/cuda/small_products.h"
#include "ebb/core/cuda.h"
#include "ebb/core/scalar.h"

namespace ebb::cuda {
namespace {

bool tf32 = false;

// Describes the transpose of x (batch, r, c) for cuBLASLt. Returns false if x must be copied first.
bool transposed_layout(const Tensor& x, Layout& layout) {
  const int64_t batch = x.shape()[0], r = x.shape()[1], c = x.shape()[2];
  int64_t row = x.strides()[1], column = x.strides()[2];
  if (c == 1) column = row == 1 && r > 1 ? r : 1;  // the strides of dims of size 1 are arbitrary
  if (r == 1) row = column == 1 ? c : 1;
  const int64_t step = batch > 1 ? x.strides()[0] : 0;
  if (column == 1 && row >= c) layout = {c, r, row, step, false};
  else if (row == 1 && column >= r) layout = {r, c, column, step, true};
  else return false;
  return true;
}

int64_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  return static_cast<int64_t>(std::min<uintptr_t>(address & -address, 256));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    bias_kernel(T* out, int64_t count, int64_t n, const T* bias, bool relu_after) {
  for (int64_t i = first_item(); i < count; i += item_step()) {
    const T x = bias ? out[i] + bias[i % n] : out[i];
    out[i] = relu_after ? relu(x) : x;
  }
}

// Computes the row sums of a, for f64 and for operands that are not results of products.
void sum_rows(Tensor& out, const Tensor& a) {
  const int64_t m = a.shape()[1], k = a.shape()[2];
  if (a.strides()[1] == 1 && a.strides()[2] == m) return reduce(ReduceKind::Sum, out, a, {1, k, m});
  Tensor dense = a;
  if (!a.is_contiguous()) {
    dense = empty(a.shape(), {.dtype = a.dtype(), .device = a.device()});
    copy(dense, a);
  }
  reduce(ReduceKind::Sum, out, dense, {m, k, 1});
}

// Results with more elements get no mask, because products of cuBLASLt that write or apply a mask
// cost more than a pass over the gradient. On an H100, (1024, 4096) by (4096, 4096) in TF32 takes
// 130 us with a mask and 98 us without; the pass takes 19 us.
constexpr int64_t kMasked = int64_t{1} << 17;
bool wants_mask(const MatmulArgs& args) { return args.relu_mask && args.out->numel() <= kMasked; }

// Returns the epilogue that computes everything, with the optional results of the caller.
cublasLtEpilogue_t fullest_epilogue(const MatmulArgs& args,
                                    const EpilogueConventions& conventions) {
  const bool bias = args.bias != nullptr;
  if (args.zero_mask)
    return conventions.zero_mask ? CUBLASLT_EPILOGUE_DRELU : CUBLASLT_EPILOGUE_DEFAULT;
  if (args.a_sum) return CUBLASLT_EPILOGUE_BGRADB;
  if (wants_mask(args) && conventions.relu_mask)
    return bias ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS : CUBLASLT_EPILOGUE_RELU_AUX;
  // cuBLASLt requires an auxiliary output with rows of a multiple of 8 elements.
  if (args.gelu && conventions.gelu && args.out->size(-1) % 8 == 0) {
    return bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// Returns the epilogue without optional results.
cublasLtEpilogue_t plain_epilogue(const MatmulArgs& args, const EpilogueConventions& conventions) {
  const bool relu = args.relu && conventions.relu_keeps_nan;
  if (args.bias) return relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  return relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

// Runs the product with the largest epilogue for which cuBLASLt has an algorithm. Returns that
// epilogue.
cublasLtEpilogue_t multiply(ProductKey& key, const MatmulArgs& args, const Tensor& a,
                            const Tensor& b) {
  Tensor& out = *args.out;
  if (key.dtype == DType::F32 && (!args.bias || is_aligned(args.bias->raw()))) {
    const EpilogueConventions& conventions = products().conventions(key.tf32);
    for (const cublasLtEpilogue_t epilogue :
         {fullest_epilogue(args, conventions), plain_epilogue(args, conventions)}) {
      if (epilogue == CUBLASLT_EPILOGUE_DEFAULT) continue;
      ProductData data{b.raw(), a.raw(), out.raw(), data_of<void>(args.bias)};
      Tensor made;
      if (epilogue == CUBLASLT_EPILOGUE_BGRADB) {
        data.bias = args.a_sum->raw();
      } else if (epilogue == CUBLASLT_EPILOGUE_DRELU) {
        data.aux = args.zero_mask->raw();
      } else if (epilogue & CUBLASLT_EPILOGUE_GELU) {
        made = empty(out.shape(), {.device = out.device()});
        data.out = made.raw();
        data.aux = out.raw();
      } else if (has_aux(epilogue)) {
        made = empty({key.m, mask_bits(key.n) / 8}, {.dtype = DType::U8, .device = out.device()});
        data.aux = made.raw();
      }
      key.epilogue = epilogue;
      if (!products().run(key, data)) continue;
      if (made.defined()) *(epilogue & CUBLASLT_EPILOGUE_GELU ? args.gelu : args.relu_mask) = made;
      return epilogue;
    }
  }
  key.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  products().run(key, {b.raw(), a.raw(), out.raw()});
  return key.epilogue;
}

}  // namespace

void prepare_products() { products().conventions(false); }
void set_allow_tf32(bool allow) {
  refuse_in_capture("set_allow_tf32");  // it may run tests of products
  tf32 = allow;
  if (!allow || !is_available()) return;
  backend(Device::cuda());  // loads the library
  products().conventions(true);
}
bool allow_tf32() { return tf32; }

void matmul(const MatmulArgs& args) {
  if (takes_small_product(args)) return small_products(args, nullptr);
  Tensor& out = *args.out;
  const int64_t batch = args.a->shape()[0], m = args.a->shape()[1], k = args.a->shape()[2],
                n = args.b->shape()[2];
  if (out.numel() == 0) {
    if (args.a_sum) sum_rows(*args.a_sum, *args.a);
    return;
  }
  int done = CUBLASLT_EPILOGUE_DEFAULT;
  if (k > 0) {
    const bool rounded = tf32 && out.dtype() == DType::F32;
    ProductKey key{.m = m, .n = n, .k = k, .batch = batch, .dtype = out.dtype(), .tf32 = rounded};
    Tensor a = *args.a, b = *args.b;
    const auto fit = [](Tensor& x, Layout& layout) {
      if (transposed_layout(x, layout)) return;
      Tensor dense = empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
      copy(dense, x);
      x = dense;
      transposed_layout(x, layout);
    };
    fit(b, key.first);
    fit(a, key.second);
    key.alignment = std::min(alignment_of(a.raw()), alignment_of(b.raw()));
    done = multiply(key, args, a, b);
  } else {
    fill(out, 0);
  }
  // Kernels compute what the epilogue has not computed.
  const bool bias_left = args.bias && !(done & CUBLASLT_EPILOGUE_BIAS);
  const bool relu_left = args.relu && !(done & CUBLASLT_EPILOGUE_RELU);
  if (bias_left || relu_left) {
    dispatch_floating(out.dtype(), [&]<class T>(T) {
      launch(bias_kernel<T>, grid_for(out.numel()), kThreads, data_of<T>(&out), out.numel(), n,
             bias_left ? data_of<const T>(args.bias) : nullptr, relu_left);
    });
  }
  if (args.zero_mask && done != CUBLASLT_EPILOGUE_DRELU) {
    dispatch_floating(out.dtype(), [&]<class T>(T) {
      launch(zero_mask_kernel<T>, grid_for(out.numel()), kThreads, data_of<T>(&out), out.numel(), n,
             data_of<const uint8_t>(args.zero_mask));
    });
  }
  // If the mask that cuBLASLt writes differs from the one that it applies (on an H100 the bit is 1
  // at 0), a kernel computes the mask from the result.
  if (wants_mask(args) && !args.relu_mask->defined() && out.dtype() == DType::F32 &&
      products().conventions(tf32).zero_mask) {
    *args.relu_mask = empty({m, mask_bits(n) / 8}, {.dtype = DType::U8, .device = out.device()});
    launch(relu_mask_kernel<float>, grid_for(m * mask_bits(n) / 4), kThreads,
           data_of<const float>(&out), m, n, data_of<uint32_t>(args.relu_mask));
  }
  if (args.a_sum && done != CUBLASLT_EPILOGUE_BGRADB) sum_rows(*args.a_sum, *args.a);
}

void matmul_both(const MatmulArgs& first, const MatmulArgs& second) {
  if (takes_small_product(first) && takes_small_product(second) &&
      first.out->dtype() == second.out->dtype())
    return small_products(first, &second);
  matmul(first);
  matmul(second);
}

}  // namespace ebb::cuda
