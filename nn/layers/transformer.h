// Encoders of self-attention and feed-forward blocks: torch.nn.TransformerEncoderLayer and
// TransformerEncoder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ebb/nn/layers/attention.h"
#include "ebb/nn/layers/normalization.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// The activation between the two linear layers of a block.
enum class TransformerActivation { ReLU, GELU };

struct TransformerEncoderLayerOptions {
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;  ///< after the attention weights, the activation, and both blocks
  TransformerActivation activation = TransformerActivation::ReLU;
  double layer_norm_eps = 1e-5;
  bool batch_first = false;
  bool norm_first = false;  ///< x + f(norm(x)) instead of norm(x + f(x))
  bool bias = true;
  DType dtype = DType::F32;
};

/// A block of self-attention, and a block of two linear layers with an activation between them. The
/// result of each block is added to its input and normalized (Vaswani et al. 2017).
///
/// Shape: (L, N, d_model), (N, L, d_model) with batch_first, or (L, d_model); the result has the
/// shape of the input.
/// Submodules, with torch's names: self_attn, linear1, linear2, norm1 and norm2. Throws Error if a
/// shape does not fit.
///
///     nn::TransformerEncoderLayer layer(16, 4, {.dim_feedforward = 32, .batch_first = true});
///     Tensor y = layer(randn({2, 5, 16}));  // (2, 5, 16)
class TransformerEncoderLayer : public Layer {
 public:
  TransformerEncoderLayer(int64_t d_model, int64_t nhead,
                          TransformerEncoderLayerOptions options = {});
  Tensor forward(const Tensor& src) const override { return forward(src, Tensor()); }
  /// src_mask (L, L) or (N nhead, L, L) and src_key_padding_mask (N, L) as in MultiheadAttention.
  Tensor forward(const Tensor& src, const Tensor& src_mask,
                 const Tensor& src_key_padding_mask = {}) const;
  using Layer::operator();
  Tensor operator()(const Tensor& src, const Tensor& src_mask,
                    const Tensor& src_key_padding_mask = {}) const {
    return forward(src, src_mask, src_key_padding_mask);
  }
  TransformerEncoderLayer* operator->() { return this; }
  const TransformerEncoderLayer* operator->() const { return this; }
  /// Returns a layer whose parameters are copies of these.
  TransformerEncoderLayer clone() const;

  MultiheadAttention self_attn;
  Linear linear1;
  Linear linear2;
  LayerNorm norm1;
  LayerNorm norm2;

 private:
  Tensor attend(const Tensor& x, const Tensor& mask, const Tensor& padding) const;
  Tensor feed_forward(const Tensor& x) const;
  Tensor dropped(const Tensor& x) const;

  int64_t d_model_, nhead_;
  TransformerEncoderLayerOptions options_;
};

/// A chain of num_layers layers, named layers.0, layers.1, ..., followed by a norm if one is given.
/// As in torch, the layers start as copies of the given layer.
///
///     nn::TransformerEncoder encoder(nn::TransformerEncoderLayer(16, 4), 2);
class TransformerEncoder : public Layer {
 public:
  TransformerEncoder(const TransformerEncoderLayer& encoder_layer, int64_t num_layers,
                     const std::optional<LayerNorm>& norm = {});
  Tensor forward(const Tensor& src) const override { return forward(src, Tensor()); }
  Tensor forward(const Tensor& src, const Tensor& src_mask,
                 const Tensor& src_key_padding_mask = {}) const;
  using Layer::operator();
  Tensor operator()(const Tensor& src, const Tensor& src_mask,
                    const Tensor& src_key_padding_mask = {}) const {
    return forward(src, src_mask, src_key_padding_mask);
  }
  TransformerEncoder* operator->() { return this; }
  const TransformerEncoder* operator->() const { return this; }

 private:
  std::vector<TransformerEncoderLayer> layers_;
  std::optional<LayerNorm> norm_;
};

}  // namespace ebb::nn
