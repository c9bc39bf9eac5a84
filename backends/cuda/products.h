// Matrix products as cuBLASLt takes them: descriptors and the algorithm that its heuristics choose are kept by shape.
// And what its epilogues do where NVIDIA's documents leave it open. For .cu files alone.
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

/// What a product looks like, all that the choice of an algorithm depends on. It gives m columns of n.
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
    uint64_t hash = 14695981039346656037u;  // FNV-1a over words
    for (int64_t word : key.words()) hash = (hash ^ static_cast<uint64_t>(word)) * 1099511628211u;
    return hash;
  }
};

/// Where a product finds its operands; bias and aux are what the epilogue reads or writes.
struct ProductData {
  const void *first, *second;
  void* out;
  const void* bias = nullptr;
  const void* aux = nullptr;
};

/// Epilogues that read or write more than the product and a vector.
constexpr bool has_aux(int epilogue) {
  return (epilogue & CUBLASLT_EPILOGUE_RELU_AUX & ~CUBLASLT_EPILOGUE_RELU) != 0;
}

/// What epilogues do with values at which conventions differ, as tried on this device. What is false is not used.
struct EpilogueConventions {
  bool relu_keeps_nan = true;  ///< RELU gives NaN for NaN
  bool relu_mask = true;       ///< RELU_AUX writes the mask of relu_mask.h
  bool zero_mask = false;      ///< DRELU exists, and applies such a mask
  bool gelu = true;            ///< GELU is as exact as its product
};

/// The library's handle, its workspace and all plans. Never destroyed.
class Products {
 public:
  /// Waits for the device.
  Products();

  /// False where cuBLAS has no algorithm with this epilogue; an error where it has none at all.
  bool run(const ProductKey& key, const ProductData& data);

  /// Of products in f32, or with operands rounded to TF32. The first call for each tries them: it waits for the device.
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

/// Made at the first call.
Products& products();

/// Makes what products need once, and tries their epilogues. Waits for the device.
void prepare_products();

/// What conventions() keeps (epilogue_conventions.cu). Waits for the device.
EpilogueConventions try_epilogues(Products& products, bool tf32);

}  // namespace ebb::cuda
