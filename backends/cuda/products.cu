#include "ebb/backends/cuda/products.h"

#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/error.h"

namespace ebb::cuda {
namespace {

constexpr size_t kWorkspace = size_t{32} << 20;  // the size that cuBLAS recommends for Hopper

void check_blas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) fail("cuda", what, ": ", cublasLtGetStatusString(status));
}

template <class V>
void set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t what, const V& value) {
  check_blas(cublasLtMatmulDescSetAttribute(product, what, &value, sizeof(V)),
             "cublasLtMatmulDescSetAttribute");
}

void set_pointers(cublasLtMatmulDesc_t product, const ProductData& data) {
  if (data.bias) set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, data.bias);
  if (data.aux) set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, data.aux);
}

cublasLtMatrixLayout_t make_layout(cudaDataType_t type, const Layout& l, int64_t batch) {
  cublasLtMatrixLayout_t made = nullptr;
  check_blas(cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(l.rows),
                                        static_cast<uint64_t>(l.columns), l.ld),
             "cublasLtMatrixLayoutCreate");
  const auto count = static_cast<int32_t>(batch);
  check_blas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                              sizeof(count)),
             "cublasLtMatrixLayoutSetAttribute");
  check_blas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                              &l.batch_step, sizeof(l.batch_step)),
             "cublasLtMatrixLayoutSetAttribute");
  return made;
}

}  // namespace

Products::Products() {
  check_blas(cublasLtCreate(&handle_), "cublasLtCreate");
  check(cudaMalloc(&workspace_, kWorkspace), "cudaMalloc");
}

const EpilogueConventions& Products::conventions(bool tf32) {
  if (!tried_[tf32]) {
    conventions_[tf32] = try_epilogues(*this, tf32);
    tried_[tf32] = true;
  }
  return conventions_[tf32];
}

bool Products::run(const ProductKey& key, const ProductData& data) {
  const std::lock_guard lock(mutex_);
  Plan& plan = plan_for(key, data);
  if (!plan.exists) return false;
  set_pointers(plan.product, data);
  const double one = 1, zero = 0;
  const float one_f = 1, zero_f = 0;
  const bool wide = key.dtype == DType::F64;
  const cublasStatus_t status = cublasLtMatmul(
      handle_, plan.product, wide ? static_cast<const void*>(&one) : &one_f, data.first, plan.first,
      data.second, plan.second, wide ? static_cast<const void*>(&zero) : &zero_f, data.out,
      plan.out, data.out, plan.out, &plan.algorithm, workspace_, kWorkspace, context().stream);
  // The heuristics may choose an algorithm that cuBLASLt then refuses, which counts as no
  // algorithm. Other failures, such as a lost capture, may not occur in the next call.
  const bool refused =
      status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE;
  if (refused && key.epilogue != CUBLASLT_EPILOGUE_DEFAULT) return plan.exists = false;
  check_blas(status, "cublasLtMatmul");
  return true;
}

Products::Plan& Products::plan_for(const ProductKey& key, const ProductData& data) {
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
  if (has_aux(key.epilogue)) {
    const bool gelu = (key.epilogue & CUBLASLT_EPILOGUE_GELU) != 0;
    set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, gelu ? key.n : mask_bits(key.n));
  }
  set_pointers(plan.product, data);  // the choice depends on their alignment
  plan.first = make_layout(type, key.first, key.batch);
  plan.second = make_layout(type, key.second, key.batch);
  plan.out = make_layout(type, {key.n, key.m, key.n, key.m * key.n, false}, key.batch);
  choose(key, plan);
  return plans_.emplace(key, plan).first->second;
}

void Products::choose(const ProductKey& key, Plan& plan) {
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
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_, plan.product, plan.first, plan.second, plan.out,
                                     plan.out, preference, 1, &result, &count);
  cublasLtMatmulPreferenceDestroy(preference);
  plan.exists = status == CUBLAS_STATUS_SUCCESS && count > 0;
  if (!plan.exists && key.epilogue == CUBLASLT_EPILOGUE_DEFAULT) {
    fail("cuda", "cuBLAS knows no algorithm for (", key.m, ", ", key.k, ") by (", key.k, ", ",
         key.n, "): ", cublasLtGetStatusString(status));
  }
  plan.algorithm = result.algo;
}

Products& products() {
  static Products* instance = new Products;
  return *instance;
}

}  // namespace ebb::cuda
