// Products through cuBLASLt, with bias, bias + ReLU and the bias gradient in its epilogues; f64, where it has none,
// with a kernel after it. Descriptors and the algorithm that the heuristics choose are kept by shape.
//
// cuBLAS thinks in columns: out (m, n) row by row is its D (n, m), so it is asked for D = B^T A^T, with our b as its
// first operand. A matrix whose rows or columns are contiguous is taken as it lies; others are copied first.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/products.h"
#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/cuda.h"
#include "ebb/core/scalar.h"

namespace ebb::cuda {
namespace {

constexpr size_t kWorkspace = size_t{32} << 20;  // what cuBLAS recommends for Hopper

bool tf32 = false;

void check_blas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) fail("cuda", what, ": ", cublasLtGetStatusString(status));
}

// One matrix of a batch as cuBLAS takes it: `rows` by `columns`, columns `ld` apart.
struct Layout {
  int64_t rows, columns, ld, batch_step;
  bool transposed;  // take its transpose
};

// What a product looks like, all that the choice of an algorithm depends on.
struct Key {
  Layout first{}, second{};
  int64_t m, n, k, batch, alignment = 0;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  DType dtype;
  bool tf32 = false;

  std::array<int64_t, 18> words() const {
    return {first.rows,
            first.columns,
            first.ld,
            first.batch_step,
            first.transposed,
            second.rows,
            second.columns,
            second.ld,
            second.batch_step,
            second.transposed,
            m,
            n,
            k,
            batch,
            alignment,
            epilogue,
            static_cast<int64_t>(dtype),
            tf32};
  }
  bool operator==(const Key& other) const { return words() == other.words(); }
};

struct KeyHash {
  size_t operator()(const Key& key) const {
    uint64_t hash = 14695981039346656037u;  // FNV-1a over words
    for (int64_t word : key.words()) hash = (hash ^ static_cast<uint64_t>(word)) * 1099511628211u;
    return hash;
  }
};

struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t first = nullptr, second = nullptr, out = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  bool exists = false;
};

template <class V> void set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t what, const V& value) {
  check_blas(cublasLtMatmulDescSetAttribute(product, what, &value, sizeof(V)), "cublasLtMatmulDescSetAttribute");
}

cublasLtMatrixLayout_t make_layout(cudaDataType_t type, const Layout& l, int64_t batch) {
  cublasLtMatrixLayout_t made = nullptr;
  check_blas(
      cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(l.rows), static_cast<uint64_t>(l.columns), l.ld),
      "cublasLtMatrixLayoutCreate");
  const auto count = static_cast<int32_t>(batch);
  check_blas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)),
             "cublasLtMatrixLayoutSetAttribute");
  check_blas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &l.batch_step,
                                              sizeof(l.batch_step)),
             "cublasLtMatrixLayoutSetAttribute");
  return made;
}

// The library's handle, its workspace and all plans. Never destroyed.
class Products {
 public:
  Products() {
    check_blas(cublasLtCreate(&handle_), "cublasLtCreate");
    check(cudaMalloc(&workspace_, kWorkspace), "cudaMalloc");
    for (const bool tf32 : {false, true}) relu_keeps_nan_[tf32] = try_relu(tf32);
  }

  // Whether the ReLU epilogue keeps NaN, as ours does. NVIDIA documents it as max(x, 0) and says nothing of NaN, so it
  // is tried once; where it does not, a kernel of our own follows the product.
  bool relu_keeps_nan(bool tf32) const { return relu_keeps_nan_[tf32]; }

  // False where cuBLAS has no algorithm with this epilogue; an error where it has none at all.
  bool run(const Key& key, const void* first, const void* second, void* out, const void* bias) {
    const std::lock_guard lock(mutex_);
    const Plan& plan = plan_for(key, bias);
    if (!plan.exists) return false;
    if (bias) set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    const double one = 1, zero = 0;
    const float one_f = 1, zero_f = 0;
    const bool wide = key.dtype == DType::F64;
    check_blas(cublasLtMatmul(handle_, plan.product, wide ? static_cast<const void*>(&one) : &one_f, first, plan.first,
                              second, plan.second, wide ? static_cast<const void*>(&zero) : &zero_f, out, plan.out, out,
                              plan.out, &plan.algorithm, workspace_, kWorkspace, context().stream),
               "cublasLtMatmul");
    return true;
  }

 private:
  // A product of NaNs through the epilogues; waits for the device.
  bool try_relu(bool tf32) {
    constexpr int64_t n = 128;
    std::vector<float> host(n * n, std::numeric_limits<float>::quiet_NaN());
    const size_t bytes = host.size() * sizeof(float);
    float *x = nullptr, *y = nullptr;
    check(cudaMalloc(&x, bytes), "cudaMalloc");
    check(cudaMalloc(&y, bytes), "cudaMalloc");
    const cudaStream_t stream = context().stream;
    check(cudaMemcpyAsync(x, host.data(), bytes, cudaMemcpyHostToDevice, stream), "copy");
    const Layout square{n, n, n, 0, false};
    bool keeps = true;
    for (const cublasLtEpilogue_t epilogue : {CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU_BIAS}) {
      const Key key{square, square, n, n, n, 1, 256, epilogue, DType::F32, tf32};
      if (!run(key, x, x, y, x)) continue;  // that there is none, products find themselves
      check(cudaMemcpyAsync(host.data(), y, bytes, cudaMemcpyDeviceToHost, stream), "copy");
      check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
      keeps = keeps && std::all_of(host.begin(), host.end(), [](float v) { return v != v; });
    }
    cudaFree(x);
    cudaFree(y);
    return keeps;
  }

