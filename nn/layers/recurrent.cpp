#include "ebb/nn/layers/recurrent.h"

#include <cmath>

#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/recurrent.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/nn/layers/dropout.h"
#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

using utils::rnn::PackedSequence;

namespace detail {

RecurrentBase::RecurrentBase(std::string_view layer, int64_t gates, int64_t input_size,
                             int64_t hidden_size, const LSTMOptions& options)
    : layer_(layer), input_size_(input_size), hidden_size_(hidden_size), options_(options) {
  if (input_size < 1 || hidden_size < 1 || options.num_layers < 1) {
    fail(layer, "expected at least 1 input, 1 hidden feature and 1 layer, got ", input_size, ", ",
         hidden_size, " and ", options.num_layers);
  }
  if (!(options.dropout >= 0 && options.dropout <= 1))
    fail(layer, "expected a probability of dropout in [0, 1], got ", options.dropout);
  if (options.proj_size < 0 || options.proj_size >= hidden_size)
    fail(layer, "proj_size is ", options.proj_size, ": expected 0 to ", hidden_size - 1);
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size));
  for (int64_t k = 0; k < options.num_layers; ++k) {
    for (int64_t d = 0; d < directions(); ++d) {
      const std::string suffix = "_l" + std::to_string(k) + (d ? "_reverse" : "");
      std::vector<Tensor>& own = weights_.emplace_back();
      const auto add = [&](const std::string& name, const Shape& shape) {
        Tensor value = empty(shape, {.dtype = options.dtype});
        uniform_(value, -bound, bound);
        own.push_back(add_parameter(name + suffix, value));
      };
      const int64_t rows = checked_mul(layer, gates, hidden_size);
      const int64_t from_below = checked_mul(layer, output_size(), directions());
      add("weight_ih", {rows, k == 0 ? input_size : from_below});
      add("weight_hh", {rows, output_size()});
      if (options.bias) {
        add("bias_ih", {rows});
        add("bias_hh", {rows});
      }
      if (options.proj_size) add("weight_hr", {options.proj_size, hidden_size});
    }
  }
}

std::vector<std::vector<Tensor>> RecurrentBase::all_weights() const { return weights_; }

std::string RecurrentBase::extra_repr() const {
  std::string text = std::to_string(input_size_) + ", " + std::to_string(hidden_size_);
  if (options_.proj_size) text += ", proj_size=" + std::to_string(options_.proj_size);
  if (options_.num_layers != 1) text += ", num_layers=" + std::to_string(options_.num_layers);
  if (!options_.bias) text += ", bias=False";
  if (options_.batch_first) text += ", batch_first=True";
  if (options_.dropout != 0) text += ", " + options_text({{"dropout", options_.dropout}});
  if (options_.bidirectional) text += ", bidirectional=True";
  return text;
}

RecurrentBase::States RecurrentBase::checked_states(States states, int64_t sequences, bool batched,
                                                    const Tensor& like) const {
  const int64_t count = options_.num_layers * directions();
  const bool given = !states.empty();
  states.resize(state_count());
  for (size_t i = 0; i < states.size(); ++i) {
    const int64_t size = i == 0 ? output_size() : hidden_size_;
    Tensor& state = states[i];
    if (!given || (i == 0 && !state.defined() && states.size() == 1)) {
      state = zeros({count, sequences, size}, options_like(like));
      continue;
    }
    const Shape expected = batched ? Shape{count, sequences, size} : Shape{count, size};
    if (!state.defined() || !(state.shape() == expected) || state.dtype() != like.dtype() ||
        state.device() != like.device()) {
      fail(layer_, i == 0 ? "h_0" : "c_0", " ", state.defined() ? to_text(state) : "undefined",
           " does not fit: expected ", like.dtype(), " ", expected, " on ", like.device());
    }
    if (!batched) state = unsqueeze(state, 1);
  }
  return states;
}

