// Formulas of the gates of recurrent cells, and of their first-order gradients. Documented with the
// ops in autograd/ops/recurrent.h. The gradients are computed from the gates' values, so that
// nothing is computed twice; they have no gradient of their own, because higher orders come from
// the formulas of the gates.
#pragma once

#include <string_view>

#include "ebb/core/formula.h"

namespace ebb::formulas {

/// sigmoid(a + b): most gates.
struct GateSigmoid {
  static constexpr std::string_view name = "gate_sigmoid";
  template <class T> EBB_HD T operator()(T a, T b) const { return sigmoid(a + b); }
};

/// tanh(a + b): the state of a simple cell, and the candidate of an LSTM.
struct GateTanh {
  static constexpr std::string_view name = "gate_tanh";
  template <class T> EBB_HD T operator()(T a, T b) const { return tanh(a + b); }
};

/// max(a + b, 0)
struct GateRelu {
  static constexpr std::string_view name = "gate_relu";
  template <class T> EBB_HD T operator()(T a, T b) const { return relu(a + b); }
};

/// tanh(a + r q): the candidate of a GRU, whose state q is reset by r.
struct GruCandidate {
  static constexpr std::string_view name = "gru_candidate";
  template <class T> EBB_HD T operator()(T a, T r, T q) const { return tanh(a + r * q); }
};

/// (1 - z) n + z h: the new state of a GRU.
struct GruState {
  static constexpr std::string_view name = "gru_state";
  template <class T> EBB_HD T operator()(T n, T z, T h) const { return n + z * (h - n); }
};

/// f c + i g: the new cell of an LSTM.
struct LstmCell {
  static constexpr std::string_view name = "lstm_cell";
  template <class T> EBB_HD T operator()(T f, T c, T i, T g) const { return f * c + i * g; }
};

/// o tanh(c): the new state of an LSTM.
struct LstmState {
  static constexpr std::string_view name = "lstm_state";
  template <class T> EBB_HD T operator()(T o, T c) const { return o * tanh(c); }
};

// ---- gradients; d is the upstream of what the gate gives ----

struct GateGradient {
  static constexpr std::string_view name = "gate_backward";
  static constexpr bool no_gradient = true;
};

/// Of tanh, from its value: d (1 - y^2).
struct GateTanhBackward : GateGradient {
  template <class T> EBB_HD T operator()(T d, T y) const { return d * (1 - y * y); }
};

/// Of relu, from its value.
struct GateReluBackward : GateGradient {
  template <class T> EBB_HD T operator()(T d, T y) const { return where(y <= 0, T(0), d); }
};

struct GateSum : GateGradient {
  template <class T> EBB_HD T operator()(T a, T b) const { return a + b; }
};

}  // namespace ebb::formulas
