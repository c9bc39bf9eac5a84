// Multi-head attention, and positional encodings.
#pragma once

#include <string>
#include <tuple>

#include "ebb/autograd/ops/attention.h"
#include "ebb/nn/layers/linear.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct MultiheadAttentionOptions {
  double dropout = 0;  ///< applied to the attention weights, in training mode
  bool bias = true;
  bool add_bias_kv = false;    ///< appends a trained key and value
  bool add_zero_attn = false;  ///< appends a key and a value of zeros
  int64_t kdim = 0;            ///< the features of the keys; embed_dim if 0
  int64_t vdim = 0;            ///< the features of the values; embed_dim if 0
  bool batch_first = false;    ///< (N, L, E) instead of (L, N, E)
  DType dtype = DType::F32;
};

struct MultiheadAttentionForwardOptions {
  // A bool mask excludes the keys where it is true. A floating mask is added to the scores.
  Tensor key_padding_mask = {};      ///< (N, S), or (S)
  bool need_weights = true;          ///< also returns the weights
  Tensor attn_mask = {};             ///< (L, S), or (N num_heads, L, S)
  bool average_attn_weights = true;  ///< weights (N, L, S) instead of (N, num_heads, L, S)
};

/// Multi-head attention (Vaswani et al. 2017): projects query, key and value, computes
/// scaled_dot_product_attention for each of num_heads heads of embed_dim / num_heads features,
/// joins the heads and projects the result.
///
/// Shape: query (L, N, E), key (S, N, kdim) and value (S, N, vdim), or without N; (N, L, E) and so
/// on with batch_first. Parameters, with torch's names and initialization: in_proj_weight (3 E, E),
/// or q_proj_weight, k_proj_weight and v_proj_weight if kdim or vdim is not E; in_proj_bias (3 E);
/// bias_k and bias_v (1, 1, E) with add_bias_kv; out_proj.weight and out_proj.bias. If all keys of
/// a row are excluded, its result before out_proj is 0. Throws Error if shapes do not fit, and
/// unless num_heads divides embed_dim.
///
///     nn::MultiheadAttention attention(16, 4, {.batch_first = true});
///     Tensor x = randn({2, 5, 16});
///     auto [y, weights] = attention(x, x, x);  // (2, 5, 16), (2, 5, 5)
class MultiheadAttention : public Module {
 public:
  MultiheadAttention(int64_t embed_dim, int64_t num_heads, MultiheadAttentionOptions options = {});
  /// Returns the output and, if need_weights, the attention weights after dropout; else an
  /// undefined tensor.
  std::tuple<Tensor, Tensor> forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                     MultiheadAttentionForwardOptions options = {}) const;
  /// The same, with torch's positional arguments.
  std::tuple<Tensor, Tensor> forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                     const Tensor& key_padding_mask, bool need_weights = true,
                                     const Tensor& attn_mask = {},
                                     bool average_attn_weights = true) const;
  template <class... Rest>
  std::tuple<Tensor, Tensor> operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                        const Rest&... rest) const {
    return forward(query, key, value, rest...);
  }
  std::tuple<Tensor, Tensor> operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                        MultiheadAttentionForwardOptions options) const {
    return forward(query, key, value, std::move(options));
  }
  MultiheadAttention* operator->() { return this; }
  const MultiheadAttention* operator->() const { return this; }

  Tensor in_proj_weight;  ///< undefined if kdim or vdim is not E
  Tensor q_proj_weight;   ///< as k_proj_weight and v_proj_weight: defined if kdim or vdim is not E
  Tensor k_proj_weight;
  Tensor v_proj_weight;
  Tensor in_proj_bias;  ///< undefined without bias
  Tensor bias_k;        ///< undefined without add_bias_kv, as bias_v
  Tensor bias_v;
  Linear out_proj;

 private:
  struct Heads;
  Heads project(const Tensor& query, const Tensor& key, const Tensor& value) const;
  void add_rows(Heads& heads, int64_t batch) const;
  Tensor mask_of(const Heads& heads, const MultiheadAttentionForwardOptions& options,
                 int64_t batch) const;

  int64_t embed_dim_, num_heads_;
  MultiheadAttentionOptions options_;
};

struct PositionsOptions {
  double base = 10000;
  DType dtype = DType::F32;
};

/// Returns the positional encodings (length, features) of Vaswani et al. (2017), to be added to
/// embeddings (N, length, features). Column 2 i contains sin(t / base^(2 i / features)) at position
/// t, and column 2 i + 1 the cosine. Throws Error unless features is at least 1.
///
///     Tensor x = randn({2, 5, 16}) + nn::sinusoidal_positions(5, 16);
Tensor sinusoidal_positions(int64_t length, int64_t features, PositionsOptions options = {});

}  // namespace ebb::nn