std::pair<Tensor, RecurrentBase::States> RecurrentBase::run(const Tensor& rows,
                                                            const std::vector<int64_t>& batch_sizes,
                                                            const States& states) const {
  Tensor x = rows;
  std::vector<std::vector<Tensor>> last(states.size());
  for (int64_t k = 0; k < options_.num_layers; ++k) {
    std::vector<Tensor> outputs;
    for (int64_t d = 0; d < directions(); ++d) {
      const int64_t at = k * directions() + d;
      const std::vector<Tensor>& weights = weights_[static_cast<size_t>(at)];
      States own;
      for (const Tensor& state : states) own.push_back(select(state, 0, at));
      const Tensor gates = linear(x, weights[0], options_.bias ? weights[2] : Tensor());
      auto [output, ends] = run_direction(gates, weights, own, batch_sizes, d == 1);
      outputs.push_back(output);
      for (size_t i = 0; i < ends.size(); ++i) last[i].push_back(ends[i]);
    }
    x = outputs.size() == 1 ? outputs[0] : cat(outputs, 1);
    if (options_.dropout != 0 && is_training() && k + 1 < options_.num_layers)
      x = dropout(x, options_.dropout);
  }
  States ends;
  for (const std::vector<Tensor>& parts : last)
    ends.push_back(parts.size() == 1 ? unsqueeze(parts[0], 0) : stack(parts));
  return {x, ends};
}

std::pair<Tensor, RecurrentBase::States> RecurrentBase::run_padded(const Tensor& input,
                                                                   States states) const {
  check_defined(layer_, input);
  const bool batched = input.dim() == 3;
  if ((input.dim() != 2 && !batched) || input.size(-1) != input_size_) {
    fail(layer_, "input ", input.shape(), " does not fit: expected ",
         options_.batch_first ? "(N, T, " : "(T, N, ", input_size_, "), or (T, ", input_size_, ")");
  }
  if (input.dtype() != weights_[0][0].dtype() || input.device() != weights_[0][0].device()) {
    fail(layer_, "input ", input, " does not fit the parameters: expected ", weights_[0][0].dtype(),
         " on ", weights_[0][0].device());
  }
  Tensor x = batched ? input : unsqueeze(input, 1);
  const bool swaps = batched && options_.batch_first;
  if (swaps) x = transpose(x, 0, 1);
  const int64_t steps = x.size(0), sequences = x.size(1);
  const std::vector<int64_t> sizes(static_cast<size_t>(steps), sequences);
  auto [rows, ends] = run(reshape(x, {steps * sequences, input_size_}), sizes,
                          checked_states(std::move(states), sequences, batched, input));
  Tensor output = reshape(rows, {steps, sequences, rows.size(1)});
  if (!batched) {
    output = squeeze(output, 1);
    for (Tensor& end : ends) end = squeeze(end, 1);
  }
  return {swaps ? transpose(output, 0, 1) : output, ends};
}

std::pair<PackedSequence, RecurrentBase::States> RecurrentBase::run_packed(
    const PackedSequence& input, States states) const {
  check_defined(layer_, input.data);
  check_defined(layer_, input.batch_sizes);
  if (input.data.dim() != 2 || input.data.size(1) != input_size_) {
    fail(layer_, "packed data ", input.data.shape(), " do not fit: expected (rows, ", input_size_,
         ")");
  }
  const std::vector<int64_t> sizes = input.batch_sizes.to_vector<int64_t>();
  States sorted = checked_states(std::move(states), sizes.empty() ? 0 : sizes[0], true, input.data);
  if (input.sorted_indices.defined()) {
    for (Tensor& state : sorted) state = index_select(state, 1, input.sorted_indices);
  }
  auto [rows, ends] = run(input.data, sizes, sorted);
  if (input.unsorted_indices.defined()) {
    for (Tensor& end : ends) end = index_select(end, 1, input.unsorted_indices);
  }
  return {{rows, input.batch_sizes, input.sorted_indices, input.unsorted_indices}, ends};
}

}  // namespace detail

