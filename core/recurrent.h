// The kernels of a backend for one step of a recurrent layer: everything but its products.
#pragma once

#include "ebb/core/host_device.h"
#include "ebb/core/scalar.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// A unit of an LSTM after a step: the gates, the new cell and its tanh, and the new state.
template <class T> struct LstmUnit {
  T i, f, g, o, cell, tanh_cell, state;

  /// a_i ... a_o: the sums in the gates. before: the cell before the step.
  EBB_HD static LstmUnit forward(T a_i, T a_f, T a_g, T a_o, T before) {
    const T i = sigmoid(a_i), f = sigmoid(a_f), g = tanh(a_g), o = sigmoid(a_o);
    const T cell = f * before + i * g, squashed = tanh(cell);
    return {i, f, g, o, cell, squashed, o * squashed};
  }
};

/// The gradients of a unit of an LSTM by the sums in its gates and by the cell before the step.
template <class T> struct LstmUnitGradient {
  T i, f, g, o, cell;

  /// by_state, by_cell: the gradients of the new state and the new cell.
  EBB_HD static LstmUnitGradient backward(T i, T f, T g, T o, T tanh_cell, T before, T by_state,
                                          T by_cell) {
    const T c = by_cell + by_state * o * (1 - tanh_cell * tanh_cell);
    return {c * g * i * (1 - i), c * before * f * (1 - f), c * i * (1 - g * g),
            by_state * tanh_cell * o * (1 - o), c * f};
  }
};

/// A unit of a GRU after a step: the reset and update gates, the candidate and the new state.
template <class T> struct GruUnit {
  T r, z, candidate, state;

  /// a_r, a_z: the sums in the gates. a_n: the input's part of the candidate, q_n: the state's.
  EBB_HD static GruUnit forward(T a_r, T a_z, T a_n, T q_n, T before) {
    const T r = sigmoid(a_r), z = sigmoid(a_z), n = tanh(a_n + r * q_n);
    return {r, z, n, n + z * (before - n)};
  }
};

/// The gradients of a unit of a GRU by a_r, a_z, a_n and q_n, and by the state before the step
/// except through the products.
template <class T> struct GruUnitGradient {
  T r, z, candidate, q, state;

  EBB_HD static GruUnitGradient backward(T r, T z, T n, T q_n, T before, T by_state) {
    const T by_n = by_state * (1 - z) * (1 - n * n);
    return {by_n * q_n * r * (1 - r), by_state * (before - n) * z * (1 - z), by_n, by_n * r,
            by_state * z};
  }
};

/// All matrices are contiguous, with a row for each sequence and n columns for each gate.
struct LstmStep {
  const Tensor& input;  ///< (rows, 4 n): the input's part of the sums of i, f, g and o
  Tensor gates;         ///< (rows, 4 n): on entry the state's part of the sums, on return the gates
  const Tensor& cell_before;
  Tensor cell, tanh_cell, state;
};
struct LstmStepGradient {
  const Tensor &gates, &cell_before, &tanh_cell;
  const Tensor *upstream,
      &by_state;   ///< the new state's gradient is their sum; upstream can be null
  Tensor by_cell;  ///< on return the gradient of the cell before the step
  Tensor by_gates;
};
struct GruStep {
  const Tensor& input;  ///< (rows, 3 n): the input's part of the sums of r, z and the candidate
  Tensor gates;  ///< (rows, 3 n): on entry the state's part of the sums; r and z replace theirs
  const Tensor& before;
  Tensor candidate, state;
};
struct GruStepGradient {
  const Tensor &gates, &candidate, &before;
  const Tensor* upstream;  ///< is added to by_state, and can be null
  Tensor by_state;      ///< on return the gradient of the state before, except through the products
  Tensor by_gates;      ///< (rows, 3 n): of r, z and the state's part of the candidate
  Tensor by_candidate;  ///< of the input's part
};

class RecurrentKernels {
 public:
  virtual ~RecurrentKernels() = default;
  virtual void lstm(const LstmStep& step) = 0;
  virtual void lstm_backward(const LstmStepGradient& step) = 0;
  virtual void gru(const GruStep& step) = 0;
  virtual void gru_backward(const GruStepGradient& step) = 0;
};

}  // namespace ebb
