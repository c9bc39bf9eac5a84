#include "cublasLt.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "gemm.h"
#include "runtime.h"

struct cublasLtContext {};

struct cublasLtMatmulDescOpaque_t {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  std::int32_t pointers = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transposed_a = CUBLAS_OP_N, transposed_b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  std::int64_t bias_stride = 0;
  std::int32_t bias_type = -1;  // that of D
  void* aux = nullptr;
  std::int64_t aux_ld = 0, aux_stride = 0;
};

struct cublasLtMatrixLayoutOpaque_t {
  std::int32_t type;
  std::uint64_t rows, cols;
  std::int64_t ld;
  std::int32_t order = CUBLASLT_ORDER_COL, batches = 1;
  std::int64_t stride = 0;
};

struct cublasLtMatmulPreferenceOpaque_t {
  std::uint64_t workspace = 0;
  std::uint32_t mode = 0, reductions = ~0u;
  std::uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C and D
};

namespace {

using ebb::emulation::multiply;
using ebb::emulation::Operand;
using Desc = cublasLtMatmulDescOpaque_t;
using Layout = cublasLtMatrixLayoutOpaque_t;

// EBB_EMULATION_EPILOGUES selects a library with other conventions:
//   none     has no algorithm with an epilogue
//   forward  has no algorithm with the epilogue of a gradient
//   refuses  chooses algorithms with epilogues, but does not run them
//   max      ReLU and its mask turn NaN into 0
//   loose    the mask is 1 at 0, and GELU is inaccurate
//   turned   a gradient passes where the mask is 0
std::string_view epilogues_of_this_run() {
  const char* value = std::getenv("EBB_EMULATION_EPILOGUES");
  return value ? value : "";
}

// The epilogues are sums of these.
constexpr unsigned kRelu = 2, kBias = 4, kReluGradient = 8, kBiasGradient = 16, kGelu = 32,
                   kAux = 128;

bool takes_bias(unsigned epilogue) {
  return (epilogue &
          (kBias | kBiasGradient | CUBLASLT_EPILOGUE_BGRADA | CUBLASLT_EPILOGUE_BGRADB)) != 0;
}

template <typename T> cublasStatus_t set(T& field, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

// Returns the error of cublasLtMatmul and of the heuristic for operands that they do not support.
cublasStatus_t check(const Desc& desc, const Layout& a, const Layout& b, const Layout& c,
                     const Layout& d) {
  for (const Layout* l : {&a, &b, &c, &d}) {
    if (l->rows == 0 || l->cols == 0 || l->batches < 1) return CUBLAS_STATUS_INVALID_VALUE;
    if (l->order != CUBLASLT_ORDER_COL || l->type != a.type) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (l->ld < static_cast<std::int64_t>(l->rows) || l->batches != a.batches)
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool ta = desc.transposed_a != CUBLAS_OP_N, tb = desc.transposed_b != CUBLAS_OP_N;
  const std::uint64_t m = ta ? a.cols : a.rows, k = ta ? a.rows : a.cols;
  if ((tb ? b.cols : b.rows) != k || d.rows != m || d.cols != (tb ? b.rows : b.cols) ||
      c.rows != m || c.cols != d.cols) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }

  const bool f64 = a.type == CUDA_R_64F;
  const bool f64_compute =
      desc.compute == CUBLAS_COMPUTE_64F || desc.compute == CUBLAS_COMPUTE_64F_PEDANTIC;
  if ((!f64 && a.type != CUDA_R_32F) || desc.scale != a.type || f64 != f64_compute)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc.bias_type != -1 && desc.bias_type != d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  switch (desc.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT: return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_RELU_AUX:
    case CUBLASLT_EPILOGUE_RELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_DRELU:
    case CUBLASLT_EPILOGUE_DRELU_BGRAD:
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_AUX:
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB: break;
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (f64) return CUBLAS_STATUS_NOT_SUPPORTED;
  const int unit = (desc.epilogue & kGelu) != 0 ? 8 : 128;
  if ((desc.epilogue & kAux) != 0 && (desc.aux_ld < static_cast<std::int64_t>(d.rows) ||
                                      desc.aux_ld % unit != 0 || desc.aux_stride % unit != 0)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

// ReLU's mask has one bit per element, which is 0 where its input was at most 0. Column j starts at
// bit j * ld.
bool bit(const void* mask, std::int64_t at) {
  return static_cast<const std::uint8_t*>(mask)[at / 8] >> (at % 8) & 1;
}
void set_bit(void* mask, std::int64_t at, bool on) {
  std::uint8_t& byte = static_cast<std::uint8_t*>(mask)[at / 8];
  byte = static_cast<std::uint8_t>(on ? byte | 1 << (at % 8) : byte & ~(1 << (at % 8)));
}

template <typename T> struct Product {
  Desc desc;  // copies, because a capture replays this after the caller has destroyed its own
  Layout la, lb, lc, ld;
  const void *a, *b, *c;
  void* d;
  const T *alpha_on_device, *beta_on_device;  // else the two below
  T alpha, beta;

  void operator()() const {
    for (int batch = 0; batch < ld.batches; ++batch) run(batch);
  }

  void run(int batch) const {
    const auto of = [batch](const void* base, const Layout& l) {
      return static_cast<const T*>(base) + batch * l.stride;
    };
    const Operand<T> op_a{of(a, la), la.ld, desc.transposed_a != CUBLAS_OP_N};
    const Operand<T> op_b{of(b, lb), lb.ld, desc.transposed_b != CUBLAS_OP_N};
    const auto m = static_cast<std::int64_t>(ld.rows), n = static_cast<std::int64_t>(ld.cols);
    const auto k = static_cast<std::int64_t>(op_a.transposed ? la.rows : la.cols);
    const T x = alpha_on_device ? *alpha_on_device : alpha,
            y = beta_on_device ? *beta_on_device : beta;
    const unsigned epilogue = desc.epilogue;
    const std::string_view library = epilogues_of_this_run();
    const T* const from = of(c, lc);
    T* const to = static_cast<T*>(d) + batch * ld.stride;
    T* const bias = static_cast<T*>(desc.bias) + (desc.bias ? batch * desc.bias_stride : 0);
    std::vector<double> bias_gradient(epilogue & kBiasGradient ? m : 0);
    multiply(m, n, k, op_a, op_b, [&](std::int64_t i, std::int64_t j, double sum) {
      const std::int64_t aux = batch * desc.aux_stride + j * desc.aux_ld + i;
      double value = x * sum + (y == 0 ? 0.0 : static_cast<double>(y) * from[i + j * lc.ld]);
      if (epilogue & kBias) value += bias[i];
      if (epilogue & kRelu) {
        if (epilogue & kAux) {
          set_bit(desc.aux, aux,
                  library == "max"     ? value > 0
                  : library == "loose" ? !(value < 0)
                                       : !(value <= 0));
        }
        value = library == "max" ? std::fmax(value, 0.0) : value < 0 ? 0 : value;
      }
      if (epilogue & kGelu) {
        if (epilogue & kAux) static_cast<T*>(desc.aux)[aux] = static_cast<T>(value);
        const double u =
            std::tanh(0.79788456080286536 * (value + 0.044715 * value * value * value));
        value *= 0.5 * (1 + (library == "loose" ? static_cast<int>(u * 4096) / 4096.0 : u));
      }
      if (epilogue & kReluGradient) value = bit(desc.aux, aux) != (library == "turned") ? value : 0;
      if (epilogue & kBiasGradient) bias_gradient[i] += value;
      to[i + j * ld.ld] = static_cast<T>(value);
    });
    if (epilogue & kBiasGradient) std::copy(bias_gradient.begin(), bias_gradient.end(), bias);
    if (epilogue == CUBLASLT_EPILOGUE_BGRADA) {
      sum_over_k(
          m, k, [&](auto i, auto p) { return op_a(i, p); }, bias);
    } else if (epilogue == CUBLASLT_EPILOGUE_BGRADB) {
      sum_over_k(
          n, k, [&](auto j, auto p) { return op_b(p, j); }, bias);
    }
  }

  template <typename At>
  static void sum_over_k(std::int64_t count, std::int64_t k, At at, T* sums) {
    for (std::int64_t i = 0; i < count; ++i) {
      double sum = 0;
      for (std::int64_t p = 0; p < k; ++p) sum += at(i, p);
      sums[i] = static_cast<T>(sum);
    }
  }
};

template <typename T>
ebb::emulation::Work product(const Desc& desc, const void* alpha, const void* a, const Layout& la,
                             const void* b, const Layout& lb, const void* beta, const void* c,
                             const Layout& lc, void* d, const Layout& ld) {
  const T *x = static_cast<const T*>(alpha), *y = static_cast<const T*>(beta);
  const bool host = desc.pointers == CUBLASLT_POINTER_MODE_HOST;
  return Product<T>{desc,
                    la,
                    lb,
                    lc,
                    ld,
                    a,
                    b,
                    c,
                    d,
                    host ? nullptr : x,
                    host ? nullptr : y,
                    host ? *x : T{},
                    host ? *y : T{}};
}

}  // namespace

std::size_t cublasLtGetVersion() { return 130000; }
const char* cublasLtGetStatusString(cublasStatus_t status) { return cublasGetStatusString(status); }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *desc = new Desc{.compute = compute, .scale = scale};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE: return set(desc->compute, value, bytes);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE: return set(desc->scale, value, bytes);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE: return set(desc->pointers, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA: return set(desc->transposed_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return set(desc->transposed_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(desc->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: return set(desc->bias_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return set(desc->bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return set(desc->aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return set(desc->aux_ld, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE: return set(desc->aux_stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t cols, std::int64_t ld) {
  *layout = new Layout{.type = type, .rows = rows, .cols = cols, .ld = ld};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE: return set(layout->type, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER: return set(layout->order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS: return set(layout->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS: return set(layout->cols, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD: return set(layout->ld, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(layout->batches, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return set(layout->stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE: return set(preference->mode, value, bytes);
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return set(preference->reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                 value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (requested < 1 || results == nullptr || found == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *found = 0;
  if (const cublasStatus_t status = check(*desc, *a, *b, *c, *d); status != CUBLAS_STATUS_SUCCESS)
    return status;
  const std::string_view library = epilogues_of_this_run();
  if ((library == "none" && desc->epilogue != CUBLASLT_EPILOGUE_DEFAULT) ||
      (library == "forward" &&
       (desc->epilogue & (kReluGradient | CUBLASLT_EPILOGUE_BGRADB)) != 0)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  results[0] = {};
  for (int i = 0; i < 4; ++i) results[0].algo.data[i] = std::min(preference->alignment[i], 16u);
  results[0].wavesCount = 1;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* A, cublasLtMatrixLayout_t a, const void* B,
                              cublasLtMatrixLayout_t b, const void* beta, const void* C,
                              cublasLtMatrixLayout_t c, void* D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cublasStatus_t status = check(*desc, *a, *b, *c, *d); status != CUBLAS_STATUS_SUCCESS)
    return status;
  const void* const matrices[] = {A, B, C, D};
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t alignment = algorithm != nullptr ? algorithm->data[i] : 1;
    if (matrices[i] == nullptr || alignment == 0) return CUBLAS_STATUS_INVALID_VALUE;
    if (reinterpret_cast<std::uintptr_t>(matrices[i]) % alignment != 0)
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (desc->epilogue != CUBLASLT_EPILOGUE_DEFAULT && epilogues_of_this_run() == "refuses") {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (alpha == nullptr || beta == nullptr || (C == D && c->ld != d->ld))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (takes_bias(desc->epilogue) && desc->bias == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if ((desc->epilogue & kAux) != 0 && desc->aux == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const ebb::emulation::Reach reach = ebb::emulation::reach(workspace);
  if (workspace_bytes > reach.bytes && workspace != nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const auto make = a->type == CUDA_R_64F ? product<double> : product<float>;
  const cudaError_t error =
      ebb::emulation::submit(stream, make(*desc, alpha, A, *a, B, *b, beta, C, *c, D, *d));
  if (error != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  ++ebb::emulation::tally().matmuls;
  return CUBLAS_STATUS_SUCCESS;
}
