#include "ebb/nn/layers/transformer.h"

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/nn/layers/containers.h"
#include "ebb/nn/layers/dropout.h"

namespace ebb::nn {

TransformerEncoderLayer::TransformerEncoderLayer(int64_t d_model, int64_t nhead,
                                                 TransformerEncoderLayerOptions options)
    : self_attn(add_module("self_attn", MultiheadAttention(d_model, nhead,
                                                           {.dropout = options.dropout,
                                                            .bias = options.bias,
                                                            .batch_first = options.batch_first,
                                                            .dtype = options.dtype}))),
      linear1(add_module("linear1", Linear(d_model, options.dim_feedforward,
                                           {.bias = options.bias, .dtype = options.dtype}))),
      linear2(add_module("linear2", Linear(options.dim_feedforward, d_model,
                                           {.bias = options.bias, .dtype = options.dtype}))),
      norm1(add_module("norm1", LayerNorm({d_model}, {.eps = options.layer_norm_eps,
                                                      .bias = options.bias,
                                                      .dtype = options.dtype}))),
      norm2(add_module("norm2", LayerNorm({d_model}, {.eps = options.layer_norm_eps,
                                                      .bias = options.bias,
                                                      .dtype = options.dtype}))),
      d_model_(d_model),
      nhead_(nhead),
      options_(options) {}

TransformerEncoderLayer TransformerEncoderLayer::clone() const {
  TransformerEncoderLayer copy(d_model_, nhead_, options_);
  copy.to(linear1.weight.dtype());
  copy.to(linear1.weight.device());
  copy.load_state_dict(state_dict());
  copy.train(is_training());
  return copy;
}

Tensor TransformerEncoderLayer::dropped(const Tensor& x) const {
  return is_training() ? dropout(x, options_.dropout) : x;
}

Tensor TransformerEncoderLayer::attend(const Tensor& x, const Tensor& mask,
                                       const Tensor& padding) const {
  return dropped(std::get<0>(
      self_attn(x, x, x, {.key_padding_mask = padding, .need_weights = false, .attn_mask = mask})));
}

Tensor TransformerEncoderLayer::feed_forward(const Tensor& x) const {
  const bool relus = options_.activation == TransformerActivation::ReLU;
  Tensor hidden =
      ebb::linear(x, linear1.weight, linear1.bias, relus ? Activation::Relu : Activation::None);
  if (!relus) hidden = gelu(hidden);
  return dropped(linear2(dropped(hidden)));
}

Tensor TransformerEncoderLayer::forward(const Tensor& src, const Tensor& src_mask,
                                        const Tensor& src_key_padding_mask) const {
  if (options_.norm_first) {
    const Tensor x = src + attend(norm1(src), src_mask, src_key_padding_mask);
    return x + feed_forward(norm2(x));
  }
  const Tensor x = norm1(src + attend(src, src_mask, src_key_padding_mask));
  return norm2(x + feed_forward(x));
}

TransformerEncoder::TransformerEncoder(const TransformerEncoderLayer& encoder_layer,
                                       int64_t num_layers, const std::optional<LayerNorm>& norm)
    : norm_(norm) {
  if (num_layers < 1) fail("TransformerEncoder", "expected at least 1 layer, got ", num_layers);
  ModuleList list;
  for (int64_t i = 0; i < num_layers; ++i) {
    layers_.push_back(encoder_layer.clone());
    list.push_back(layers_.back());
  }
  add_module("layers", list);
  if (norm_) add_module("norm", *norm_);
}

Tensor TransformerEncoder::forward(const Tensor& src, const Tensor& src_mask,
                                   const Tensor& src_key_padding_mask) const {
  Tensor x = src;
  for (const TransformerEncoderLayer& layer : layers_) x = layer(x, src_mask, src_key_padding_mask);
  return norm_ ? (*norm_)(x) : x;
}

}  // namespace ebb::nn
