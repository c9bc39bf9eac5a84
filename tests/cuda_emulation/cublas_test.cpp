// Compares products, layouts and epilogues with plain sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "cublasLt.h"
#include "cublas_v2.h"
#include "emulation.h"
#include "test_support.h"

namespace {

using ebb::emulation::Device;
using ebb::emulation::Stream;

template <typename T> std::vector<T> numbers(std::size_t count, int salt) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(static_cast<int>((i * 7 + salt) % 11) - 5);
  return values;
}

// Element (i, j) of a column-major matrix, transposed or not.
template <typename T>
T at(const std::vector<T>& matrix, int ld, bool transposed, int i, int j, int offset = 0) {
  return matrix[offset + (transposed ? j + i * ld : i + j * ld)];
}

constexpr int kM = 5, kN = 4, kK = 3, kLd = 7;

template <typename T, typename Gemm> void check_gemm(Gemm gemm) {
  cublasHandle_t handle;
  ASSERT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
  const auto a = numbers<T>(2 * kLd * kLd, 1), b = numbers<T>(2 * kLd * kLd, 2),
             c = numbers<T>(2 * kLd * kLd, 3);
  const Device<T> da(a), db(b);
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      for (const T beta : {T(0), T(2)}) {
        std::vector<T> start = c;
        if (beta == 0) start.assign(start.size(), static_cast<T>(NAN));  // must not be read
        const Device<T> dc(start);
        const T alpha = 3;
        ASSERT_EQ(gemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, kM,
                       kN, kK, &alpha, da.data(), kLd, kLd * kLd, db.data(), kLd, kLd * kLd, &beta,
                       dc.data(), kLd, kLd * kLd, 2),
                  CUBLAS_STATUS_SUCCESS);
        const std::vector<T> result = dc.values();
        for (int batch = 0; batch < 2; ++batch) {
          const int offset = batch * kLd * kLd;
          for (int j = 0; j < kN; ++j) {
            for (int i = 0; i < kM; ++i) {
              T expected = beta == 0 ? T(0) : beta * at(c, kLd, false, i, j, offset);
              for (int p = 0; p < kK; ++p) {
                expected += alpha * at(a, kLd, ta, i, p, offset) * at(b, kLd, tb, p, j, offset);
              }
              EXPECT_EQ(at(result, kLd, false, i, j, offset), expected);
            }
          }
          // The rows between m and the leading dimension must not change.
          const T between = result[offset + kM], was = start[offset + kM];
          EXPECT_TRUE(between == was || (std::isnan(between) && std::isnan(was)));
        }
      }
    }
  }
  const T one = 1;
  const auto refused = [&](int lda, int ldb, int ldc) {
    return gemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, kM, kN, kK, &one, da.data(), lda, 0, db.data(),
                ldb, 0, &one, const_cast<T*>(da.data()), ldc, 0, 1);
  };
  EXPECT_EQ(refused(kM - 1, kK, kM), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(refused(kM, kK - 1, kM), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(refused(kM, kK, kM - 1), CUBLAS_STATUS_INVALID_VALUE);
  cublasDestroy(handle);
}

TEST(cuda_emulation, gemm_f32) { check_gemm<float>(cublasSgemmStridedBatched); }
TEST(cuda_emulation, gemm_f64) { check_gemm<double>(cublasDgemmStridedBatched); }

// ---- cublasLt  ----
// A product of f32 matrices without gaps, with everything that an epilogue reads or writes.
struct Matmul {
  bool ta = false, tb = false;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::int64_t aux_ld = 128;
  int m = kM, n = kN, k = kK;
  std::int64_t lda = ta ? k : m, ldb = tb ? n : k, ldd = m;
  cudaDataType type = CUDA_R_32F;
  std::size_t offset_a = 0;  // in elements
  cudaStream_t stream = nullptr;

  std::vector<float> a = numbers<float>(64, 1), b = numbers<float>(64, 2),
                     c = numbers<float>(64, 3);
  std::vector<float> bias = {9, -8, 7, -6, 5};
  // The mask of ReLU, or the input of GELU.
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(4 * 128 / 8, 0xa5);
  std::vector<float> d = {};

  cublasStatus_t run() {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t la, lb, ld;
    cublasLtMatmulPreference_t preference;
    const Device<float> da(a), db(b), dc(c), dd(64), dbias(bias);
    const Device<std::uint8_t> dmask(mask);
    cublasLtCreate(&handle);
    const bool f64 = type == CUDA_R_64F;
    cublasLtMatmulDescCreate(&desc, f64 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, type);
    const auto attribute = [&](cublasLtMatmulDescAttributes_t name, auto value) {
      EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, name, &value, sizeof(value)),
                CUBLAS_STATUS_SUCCESS);
    };
    attribute(CUBLASLT_MATMUL_DESC_TRANSA, ta ? CUBLAS_OP_T : CUBLAS_OP_N);
    attribute(CUBLASLT_MATMUL_DESC_TRANSB, tb ? CUBLAS_OP_T : CUBLAS_OP_N);
    attribute(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    attribute(CUBLASLT_MATMUL_DESC_BIAS_POINTER, dbias.data());
    attribute(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, dmask.data());
    attribute(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, aux_ld);
    EXPECT_EQ(
        cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &aux_ld, 4),
        CUBLAS_STATUS_INVALID_VALUE);
    cublasLtMatrixLayoutCreate(&la, type, ta ? k : m, ta ? m : k, lda);
    cublasLtMatrixLayoutCreate(&lb, type, tb ? n : k, tb ? k : n, ldb);
    cublasLtMatrixLayoutCreate(&ld, type, m, n, ldd);
    cublasLtMatmulPreferenceCreate(&preference);
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, desc, la, lb, ld, ld, preference, 1, &found, &count);
    EXPECT_EQ(count, status == CUBLAS_STATUS_SUCCESS ? 1 : 0);
    const float alpha = 2, beta = 1;
    if (status == CUBLAS_STATUS_SUCCESS) {
      status = cublasLtMatmul(handle, desc, &alpha, da.data() + offset_a, la, db.data(), lb, &beta,
                              dc.data(), ld, dd.data(), ld, &found.algo, nullptr, 0, stream);
    }
    d = dd.values();
    bias = dbias.values();
    mask = dmask.values();
    cublasLtMatmulPreferenceDestroy(preference);
    for (cublasLtMatrixLayout_t layout : {la, lb, ld}) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(desc);
    cublasLtDestroy(handle);
    return status;
  }

  float sum(int i, int j) const {
    float sum = at(c, m, false, i, j);
    for (int p = 0; p < k; ++p) {
      sum += 2 * at(a, static_cast<int>(lda), ta, i, p) * at(b, static_cast<int>(ldb), tb, p, j);
    }
    return sum;
  }
  float gelu_input(int i, int j) const {
    float value;
    std::memcpy(&value, mask.data() + (j * aux_ld + i) * 4, 4);
    return value;
  }
  bool bit(int i, int j) const { return mask[(j * aux_ld + i) / 8] >> (i % 8) & 1; }
};

