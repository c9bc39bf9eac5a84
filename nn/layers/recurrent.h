// Recurrent layers: RNN, GRU and LSTM, with torch's parameters, shapes and states.
//
// Input is (T, N, input_size), (N, T, input_size) with batch_first, or (T, input_size) for one
// sequence. The output has num_directions = 1, or 2 if bidirectional, times hidden_size features;
// first those of the forward direction. States are (num_layers num_directions, N, hidden_size),
// whether batch_first or not, and without N for one sequence; a state that is not given is 0. Layer
// k, direction forward or _reverse, has the parameters
//
//   weight_ih_l{k}               (gates hidden_size, input_size)
//   weight_hh_l{k}               (gates hidden_size, hidden_size)
//   bias_ih_l{k}, bias_hh_l{k}   (gates hidden_size), if bias
//
// with gates = 1 for RNN, 3 for GRU (reset, update, new) and 4 for LSTM (input, forget, cell,
// output), all uniform in +-1 / sqrt(hidden_size). A layer's inputs are multiplied in one product
// for all steps. Throws Error where shapes do not fit; the message names the layer and the shape
// that would fit.
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
  double dropout = 0;  ///< on the outputs of all layers but the last, while training
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
  int64_t proj_size = 0;  ///< if not 0: the size of the states h, a linear function of o tanh(c)
  DType dtype = DType::F32;
};

namespace detail {

/// The common part of RNN, GRU and LSTM: the parameters, the shapes, and the order of layers and
/// directions.
class RecurrentBase : public Module {
 public:
  int64_t input_size() const { return input_size_; }
  int64_t hidden_size() const { return hidden_size_; }
  /// Returns the parameters of each layer and direction.
  std::vector<std::vector<Tensor>> all_weights() const;
  std::string extra_repr() const override;

 protected:
  RecurrentBase(std::string_view layer, int64_t gates, int64_t input_size, int64_t hidden_size,
                const LSTMOptions& options);

  /// States h, or h and c: (num_layers num_directions, N, size).
  using States = std::vector<Tensor>;
  /// Runs packed rows. Returns the output of the last layer and the last states.
  std::pair<Tensor, States> run(const Tensor& rows, const std::vector<int64_t>& batch_sizes,
                                const States& states) const;
  /// The same for padded input of any layout; the states as the user gave them, or none.
  std::pair<Tensor, States> run_padded(const Tensor& input, States states) const;
  std::pair<utils::rnn::PackedSequence, States> run_packed(const utils::rnn::PackedSequence& input,
                                                           States states) const;

 private:
  /// One layer in one direction: the states of all rows, and the last ones.
  virtual std::pair<Tensor, States> run_direction(const Tensor& gates,
                                                  const std::vector<Tensor>& weights,
                                                  const States& states,
                                                  const std::vector<int64_t>& batch_sizes,
                                                  bool reverse) const = 0;
  /// Returns the states, checked, or zeros; one more state than weights of a projection need.
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

/// h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(., 0) with ReLU (Elman 1990).
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

/// A gated recurrent unit (Cho et al. 2014), the formulas of gru_sequence().
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

/// A long short-term memory (Hochreiter and Schmidhuber 1997), the formulas of lstm_sequence().
/// With proj_size it has the parameter weight_hr_l{k} (proj_size, hidden_size) too, and states h of
/// proj_size.
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
