// Recurrent cells over all time steps of one layer in one direction. nn/layers/recurrent.h builds
// RNN, GRU and LSTM from them.
//
// A batch of sequences is packed: the rows of step 0, then those of step 1, and so on. Step t has
// batch_sizes[t] rows, one for each sequence that is longer than t; the longest sequences come
// first, so that the sizes do not increase. `gates` contains the products of the inputs with their
// weights, for all rows. The functions here add the products of the states, step by step.
#pragma once

#include <tuple>
#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The time steps of a packed batch, and their direction.
struct SequenceSteps {
  std::vector<int64_t> batch_sizes;  ///< of each step, not increasing
  bool reverse = false;              ///< from the last step to the first
};

/// Runs h' = f(gates + h weight^T + bias) over the steps, f = tanh, or max(., 0) with relu.
///
/// gates (rows, H), weight (H, H), bias (H) or undefined, h0 (B, H) with B sequences. Returns the
/// states of all rows (rows, H) and the last state of each sequence (B, H). Derivative: by all
/// four, of every order. Throws Error where shapes do not fit.
///
/// Struct: Sequence in recurrent.cpp. Test: rnn in rows_recurrent.cpp.
std::tuple<Tensor, Tensor> rnn_sequence(const TensorArg& gates, const Tensor& weight,
                                        const Tensor& bias, const Tensor& h0,
                                        const SequenceSteps& steps, bool relu = false);

/// Runs a gated recurrent unit (Cho et al. 2014, in torch's form) over the steps:
///
///     r = sigmoid(gates_r + q_r),  z = sigmoid(gates_z + q_z),
///     n = tanh(gates_n + r q_n),   h' = (1 - z) n + z h
///
/// where q = h weight^T + bias. gates (rows, 3 H), weight (3 H, H), bias (3 H) or undefined, h0 (B,
/// H). Returns the states (rows, H) and the last ones (B, H). Derivative: by all four, of every
/// order.
///
/// Struct: Sequence in recurrent.cpp. Test: gru in rows_recurrent.cpp.
std::tuple<Tensor, Tensor> gru_sequence(const TensorArg& gates, const Tensor& weight,
                                        const Tensor& bias, const Tensor& h0,
                                        const SequenceSteps& steps);

/// Runs a long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates) over the
/// steps:
///
///     i, f, o = sigmoid(gates + q),  g = tanh(gates_g + q_g),  c' = f c + i g,  h' = o tanh(c')
///
/// where q = h weight^T + bias, in the order i, f, g, o. gates (rows, 4 H), weight (4 H, H), bias
/// (4 H) or undefined, h0 and c0 (B, H). projection (P, H), where defined, is applied to each
/// state: h' = o tanh(c') projection^T; then weight is (4 H, P) and h0 (B, P). Returns the states
/// (rows, H or P), and the last state and cell of each sequence. Derivative: by all inputs, of
/// every order.
///
/// Struct: Sequence in recurrent.cpp. Test: lstm in rows_recurrent.cpp.
std::tuple<Tensor, Tensor, Tensor> lstm_sequence(const TensorArg& gates, const Tensor& weight,
                                                 const Tensor& bias, const Tensor& h0,
                                                 const Tensor& c0, const SequenceSteps& steps,
                                                 const Tensor& projection = {});

namespace detail {
/// Return the state after one step, from the products of the input (gates) and of the state (q).
Tensor rnn_step(const Tensor& gates, const Tensor& q, bool relu);
Tensor gru_step(const Tensor& gates, const Tensor& q, const Tensor& h);
/// Returns (h', c') before a projection.
std::tuple<Tensor, Tensor> lstm_step(const Tensor& gates, const Tensor& q, const Tensor& c);
}  // namespace detail

}  // namespace ebb