TEST(cuda_emulation, lt_forward_epilogues) {
  for (const auto epilogue :
       {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU,
        CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_RELU_AUX, CUBLASLT_EPILOGUE_RELU_AUX_BIAS}) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        Matmul product{.ta = ta, .tb = tb, .epilogue = static_cast<std::uint32_t>(epilogue)};
        ASSERT_EQ(product.run(), CUBLAS_STATUS_SUCCESS);
        for (int j = 0; j < kN; ++j) {
          for (int i = 0; i < kM; ++i) {
            float expected = product.sum(i, j);
            if (epilogue & 4) expected += product.bias[i];
            if (epilogue & 128) {
              EXPECT_EQ(product.bit(i, j), expected > 0);
            }
            if (epilogue & 2) expected = std::max(expected, 0.0f);
            EXPECT_EQ(at(product.d, kM, false, i, j), expected) << "epilogue " << epilogue;
          }
        }
      }
    }
  }
}

TEST(cuda_emulation, lt_gelu_epilogues) {
  for (const auto epilogue : {CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS,
                              CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_AUX_BIAS}) {
    Matmul product{.epilogue = static_cast<std::uint32_t>(epilogue), .aux_ld = 8};
    product.mask.resize(static_cast<std::size_t>(kN) * 8 * sizeof(float));
    ASSERT_EQ(product.run(), CUBLAS_STATUS_SUCCESS);
    for (int j = 0; j < kN; ++j) {
      for (int i = 0; i < kM; ++i) {
        const float x = product.sum(i, j) + (epilogue & 4 ? product.bias[i] : 0);
        if (epilogue & 128) {
          EXPECT_EQ(product.gelu_input(i, j), x);
        }
        const double u = std::sqrt(2 / 3.14159265358979324) * (x + 0.044715 * std::pow(x, 3));
        EXPECT_NEAR(at(product.d, kM, false, i, j), x / 2 * (1 + std::tanh(u)), 1e-6 * std::fabs(x))
            << x;
      }
    }
  }
}

