// Recurrent layers: RNN, GRU and LSTM, with torch's parameters, shapes and states.
//
// The input is (T, N, input_size), (N, T, input_size) with batch_first, or (T, input_size) for one
// sequence. num_directions is 2 if bidirectional, else 1. The output has num_directions hidden_size
// features, those of the forward direction first. States are (num_layers num_directions, N,
// hidden_size), also with batch_first, and without N for one sequence. A state that is not given is
// 0. Layer k has these parameters, and with bidirectional the same again with the suffix _reverse:
//
//   weight_ih_l{k}               (gates hidden_size, input_size)
//   weight_hh_l{k}               (gates hidden_size, hidden_size)
//   bias_ih_l{k}, bias_hh_l{k}   (gates hidden_size), if bias
//
// gates is 1 for RNN, 3 for GRU (reset, update, new) and 4 for LSTM (input, forget, cell, output).
// All parameters are initialized uniformly in +-1 / sqrt(hidden_size). The inputs of all steps are
// multiplied by weight_ih in one product. Throws Error that names the layer and the expected shape
// if a shape does not fit.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ebb/nn/module.h"
#include "ebb/nn/utils/rnn.h"

namespace ebb::nn {

enum class RNNNonlinearity { Tanh, ReLU };

struct GRUOptions {
  int64_t num_layers = 1;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;  ///< applied to the outputs of all layers but the last, in training mode
  bool bidirectional = false;
  DType dtype = DType::F32;
};

struct RNNOptions {
  int64_t num_layers = 1;
  RNNNonlinearity nonlinearity = RNNNonlinearity::Tanh;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
  DType dtype = DType::F32;
};

struct LSTMOptions {
  int64_t num_layers = 1;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
  int64_t proj_size = 0;  ///< if not 0, h is a linear function of o tanh(c) with this size
  DType dtype = DType::F32;
};

namespace detail {

/// The common part of RNN, GRU and LSTM: the parameters, the shapes, and the order of layers and
/// directions.
class RecurrentBase : public Module {
 public:
  int64_t input_size() const { return input_size_; }
  int64_t hidden_size() const { return hidden_size_; }
  /// Returns the parameters of each layer and direction, in the order of the list above.
  std::vector<std::vector<Tensor>> all_weights() const;
  std::string extra_repr() const override;

 protected:
  RecurrentBase(std::string_view layer, int64_t gates, int64_t input_size, int64_t hidden_size,
                const LSTMOptions& options);

  /// The states h, or h and c: (num_layers num_directions, N, size).
  using States = std::vector<Tensor>;
  /// Runs packed rows. Returns the output of the last layer and the last states.
  std::pair<Tensor, States> run(const Tensor& rows, const std::vector<int64_t>& batch_sizes,
                                const States& states) const;
  /// Runs padded input of any layout. `states` are those of the user, or empty.
  std::pair<Tensor, States> run_padded(const Tensor& input, States states) const;
  std::pair<utils::rnn::PackedSequence, States> run_packed(const utils::rnn::PackedSequence& input,
                                                           States states) const;

 private:
  /// Runs one layer in one direction. Returns the states of all rows, and the last states.
  virtual std::pair<Tensor, States> run_direction(const Tensor& gates,
                                                  const std::vector<Tensor>& weights,
                                                  const States& states,
                                                  const std::vector<int64_t>& batch_sizes,
                                                  bool reverse) const = 0;
  /// Returns the states after checking their shapes, or zeros if there are none.
  States checked_states(States states, int64_t sequences, bool batched, const Tensor& like) const;
  int64_t directions() const { return options_.bidirectional ? 2 : 1; }
  int64_t output_size() const { return options_.proj_size ? options_.proj_size : hidden_size_; }
  size_t state_count() const { return layer_ == "LSTM" ? 2 : 1; }

