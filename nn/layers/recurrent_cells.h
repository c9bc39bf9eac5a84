// Single steps of recurrent layers, for loops of your own: RNNCell, GRUCell and LSTMCell, as in
// torch.nn.
//
// The input is (N, input_size), or (input_size) for one element; a state has hidden_size features.
// A state that is not given is 0. Parameters: weight_ih (gates hidden_size, input_size), weight_hh
// (gates hidden_size, hidden_size) and, if bias, bias_ih and bias_hh (gates hidden_size). The gates
// and their order are those of nn/layers/recurrent.h. All parameters are initialized uniformly in
// +-1 / sqrt(hidden_size). Throws Error where shapes do not fit.
#pragma once

#include <optional>
#include <string>
#include <tuple>

#include "ebb/nn/layers/recurrent.h"

namespace ebb::nn {

struct RNNCellOptions {
  bool bias = true;
  RNNNonlinearity nonlinearity = RNNNonlinearity::Tanh;
  DType dtype = DType::F32;
};

struct GRUCellOptions {
  bool bias = true;
  DType dtype = DType::F32;
};
using LSTMCellOptions = GRUCellOptions;

namespace detail {

class RecurrentCellBase : public Module {
 public:
  std::string extra_repr() const override;

  Tensor weight_ih;
  Tensor weight_hh;
  Tensor bias_ih;  ///< undefined without bias
  Tensor bias_hh;  ///< undefined without bias

 protected:
  RecurrentCellBase(std::string_view cell, int64_t gates, int64_t input_size, int64_t hidden_size,
                    bool bias, DType dtype);
  /// Returns the input as (N, input_size). Throws Error if it does not fit.
  Tensor checked_input(const Tensor& input) const;
  /// Returns a state as (N, hidden_size), or zeros if it is undefined. Throws Error if it does not
  /// fit.
  Tensor checked_state(const char* what, const Tensor& state, const Tensor& input) const;
  /// Returns the products of the input and of the state, with their biases.
  std::pair<Tensor, Tensor> products(const Tensor& rows, const Tensor& state) const;

 private:
  std::string cell_;
};

}  // namespace detail

/// Returns h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(..., 0) instead of tanh(...) with ReLU.
///
///     nn::RNNCell cell(10, 20);
///     Tensor h = zeros({3, 20});
///     for (int t = 0; t < 5; ++t) h = cell(randn({3, 10}), h);
class RNNCell : public detail::RecurrentCellBase {
 public:
  RNNCell(int64_t input_size, int64_t hidden_size, RNNCellOptions options = {});
  Tensor forward(const Tensor& input, const Tensor& hx = {}) const;
  Tensor operator()(const Tensor& input, const Tensor& hx = {}) const { return forward(input, hx); }
  std::string extra_repr() const override;
  RNNCell* operator->() { return this; }
  const RNNCell* operator->() const { return this; }

 private:
  RNNNonlinearity nonlinearity_;
};

/// Returns the next state of a GRU (gru_sequence).
class GRUCell : public detail::RecurrentCellBase {
 public:
  GRUCell(int64_t input_size, int64_t hidden_size, GRUCellOptions options = {});
  Tensor forward(const Tensor& input, const Tensor& hx = {}) const;
  Tensor operator()(const Tensor& input, const Tensor& hx = {}) const { return forward(input, hx); }
  GRUCell* operator->() { return this; }
  const GRUCell* operator->() const { return this; }
};

/// Returns the next states (h, c) of an LSTM (lstm_sequence).
class LSTMCell : public detail::RecurrentCellBase {
 public:
  LSTMCell(int64_t input_size, int64_t hidden_size, LSTMCellOptions options = {});
  LSTMState forward(const Tensor& input, const std::optional<LSTMState>& hx = {}) const;
  LSTMState operator()(const Tensor& input, const std::optional<LSTMState>& hx = {}) const {
    return forward(input, hx);
  }
  LSTMCell* operator->() { return this; }
  const LSTMCell* operator->() const { return this; }
};

}  // namespace ebb::nn