  const Plan& plan_for(const Key& key, const void* bias) {
    const auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    const bool wide = key.dtype == DType::F64;
    const cudaDataType_t type = wide ? CUDA_R_64F : CUDA_R_32F;
    const cublasComputeType_t compute = wide       ? CUBLAS_COMPUTE_64F
                                        : key.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                   : CUBLAS_COMPUTE_32F;
    Plan plan;
    check_blas(cublasLtMatmulDescCreate(&plan.product, compute, type), "cublasLtMatmulDescCreate");
    set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, key.first.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, key.second.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, key.epilogue);
    if (bias) set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);  // its alignment counts in the choice
    plan.first = make_layout(type, key.first, key.batch);
    plan.second = make_layout(type, key.second, key.batch);
    plan.out = make_layout(type, {key.n, key.m, key.n, key.m * key.n, false}, key.batch);
    choose(key, plan);
    return plans_.emplace(key, plan).first->second;
  }

  void choose(const Key& key, Plan& plan) {
    cublasLtMatmulPreference_t preference = nullptr;
    check_blas(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
      check_blas(cublasLtMatmulPreferenceSetAttribute(preference, what, &value, sizeof(value)),
                 "cublasLtMatmulPreferenceSetAttribute");
    };
    const auto alignment = static_cast<uint32_t>(key.alignment);
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kWorkspace});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
    cublasLtMatmulHeuristicResult_t result{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, plan.product, plan.first, plan.second,
                                                                 plan.out, plan.out, preference, 1, &result, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    plan.exists = status == CUBLAS_STATUS_SUCCESS && count > 0;
    if (!plan.exists && key.epilogue == CUBLASLT_EPILOGUE_DEFAULT) {
      fail("cuda", "cuBLAS knows no algorithm for (", key.m, ", ", key.k, ") by (", key.k, ", ", key.n,
           "): ", cublasLtGetStatusString(status));
    }
    plan.algorithm = result.algo;
  }

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  bool relu_keeps_nan_[2] = {};
  std::mutex mutex_;
  std::unordered_map<Key, Plan, KeyHash> plans_;
};

Products& products() {
  static Products* instance = new Products;
  return *instance;
}

// The transpose of x (batch, r, c) as cuBLAS may take it, or false when x has to be copied first.
bool transposed_layout(const Tensor& x, Layout& layout) {
  const int64_t batch = x.shape()[0], r = x.shape()[1], c = x.shape()[2];
  int64_t row = x.strides()[1], column = x.strides()[2];
  if (c == 1) column = row == 1 && r > 1 ? r : 1;  // strides of dims of one element mean nothing
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

// The row sums of a, for f64 and for operands that were no product.
void sum_rows(Tensor& out, const Tensor& a) {
  const int64_t m = a.shape()[1], k = a.shape()[2];
  if (a.strides()[1] == 1 && a.strides()[2] == m) return reduce(ReduceKind::Sum, out, a, {1, k, m});
  Tensor dense = empty(a.shape(), {.dtype = a.dtype(), .device = a.device()});
  copy(dense, a);
  reduce(ReduceKind::Sum, out, dense, {m, k, 1});
}

}  // namespace

void prepare_products() { products(); }
void set_allow_tf32(bool allow) { tf32 = allow; }
bool allow_tf32() { return tf32; }

void matmul(const MatmulArgs& args) {
  Tensor& out = *args.out;
  const int64_t batch = args.a->shape()[0], m = args.a->shape()[1], k = args.a->shape()[2], n = args.b->shape()[2];
  const bool wide = out.dtype() == DType::F64;
  bool bias_left = args.bias != nullptr, relu_left = args.relu, sums_left = args.a_sum != nullptr;
  if (out.numel() > 0 && k > 0) {
    Key key{.m = m, .n = n, .k = k, .batch = batch, .dtype = out.dtype(), .tf32 = tf32 && !wide};
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
    const void* bias = nullptr;
    if (!wide && (!args.bias || is_aligned(args.bias->raw()))) {
      const bool relu = args.relu && products().relu_keeps_nan(key.tf32);
      if (args.bias) bias = args.bias->raw();
      if (relu) key.epilogue = args.bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
      else if (args.bias) key.epilogue = CUBLASLT_EPILOGUE_BIAS;
      if (sums_left) {
        key.epilogue = CUBLASLT_EPILOGUE_BGRADB;
        bias = args.a_sum->raw();
      }
    }
    if (products().run(key, b.raw(), a.raw(), out.raw(), bias)) {
      if (key.epilogue == CUBLASLT_EPILOGUE_BGRADB) sums_left = false;
      if (key.epilogue & CUBLASLT_EPILOGUE_BIAS) bias_left = false;
      if (key.epilogue & CUBLASLT_EPILOGUE_RELU) relu_left = false;
    } else {  // without; what the epilogue would have done, kernels do
      key.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
      products().run(key, b.raw(), a.raw(), out.raw(), nullptr);
    }
  } else if (out.numel() > 0) {
    fill(out, 0);
  }
  if ((bias_left || relu_left) && out.numel() > 0) {
    dispatch_floating(out.dtype(), [&]<class T>(T) {
      launch(bias_kernel<T>, grid_for(out.numel()), kThreads, reinterpret_cast<T*>(out.raw()), out.numel(), n,
             bias_left ? reinterpret_cast<const T*>(args.bias->raw()) : nullptr, relu_left);
    });
  }
  if (sums_left) sum_rows(*args.a_sum, *args.a);
}

}  // namespace ebb::cuda