  std::string layer_;
  int64_t input_size_, hidden_size_;
  LSTMOptions options_;
  std::vector<std::vector<Tensor>> weights_;  // ih, hh, [ih, hh biases], [projection]
};

}  // namespace detail

/// An Elman network (Elman 1990): h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(..., 0) instead
/// of tanh(...) with ReLU.
///
///     nn::RNN rnn(10, 20, {.num_layers = 2});
///     auto [output, h_n] = rnn(randn({5, 3, 10}));  // (5, 3, 20), (2, 3, 20)
class RNN : public detail::RecurrentBase {
 public:
  RNN(int64_t input_size, int64_t hidden_size, RNNOptions options = {});
  std::tuple<Tensor, Tensor> forward(const Tensor& input, const Tensor& hx = {}) const;
  std::tuple<Tensor, Tensor> operator()(const Tensor& input, const Tensor& hx = {}) const {
    return forward(input, hx);
  }
  std::tuple<utils::rnn::PackedSequence, Tensor> forward_with_packed_input(
      const utils::rnn::PackedSequence& input, const Tensor& hx = {}) const;
  RNN* operator->() { return this; }
  const RNN* operator->() const { return this; }

 private:
  std::pair<Tensor, States> run_direction(const Tensor&, const std::vector<Tensor>&, const States&,
                                          const std::vector<int64_t>&, bool) const override;
  RNNNonlinearity nonlinearity_;
};

/// A gated recurrent unit (Cho et al. 2014). gru_sequence() documents the formulas.
///
///     nn::GRU gru(10, 20);
///     auto [output, h_n] = gru(randn({5, 3, 10}));  // (5, 3, 20), (1, 3, 20)
class GRU : public detail::RecurrentBase {
 public:
  GRU(int64_t input_size, int64_t hidden_size, GRUOptions options = {});
  std::tuple<Tensor, Tensor> forward(const Tensor& input, const Tensor& hx = {}) const;
  std::tuple<Tensor, Tensor> operator()(const Tensor& input, const Tensor& hx = {}) const {
    return forward(input, hx);
  }
  std::tuple<utils::rnn::PackedSequence, Tensor> forward_with_packed_input(
      const utils::rnn::PackedSequence& input, const Tensor& hx = {}) const;
  GRU* operator->() { return this; }
  const GRU* operator->() const { return this; }

 private:
  std::pair<Tensor, States> run_direction(const Tensor&, const std::vector<Tensor>&, const States&,
                                          const std::vector<int64_t>&, bool) const override;
};

/// The states (h, c) of an LSTM.
using LSTMState = std::tuple<Tensor, Tensor>;

/// A long short-term memory (Hochreiter and Schmidhuber 1997). lstm_sequence() documents the
/// formulas. With proj_size, the states h have proj_size features, and layer k also has the
/// parameter weight_hr_l{k} (proj_size, hidden_size).
///
///     nn::LSTM lstm(10, 20);
///     auto [output, state] = lstm(randn({5, 3, 10}));  // (5, 3, 20)
///     auto [h_n, c_n] = state;                         // (1, 3, 20) each
class LSTM : public detail::RecurrentBase {
 public:
  LSTM(int64_t input_size, int64_t hidden_size, LSTMOptions options = {});
  std::tuple<Tensor, LSTMState> forward(const Tensor& input,
                                        const std::optional<LSTMState>& hx = {}) const;
  std::tuple<Tensor, LSTMState> operator()(const Tensor& input,
                                           const std::optional<LSTMState>& hx = {}) const {
    return forward(input, hx);
  }
  std::tuple<utils::rnn::PackedSequence, LSTMState> forward_with_packed_input(
      const utils::rnn::PackedSequence& input, const std::optional<LSTMState>& hx = {}) const;
  LSTM* operator->() { return this; }
  const LSTM* operator->() const { return this; }

 private:
  std::pair<Tensor, States> run_direction(const Tensor&, const std::vector<Tensor>&, const States&,
                                          const std::vector<int64_t>&, bool) const override;
};

}  // namespace ebb::nn