TEST(cuda_emulation, lt_gradient_epilogues) {
  for (const auto epilogue : {CUBLASLT_EPILOGUE_DRELU, CUBLASLT_EPILOGUE_DRELU_BGRAD,
                              CUBLASLT_EPILOGUE_BGRADA, CUBLASLT_EPILOGUE_BGRADB}) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        SCOPED_TRACE("epilogue " + std::to_string(epilogue) + " " + std::to_string(ta) +
                     std::to_string(tb));
        Matmul product{.ta = ta, .tb = tb, .epilogue = static_cast<std::uint32_t>(epilogue)};
        std::vector<float> bias = product.bias;
        ASSERT_EQ(product.run(), CUBLAS_STATUS_SUCCESS);
        const bool masked = (epilogue & 128) != 0;
        if (epilogue != CUBLASLT_EPILOGUE_DRELU)
          std::fill_n(bias.begin(), epilogue == CUBLASLT_EPILOGUE_BGRADB ? kN : kM, 0.0f);
        for (int j = 0; j < kN; ++j) {
          for (int i = 0; i < kM; ++i) {
            const float expected = !masked || product.bit(i, j) ? product.sum(i, j) : 0.0f;
            EXPECT_EQ(at(product.d, kM, false, i, j), expected);
            if (epilogue == CUBLASLT_EPILOGUE_DRELU_BGRAD) bias[i] += expected;
          }
        }
        for (int p = 0; p < kK; ++p) {
          for (int i = 0; i < kM && epilogue == CUBLASLT_EPILOGUE_BGRADA; ++i) {
            bias[i] += at(product.a, static_cast<int>(product.lda), ta, i, p);
          }
          for (int j = 0; j < kN && epilogue == CUBLASLT_EPILOGUE_BGRADB; ++j) {
            bias[j] += at(product.b, static_cast<int>(product.ldb), tb, p, j);
          }
        }
        EXPECT_EQ(product.bias, bias);
      }
    }
  }
}

TEST(cuda_emulation, lt_refusals) {
  EXPECT_EQ(Matmul{.lda = kM - 1}.run(), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Matmul{.ldb = kK - 1}.run(), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Matmul{.ldd = kM - 1}.run(), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ((Matmul{.epilogue = CUBLASLT_EPILOGUE_RELU_AUX, .aux_ld = 64}.run()),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ((Matmul{.epilogue = CUBLASLT_EPILOGUE_GELU_AUX, .aux_ld = 12}.run()),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Matmul{.epilogue = CUBLASLT_EPILOGUE_DGELU}.run(), CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ((Matmul{.epilogue = CUBLASLT_EPILOGUE_BIAS, .type = CUDA_R_64F}.run()),
            CUBLAS_STATUS_NOT_SUPPORTED);
  // The call promises an alignment of 16 bytes.
  EXPECT_EQ(Matmul{.offset_a = 1}.run(), CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST(cuda_emulation, products_are_captured_with_their_scalars) {
  const Stream stream;
  const Device<float> x(std::vector<float>{3}), y(std::vector<float>{0});
  cublasHandle_t handle;
  cublasCreate(&handle);
  cublasSetStream(handle, stream);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  {
    float alpha = 2, beta = 1;
    ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &alpha, x.data(), 1, x.data(),
                          1, &beta, y.data(), 1),
              CUBLAS_STATUS_SUCCESS);
    alpha = beta = 1000;
  }
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
  EXPECT_EQ(y.values()[0], 0.0f);
  cudaGraphLaunch(executable, stream);
  cudaGraphLaunch(executable, stream);
  EXPECT_EQ(y.values()[0], 36.0f);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cublasDestroy(handle);
}

}  // namespace
