// Matrix products of cuBLASLt. Descriptors, and the algorithm that its heuristics choose, are
// cached by shape. Tests at the first use find out what its epilogues do where NVIDIA's documents
// leave it open. Only for .cu files.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "ebb/backends/cuda/cublas_lt.h"
#include "ebb/backends/cuda/relu_mask.h"
#include "ebb/core/dtype.h"

namespace ebb::cuda {

/// One matrix of a batch: `rows` by `columns`, columns `ld` apart.
struct Layout {
  int64_t rows, columns, ld, batch_step;
  bool transposed;  ///< take its transpose
};

/// The properties of a product on which the choice of an algorithm depends. The result has m
/// columns of n elements.
struct ProductKey {
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
  bool operator==(const ProductKey& other) const { return words() == other.words(); }
};

struct ProductKeyHash {
  size_t operator()(const ProductKey& key) const {
    uint64_t hash = 14695981039346656037u;  // FNV-1a of words
    for (int64_t word : key.words()) hash = (hash ^ static_cast<uint64_t>(word)) * 1099511628211u;
    return hash;
  }
};

/// The addresses of the operands of a product. The epilogue reads or writes bias and aux.
struct ProductData {
  const void *first, *second;
  void* out;
  const void* bias = nullptr;
  const void* aux = nullptr;
};

/// Returns true for epilogues that read or write a matrix in addition to the product.
constexpr bool has_aux(int epilogue) {
  return (epilogue & CUBLASLT_EPILOGUE_RELU_AUX & ~CUBLASLT_EPILOGUE_RELU) != 0;
}

/// The behavior of epilogues for values at which conventions differ, as tests on this device found
/// it. Epilogues whose member is false are not used.
struct EpilogueConventions {
  bool relu_keeps_nan = true;  ///< RELU returns NaN for NaN
  bool relu_mask = true;       ///< RELU_AUX writes the mask of relu_mask.h
  bool zero_mask = false;      ///< DRELU exists, and applies such a mask
  bool gelu = true;            ///< GELU is as accurate as its product
};

/// The handle of the library, its workspace and all plans. Never destroyed.
class Products {
 public:
  /// Waits for the device.
  Products();

  /// Runs the product. Returns false if cuBLASLt has no algorithm with this epilogue. Throws Error
  /// if it has none without an epilogue.
  bool run(const ProductKey& key, const ProductData& data);

  /// Returns the conventions of products in f32, or with operands rounded to TF32. The first call
  /// for each runs tests and waits for the device.
  const EpilogueConventions& conventions(bool tf32);

 private:
  struct Plan {
    cublasLtMatmulDesc_t product = nullptr;
    cublasLtMatrixLayout_t first = nullptr, second = nullptr, out = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
    bool exists = false;
  };
  Plan& plan_for(const ProductKey& key, const ProductData& data);
  void choose(const ProductKey& key, Plan& plan);

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  EpilogueConventions conventions_[2];
  bool tried_[2] = {};
  std::mutex mutex_;
  std::unordered_map<ProductKey, Plan, ProductKeyHash> plans_;
};

/// Returns the object, which the first call creates.
Products& products();

/// Creates the object and tests the epilogues. Waits for the device.
void prepare_products();

/// Tests the epilogues, for conventions() (epilogue_conventions.cu). Waits for the device.
EpilogueConventions try_epilogues(Products& products, bool tf32);

}  // namespace ebb::cuda
