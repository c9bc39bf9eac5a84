// Embeddings: tables of vectors that indices look up, and bags of such vectors.
#pragma once

#include <optional>
#include <string>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct EmbeddingFuncOptions {
  std::optional<int64_t> padding_idx = {};  ///< a row without gradient; may be negative
  std::optional<double> max_norm = {};  ///< before the lookup, longer rows are scaled to this norm
  double norm_type = 2;                 ///< the p of that norm
  bool scale_grad_by_freq = false;      ///< divides a row's gradient by its count in input
};

/// Returns the rows of weight (rows, D) whose indices are in input (...) of i64 or u8: (..., D).
///
/// Derivative: a dense gradient of weight, where the upstreams of a row are added in the order of
/// input, and row padding_idx has none. Its bits do not depend on the number of threads. With
/// max_norm, the rows in input are scaled in place and not recorded, as in torch. Throws Error if
/// an index or padding_idx is out of range.
///
///     Tensor y = nn::embedding(tensor({1, 1, 0}), tensor({{1., 2.}, {3., 4.}}));  // (3, 2)
///
/// Composed in embedding.cpp. Test: embedding in rows_embedding.cpp.
Tensor embedding(const TensorArg& input, const Tensor& weight, EmbeddingFuncOptions options = {});

/// The reduction of the vectors of a bag.
enum class EmbeddingBagMode { Sum, Mean, Max };

struct EmbeddingBagFuncOptions {
  Tensor offsets = {};  ///< (B) i64: the start of each bag in an input of one dim; the first is 0
  std::optional<double> max_norm = {};  ///< as in EmbeddingFuncOptions
  double norm_type = 2;
  bool scale_grad_by_freq = false;  ///< not with Max
  EmbeddingBagMode mode = EmbeddingBagMode::Mean;
  Tensor per_sample_weights = {};    ///< a factor for each index, of input's shape; only with Sum
  bool include_last_offset = false;  ///< offsets has (B + 1) elements, of which the last is the end
  std::optional<int64_t> padding_idx = {};  ///< an index that is not part of any bag
};

/// Returns the sum, the mean or the largest elements of the rows of weight (rows, D) in each bag:
/// (B, D). The bags are the rows of input (B, L), or the parts of input (n) that start at offsets
/// (B). The result of an empty bag is 0.
///
/// Derivative: that of the sum, of the mean or, with Max, of the first largest element. Throws
/// Error if shapes do not fit, if offsets do not start at 0 or decrease, or if an index is out of
/// range. Max with offsets waits for the device.
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

/// The options of Embedding::from_pretrained.
struct EmbeddingFromPretrainedOptions {
  bool freeze = true;  ///< does not train the weight
  std::optional<int64_t> padding_idx = {};
  std::optional<double> max_norm = {};
  double norm_type = 2;
  bool scale_grad_by_freq = false;
};

/// A trained table of vectors: embedding(input, weight).
///
/// Parameter: weight (num_embeddings, embedding_dim), initialized with normal numbers. Row
/// padding_idx starts at 0 and is not trained. Throws Error unless both sizes are at least 1.
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

/// A trained table of vectors that are reduced by bags: embedding_bag(input, weight).
///
/// Parameter: weight (num_embeddings, embedding_dim), initialized with normal numbers. Row
/// padding_idx starts at 0. Throws Error unless both sizes are at least 1.
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
