// Embeddings: tables of vectors that indices look up, and bags of such vectors.
#pragma once

#include <optional>
#include <string>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct EmbeddingFuncOptions {
  std::optional<int64_t> padding_idx = {};  ///< a row without gradient; negative: from the end
  std::optional<double> max_norm = {};  ///< before the lookup, longer rows are scaled to this norm
  double norm_type = 2;                 ///< the p of that norm
  bool scale_grad_by_freq = false;      ///< divides a row's gradient by how often `input` names it
};

/// Returns the rows of weight that input names: (...) of i64 or u8, (rows, D) -> (..., D).
///
/// Derivative: upstreams of one row are added in the order of input, in dense form; the row of
/// padding_idx gets none. The bits do not depend on the number of threads. With max_norm, the rows
/// that input names are scaled in place, without being recorded, as in torch. Throws Error on an
/// index or padding_idx outside of the rows.
///
///     Tensor y = nn::embedding(tensor({1, 1, 0}), tensor({{1., 2.}, {3., 4.}}));  // (3, 2)
///
/// Composed in embedding.cpp. Test: embedding in rows_embedding.cpp.
Tensor embedding(const TensorArg& input, const Tensor& weight, EmbeddingFuncOptions options = {});

/// How the vectors of a bag become one.
enum class EmbeddingBagMode { Sum, Mean, Max };

struct EmbeddingBagFuncOptions {
  Tensor offsets = {};  ///< (B) i64: where each bag starts in an input of one dim; the first is 0
  std::optional<double> max_norm = {};  ///< as in EmbeddingFuncOptions
  double norm_type = 2;
  bool scale_grad_by_freq = false;  ///< not with Max
  EmbeddingBagMode mode = EmbeddingBagMode::Mean;
  Tensor per_sample_weights = {};    ///< with Sum: a factor for each index, of input's shape
  bool include_last_offset = false;  ///< offsets has (B + 1) elements, of which the last is the end
  std::optional<int64_t> padding_idx = {};  ///< indices that are left out of their bag
};

/// Returns the sum, mean or largest elements of the vectors of each bag: input (B, L) with a bag a
/// row, or (n) with offsets (B); weight (rows, D) -> (B, D). An empty bag gives 0.
///
/// Derivative: that of the sum, mean or, for Max, of the first largest element. Throws Error where
/// shapes do not fit, offsets do not start at 0 or decrease, and an index is outside of the rows.
/// Max with offsets waits for the device.
///
///     Tensor w = tensor({{1., 2.}, {3., 4.}});
///     nn::embedding_bag(tensor({{0, 1}}), w);  // [[2, 3]]
///
/// Composed in embedding.cpp. Test: embedding_bag in rows_embedding.cpp.
Tensor embedding_bag(const TensorArg& input, const Tensor& weight,
                     EmbeddingBagFuncOptions options = {});

struct EmbeddingOptions {
  std::optional<int64_t> padding_idx = {};
  std::optional<double> max_norm = {};
  double norm_type = 2;
  bool scale_grad_by_freq = false;
  DType dtype = DType::F32;
};

/// The options of from_pretrained. freeze: the weight is not trained.
struct EmbeddingFromPretrainedOptions {
  bool freeze = true;
  std::optional<int64_t> padding_idx = {};
  std::optional<double> max_norm = {};
  double norm_type = 2;
  bool scale_grad_by_freq = false;
};

/// A trained table of vectors. Parameter: weight (num_embeddings, embedding_dim), standard normal;
/// the row of padding_idx starts at 0 and keeps its value. Throws Error unless both sizes are at
/// least 1.
///
///     nn::Embedding table(1000, 64);
///     Tensor vectors = table(tokens);  // (N, T) of i64 -> (N, T, 64)
class Embedding : public Layer {
 public:
  Embedding(int64_t num_embeddings, int64_t embedding_dim, EmbeddingOptions options = {});
  /// Returns an embedding whose weight is the given matrix, without a copy.
  static Embedding from_pretrained(const Tensor& weight,
                                   EmbeddingFromPretrainedOptions options = {});
  Tensor forward(const Tensor& input) const override;
  Embedding* operator->() { return this; }
  const Embedding* operator->() const { return this; }
  std::string extra_repr() const override;

  Tensor weight;

 private:
  Embedding(const Tensor& given, const EmbeddingFuncOptions& options);
  EmbeddingFuncOptions options_;
};

struct EmbeddingBagOptions {
  std::optional<double> max_norm = {};
  double norm_type = 2;
  bool scale_grad_by_freq = false;
  EmbeddingBagMode mode = EmbeddingBagMode::Mean;
  bool include_last_offset = false;
  std::optional<int64_t> padding_idx = {};
  DType dtype = DType::F32;
};

/// A trained table of vectors of which bags are taken: embedding_bag(). Parameter: weight
/// (num_embeddings, embedding_dim), standard normal; the row of padding_idx starts at 0.
class EmbeddingBag : public Layer {
 public:
  EmbeddingBag(int64_t num_embeddings, int64_t embedding_dim, EmbeddingBagOptions options = {});
  Tensor forward(const Tensor& input) const override { return forward(input, Tensor()); }
  Tensor forward(const Tensor& input, const Tensor& offsets,
                 const Tensor& per_sample_weights = {}) const;
  using Layer::operator();
  Tensor operator()(const Tensor& input, const Tensor& offsets,
                    const Tensor& per_sample_weights = {}) const {
    return forward(input, offsets, per_sample_weights);
  }
  EmbeddingBag* operator->() { return this; }
  const EmbeddingBag* operator->() const { return this; }
  std::string extra_repr() const override;

  Tensor weight;

 private:
  EmbeddingBagFuncOptions options_;
};

}  // namespace ebb::nn
