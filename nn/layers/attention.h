// Multi-head attention, and positions for models that have no order of their own.
#pragma once

#include <string>
#include <tuple>

#include "ebb/autograd/ops/attention.h"
#include "ebb/nn/layers/linear.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct MultiheadAttentionOptions {
  double dropout = 0;  ///< on the attention weights, while training
  bool bias = true;
  bool add_bias_kv = false;    ///< a trained key and value that every row may attend to
  bool add_zero_attn = false;  ///< a key and a value of zeros
  int64_t kdim = 0;            ///< features of the keys; 0: embed_dim
  int64_t vdim = 0;            ///< features of the values; 0: embed_dim
  bool batch_first = false;    ///< (N, L, E) instead of (L, N, E)
  DType dtype = DType::F32;
};

struct MultiheadAttentionForwardOptions {
  Tensor key_padding_mask = {};  ///< (N, S), or (S): bool, true is left out; or added to the scores
  bool need_weights = true;      ///< also returns the weights
  Tensor attn_mask = {};  ///< (L, S) or (N num_heads, L, S): bool, true is left out; or added
  bool average_attn_weights = true;  ///< weights (N, L, S) instead of (N, num_heads, L, S)
};

/// Attention of several heads (Vaswani et al. 2017): projects query, key and value, lets each of
/// num_heads attend to embed_dim / num_heads of the features, joins the heads and projects again.
///
/// query (L, N, E), key (S, N, kdim), value (S, N, vdim), or without N; (N, L, E) and so on with
/// batch_first. Parameters, with torch's names and initialization: in_proj_weight (3 E, E), or
/// q_proj_weight, k_proj_weight and v_proj_weight where kdim or vdim differ; in_proj_bias (3 E);
/// bias_k and bias_v (1, 1, E) with add_bias_kv; out_proj.weight and out_proj.bias. A row whose
/// keys are all left out gives 0 before out_proj. Throws Error where shapes do not fit, and unless
/// num_heads divides embed_dim.
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
  /// The same with the arguments of torch.
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

  Tensor in_proj_weight;                               ///< undefined where kdim or vdim differ
  Tensor q_proj_weight, k_proj_weight, v_proj_weight;  ///< undefined where they do not
  Tensor in_proj_bias;                                 ///< undefined without bias
  Tensor bias_k, bias_v;                               ///< undefined without add_bias_kv
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

/// Returns (length, features) of positions: sin(t / base^(2 i / features)) in column 2 i and the
/// cosine in column 2 i + 1 (Vaswani et al. 2017). Add it to embeddings (N, length, features).
/// Throws Error unless features is at least 1.
///
///     Tensor x = randn({2, 5, 16}) + nn::sinusoidal_positions(5, 16);
Tensor sinusoidal_positions(int64_t length, int64_t features, PositionsOptions options = {});

}  // namespace ebb::nn