namespace {

Tensor hidden_bias(const std::vector<Tensor>& weights) {
  return weights.size() >= 4 ? weights[3] : Tensor();
}

std::vector<Tensor> as_states(const Tensor& hx) {
  return hx.defined() ? std::vector<Tensor>{hx} : std::vector<Tensor>{};
}

std::vector<Tensor> as_states(const std::optional<LSTMState>& hx) {
  return hx ? std::vector<Tensor>{std::get<0>(*hx), std::get<1>(*hx)} : std::vector<Tensor>{};
}

LSTMOptions shared_options(const auto& o) {
  return {o.num_layers, o.bias, o.batch_first, o.dropout, o.bidirectional, 0, o.dtype};
}

}  // namespace

RNN::RNN(int64_t input_size, int64_t hidden_size, RNNOptions options)
    : RecurrentBase("RNN", 1, input_size, hidden_size, shared_options(options)),
      nonlinearity_(options.nonlinearity) {}

std::pair<Tensor, RNN::States> RNN::run_direction(const Tensor& gates,
                                                  const std::vector<Tensor>& weights,
                                                  const States& states,
                                                  const std::vector<int64_t>& batch_sizes,
                                                  bool reverse) const {
  const auto [output, last] =
      rnn_sequence(gates, weights[1], hidden_bias(weights), states[0], {batch_sizes, reverse},
                   nonlinearity_ == RNNNonlinearity::ReLU);
  return {output, {last}};
}

std::tuple<Tensor, Tensor> RNN::forward(const Tensor& input, const Tensor& hx) const {
  const auto [output, states] = run_padded(input, as_states(hx));
  return {output, states[0]};
}

std::tuple<PackedSequence, Tensor> RNN::forward_with_packed_input(const PackedSequence& input,
                                                                  const Tensor& hx) const {
  const auto [output, states] = run_packed(input, as_states(hx));
  return {output, states[0]};
}

GRU::GRU(int64_t input_size, int64_t hidden_size, GRUOptions options)
    : RecurrentBase("GRU", 3, input_size, hidden_size, shared_options(options)) {}

std::pair<Tensor, GRU::States> GRU::run_direction(const Tensor& gates,
                                                  const std::vector<Tensor>& weights,
                                                  const States& states,
                                                  const std::vector<int64_t>& batch_sizes,
                                                  bool reverse) const {
  const auto [output, last] =
      gru_sequence(gates, weights[1], hidden_bias(weights), states[0], {batch_sizes, reverse});
  return {output, {last}};
}

std::tuple<Tensor, Tensor> GRU::forward(const Tensor& input, const Tensor& hx) const {
  const auto [output, states] = run_padded(input, as_states(hx));
  return {output, states[0]};
}

std::tuple<PackedSequence, Tensor> GRU::forward_with_packed_input(const PackedSequence& input,
                                                                  const Tensor& hx) const {
  const auto [output, states] = run_packed(input, as_states(hx));
  return {output, states[0]};
}

LSTM::LSTM(int64_t input_size, int64_t hidden_size, LSTMOptions options)
    : RecurrentBase("LSTM", 4, input_size, hidden_size, options) {}

std::pair<Tensor, LSTM::States> LSTM::run_direction(const Tensor& gates,
                                                    const std::vector<Tensor>& weights,
                                                    const States& states,
                                                    const std::vector<int64_t>& batch_sizes,
                                                    bool reverse) const {
  const bool projects = weights.size() % 2 == 1;
  const auto [output, h, c] =
      lstm_sequence(gates, weights[1], hidden_bias(weights), states[0], states[1],
                    {batch_sizes, reverse}, projects ? weights.back() : Tensor());
  return {output, {h, c}};
}

std::tuple<Tensor, LSTMState> LSTM::forward(const Tensor& input,
                                            const std::optional<LSTMState>& hx) const {
  const auto [output, states] = run_padded(input, as_states(hx));
  return {output, {states[0], states[1]}};
}

std::tuple<PackedSequence, LSTMState> LSTM::forward_with_packed_input(
    const PackedSequence& input, const std::optional<LSTMState>& hx) const {
  const auto [output, states] = run_packed(input, as_states(hx));
  return {output, {states[0], states[1]}};
}

}  // namespace ebb::nn
