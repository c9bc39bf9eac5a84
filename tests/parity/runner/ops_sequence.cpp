// Layers for sequences: embeddings, recurrence, attention. Parameters are tensor options.
#include "ebb/autograd/ops/attention.h"
#include "ebb/nn/layers/attention.h"
#include "ebb/nn/layers/embedding.h"
#include "ebb/nn/layers/recurrent.h"
#include "ebb/nn/layers/recurrent_cells.h"
#include "ebb/nn/layers/transformer.h"
#include "ops.h"

namespace ebb::parity {
namespace {

template <class T> void read_optional(Arguments& a, const char* name, std::optional<T>& into) {
  T value{};
  if (a.read(name, value)) into = value;
}

// Reads the options that all functions and modules of embeddings share.
template <class Options> Options embedding_options(Arguments& a) {
  Options o;
  read_optional(a, "padding_idx", o.padding_idx);
  read_optional(a, "max_norm", o.max_norm);
  a.read("norm_type", o.norm_type);
  a.read("scale_grad_by_freq", o.scale_grad_by_freq);
  return o;
}

Call embedding_call(Arguments& a) {
  return [x = a.inputs(2), o = embedding_options<nn::EmbeddingFuncOptions>(a)] {
    return Tensors{nn::embedding(x[0], x[1], o)};
  };
}

Call embedding_module(Arguments& a) {
  auto o = embedding_options<nn::EmbeddingFromPretrainedOptions>(a);
  o.freeze = false;
  return [&a, x = a.inputs(2), o] {
    const auto module = nn::Embedding::from_pretrained(x[1], o);
    a.stand_in("weight", module.weight);
    return Tensors{module(x[0])};
  };
}

template <class Options> Options bag_options(Arguments& a) {
  auto o = embedding_options<Options>(a);
  std::string mode;
  if (a.read("mode", mode)) {
    using enum nn::EmbeddingBagMode;
    o.mode = mode == "sum" ? Sum : mode == "mean" ? Mean : Max;
  }
  a.read("include_last_offset", o.include_last_offset);
  return o;
}

Tensor offsets_of(Arguments& a, Device device) {
  std::vector<int64_t> offsets;
  if (!a.read("offsets", offsets)) return {};
  return from_data(offsets, {static_cast<int64_t>(offsets.size())}, device);
}

Call embedding_bag_call(Arguments& a) {
  const Tensors x = a.inputs(2);
  auto o = bag_options<nn::EmbeddingBagFuncOptions>(a);
  a.read("per_sample_weights", o.per_sample_weights);
  o.offsets = offsets_of(a, x[1].device());
  return [x, o] { return Tensors{nn::embedding_bag(x[0], x[1], o)}; };
}

Call embedding_bag_module(Arguments& a) {
  const Tensors x = a.inputs(2);
  auto o = bag_options<nn::EmbeddingBagOptions>(a);
  o.dtype = x[1].dtype();
  Tensor factors;
  a.read("per_sample_weights", factors);
  const Tensor offsets = offsets_of(a, x[1].device());
  return [&a, x, o, factors, offsets] {
    nn::EmbeddingBag module(x[1].size(0), x[1].size(1), o);
    module.to(x[1].device());
    module.load_state_dict({{"weight", x[1]}});
    a.stand_in("weight", module.weight);
    return Tensors{module(x[0], offsets, factors)};
  };
}

// Gives a module the parameters of the case, which are tensor options without "mask" in their name.
template <class M> M with_parameters(Arguments& a, M module, const Tensor& like) {
  std::vector<nn::NamedTensor> state;
  for (const auto& [name, value] : a.read_state()) {
    if (name.find("mask") == std::string::npos) state.emplace_back(name, value);
  }
  module.to(like.device());
  if (!state.empty()) module.to(state[0].second.dtype());
  try {
    module.load_state_dict(state);
  } catch (const Error& error) {
    throw Problem(error.what());  // the case is wrong, not the call
  }
  for (const auto& [name, parameter] : module.named_parameters()) a.stand_in(name, parameter);
  return module;
}

template <class Options> Options recurrent_options(Arguments& a) {
  Options o;
  if constexpr (requires { o.nonlinearity; }) {
    std::string name;
    if (a.read("nonlinearity", name))
      o.nonlinearity = name == "relu" ? nn::RNNNonlinearity::ReLU : nn::RNNNonlinearity::Tanh;
  }
  if constexpr (requires { o.num_layers; }) {
    a.read("num_layers", o.num_layers);
    a.read("batch_first", o.batch_first);
    a.read("bidirectional", o.bidirectional);
  }
  if constexpr (requires { o.proj_size; }) a.read("proj_size", o.proj_size);
  a.read("bias", o.bias);
  return o;
}

// hx of a layer or cell: the inputs behind the first one.
template <class M> auto states_of(const Tensors& x) {
  if constexpr (std::is_same_v<M, nn::LSTM> || std::is_same_v<M, nn::LSTMCell>) {
    return x.size() == 3 ? std::optional(nn::LSTMState{x[1], x[2]}) : std::nullopt;
  } else {
    return x.size() == 2 ? x[1] : Tensor();
  }
}

Tensors flat(const Tensor& output, const Tensor& last) { return {output, last}; }
Tensors flat(const Tensor& output, const nn::LSTMState& last) {
  return {output, std::get<0>(last), std::get<1>(last)};
}

template <class M, class Options> Call recurrent_call(Arguments& a) {
  const auto o = recurrent_options<Options>(a);
  std::vector<int64_t> lengths;
  const bool packed = a.read("lengths", lengths);
  const int64_t inputs = a.required<int64_t>("input_size"),
                hidden = a.required<int64_t>("hidden_size");
  a.read_state();
  return [&a, o, lengths, packed, inputs, hidden, x = a.inputs(1, 3)] {
    const M module = with_parameters(a, M(inputs, hidden, o), x[0]);
    if (!packed) {
      const auto [output, last] = module(x[0], states_of<M>(x));
      return flat(output, last);
    }
    const auto [output, last] = module.forward_with_packed_input(
        nn::utils::rnn::pack_padded_sequence(
            x[0], from_data(lengths, {static_cast<int64_t>(lengths.size())}), o.batch_first, false),
        states_of<M>(x));
    return flat(std::get<0>(nn::utils::rnn::pad_packed_sequence(output, o.batch_first)), last);
  };
}

template <class M, class Options> Call cell_call(Arguments& a) {
  const auto o = recurrent_options<Options>(a);
  const int64_t inputs = a.required<int64_t>("input_size"),
                hidden = a.required<int64_t>("hidden_size");
  a.read_state();
  return [&a, o, inputs, hidden, x = a.inputs(1, 3)] {
    const M module = with_parameters(a, M(inputs, hidden, o), x[0]);
    if constexpr (std::is_same_v<M, nn::LSTMCell>) {
      const auto [h, c] = module(x[0], states_of<M>(x));
      return Tensors{h, c};
    } else {
      return Tensors{module(x[0], states_of<M>(x))};
    }
  };
}

Call attention_call(Arguments& a) {
  AttentionOptions o;
  a.read("attn_mask", o.attn_mask);
  a.read("dropout_p", o.dropout_p);
  a.read("is_causal", o.is_causal);
  read_optional(a, "scale", o.scale);
  return
      [x = a.inputs(3), o] { return Tensors{scaled_dot_product_attention(x[0], x[1], x[2], o)}; };
}

// Inputs: query [, key [, value]]. An input that is not given is the one before.
Call multihead_call(Arguments& a) {
  nn::MultiheadAttentionOptions o;
  a.read("bias", o.bias);
  a.read("batch_first", o.batch_first);
  a.read("kdim", o.kdim);
  a.read("vdim", o.vdim);
  a.read("add_bias_kv", o.add_bias_kv);
  a.read("add_zero_attn", o.add_zero_attn);
  nn::MultiheadAttentionForwardOptions forward;
  a.read("need_weights", forward.need_weights);
  a.read("average_attn_weights", forward.average_attn_weights);
  a.read("key_padding_mask", forward.key_padding_mask);
  a.read("attn_mask", forward.attn_mask);
  const int64_t embed = a.required<int64_t>("embed_dim"), heads = a.required<int64_t>("num_heads");
  a.read_state();
  return [&a, o, forward, embed, heads, x = a.inputs(1, 3)] {
    const auto module = with_parameters(a, nn::MultiheadAttention(embed, heads, o), x[0]);
    const Tensor &key = x.size() > 1 ? x[1] : x[0], &value = x.size() > 2 ? x[2] : key;
    const auto [output, weights] = module(x[0], key, value, forward);
    return weights.defined() ? Tensors{output, weights} : Tensors{output};
  };
}

// A layer, or with num_layers a stack of layers; without dropout.
Call transformer_call(Arguments& a) {
  nn::TransformerEncoderLayerOptions o{.dropout = 0};
  a.read("dim_feedforward", o.dim_feedforward);
  a.read("norm_first", o.norm_first);
  a.read("batch_first", o.batch_first);
  a.read("bias", o.bias);
  std::string activation;
  if (a.read("activation", activation) && activation == "gelu")
    o.activation = nn::TransformerActivation::GELU;
  int64_t layers = 0;
  a.read("num_layers", layers);
  bool norm = false;
  a.read("norm", norm);
  Tensor mask, padding;
  a.read("src_mask", mask);
  a.read("src_key_padding_mask", padding);
  const int64_t width = a.required<int64_t>("d_model"), heads = a.required<int64_t>("nhead");
  a.read_state();
  return [=, &a, x = a.input()] {
    const nn::TransformerEncoderLayer layer(width, heads, o);
    if (layers == 0) return Tensors{with_parameters(a, layer, x)(x, mask, padding)};
    const auto last = norm ? std::optional(nn::LayerNorm(Shape{width})) : std::nullopt;
    const nn::TransformerEncoder encoder(layer, layers, last);
    return Tensors{with_parameters(a, encoder, x)(x, mask, padding)};
  };
}

constexpr Op kOps[] = {
    {"embedding", embedding_call, embedding_module},
    {"embedding_bag", embedding_bag_call, embedding_bag_module},
    {"rnn", recurrent_call<nn::RNN, nn::RNNOptions>},
    {"gru", recurrent_call<nn::GRU, nn::GRUOptions>},
    {"lstm", recurrent_call<nn::LSTM, nn::LSTMOptions>},
    {"rnn_cell", cell_call<nn::RNNCell, nn::RNNCellOptions>},
    {"gru_cell", cell_call<nn::GRUCell, nn::GRUCellOptions>},
    {"lstm_cell", cell_call<nn::LSTMCell, nn::LSTMCellOptions>},
    {"scaled_dot_product_attention", attention_call},
    {"multihead_attention", multihead_call},
    {"transformer_encoder", transformer_call},
};

}  // namespace

std::span<const Op> sequence_ops() { return kOps; }

}  // namespace ebb::parity
