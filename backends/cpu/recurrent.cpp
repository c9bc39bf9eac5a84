// Steps of recurrent layers: loops over the units of a row, vectorized, and rows in parallel.
#include "ebb/core/recurrent.h"

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/core/host_vector.h"

namespace ebb::cpu {
namespace {

template <class T>
EBB_MULTIVERSION void lstm_row(int64_t n, const T* input, T* gates, const T* before, T* cell,
                               T* tanh_cell, T* state) {
  T *i = gates, *f = gates + n, *g = gates + 2 * n, *o = gates + 3 * n;
  EBB_INDEPENDENT
  for (int64_t j = 0; j < n; ++j) {
    const auto unit =
        LstmUnit<T>::forward(input[j] + i[j], input[n + j] + f[j], input[2 * n + j] + g[j],
                             input[3 * n + j] + o[j], before[j]);
    i[j] = unit.i;
    f[j] = unit.f;
    g[j] = unit.g;
    o[j] = unit.o;
    cell[j] = unit.cell;
    tanh_cell[j] = unit.tanh_cell;
    state[j] = unit.state;
  }
}

template <class T>
EBB_MULTIVERSION void lstm_gradient_row(int64_t n, const T* gates, const T* before,
                                        const T* tanh_cell, const T* upstream, const T* by_state,
                                        T* by_cell, T* by_gates) {
  EBB_INDEPENDENT
  for (int64_t j = 0; j < n; ++j) {
    const T by = upstream ? by_state[j] + upstream[j] : by_state[j];
    const auto unit =
        LstmUnitGradient<T>::backward(gates[j], gates[n + j], gates[2 * n + j], gates[3 * n + j],
                                      tanh_cell[j], before[j], by, by_cell[j]);
    by_gates[j] = unit.i;
    by_gates[n + j] = unit.f;
    by_gates[2 * n + j] = unit.g;
    by_gates[3 * n + j] = unit.o;
    by_cell[j] = unit.cell;
  }
}

template <class T>
EBB_MULTIVERSION void gru_row(int64_t n, const T* input, T* gates, const T* before, T* candidate,
                              T* state) {
  T *r = gates, *z = gates + n;
  const T* q = gates + 2 * n;
  EBB_INDEPENDENT
  for (int64_t j = 0; j < n; ++j) {
    const auto unit = GruUnit<T>::forward(input[j] + r[j], input[n + j] + z[j], input[2 * n + j],
                                          q[j], before[j]);
    r[j] = unit.r;
    z[j] = unit.z;
    candidate[j] = unit.candidate;
    state[j] = unit.state;
  }
}

template <class T>
EBB_MULTIVERSION void gru_gradient_row(int64_t n, const T* gates, const T* candidate,
                                       const T* before, const T* upstream, T* by_state, T* by_gates,
                                       T* by_candidate) {
  EBB_INDEPENDENT
  for (int64_t j = 0; j < n; ++j) {
    const T by = upstream ? by_state[j] + upstream[j] : by_state[j];
    const auto unit = GruUnitGradient<T>::backward(gates[j], gates[n + j], candidate[j],
                                                   gates[2 * n + j], before[j], by);
    by_gates[j] = unit.r;
    by_gates[n + j] = unit.z;
    by_gates[2 * n + j] = unit.q;
    by_candidate[j] = unit.candidate;
    by_state[j] = unit.state;
  }
}

template <class T> const T* read(const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); }
template <class T> T* write(const Tensor& t) { return reinterpret_cast<T*>(Tensor(t).raw()); }
template <class T> const T* read(const Tensor* t) { return t ? read<T>(*t) : nullptr; }

// Calls body(row, n) for the rows of a (rows, n) matrix, in parallel.
template <class Body> void for_rows(const Tensor& x, const Body& body) {
  const int64_t n = x.size(1), grain = std::max<int64_t>(1, 2048 / std::max<int64_t>(n, 1));
  parallel_for(x.size(0), grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row, n);
  });
}

class CpuRecurrent final : public RecurrentKernels {
 public:
  void lstm(const LstmStep& s) override {
    dispatch_floating(s.state.dtype(), [&]<class T>(T) {
      for_rows(s.state, [&, input = read<T>(s.input), gates = write<T>(s.gates),
                         before = read<T>(s.cell_before), cell = write<T>(s.cell),
                         tanh_cell = write<T>(s.tanh_cell),
                         state = write<T>(s.state)](int64_t row, int64_t n) {
        const int64_t at = row * n;
        lstm_row(n, input + 4 * at, gates + 4 * at, before + at, cell + at, tanh_cell + at,
                 state + at);
      });
    });
  }
  void lstm_backward(const LstmStepGradient& s) override {
    dispatch_floating(s.by_cell.dtype(), [&]<class T>(T) {
      for_rows(s.by_cell, [&, gates = read<T>(s.gates), before = read<T>(s.cell_before),
                           tanh_cell = read<T>(s.tanh_cell), upstream = read<T>(s.upstream),
                           by_state = read<T>(s.by_state), by_cell = write<T>(s.by_cell),
                           by_gates = write<T>(s.by_gates)](int64_t row, int64_t n) {
        const int64_t at = row * n;
        lstm_gradient_row(n, gates + 4 * at, before + at, tanh_cell + at,
                          upstream ? upstream + at : nullptr, by_state + at, by_cell + at,
                          by_gates + 4 * at);
      });
    });
  }
  void gru(const GruStep& s) override {
    dispatch_floating(s.state.dtype(), [&]<class T>(T) {
      for_rows(s.state, [&, input = read<T>(s.input), gates = write<T>(s.gates),
                         before = read<T>(s.before), candidate = write<T>(s.candidate),
                         state = write<T>(s.state)](int64_t row, int64_t n) {
        const int64_t at = row * n;
        gru_row(n, input + 3 * at, gates + 3 * at, before + at, candidate + at, state + at);
      });
    });
  }
  void gru_backward(const GruStepGradient& s) override {
    dispatch_floating(s.by_state.dtype(), [&]<class T>(T) {
      for_rows(s.by_state, [&, gates = read<T>(s.gates), candidate = read<T>(s.candidate),
                            before = read<T>(s.before), upstream = read<T>(s.upstream),
                            by_state = write<T>(s.by_state), by_gates = write<T>(s.by_gates),
                            by_candidate = write<T>(s.by_candidate)](int64_t row, int64_t n) {
        const int64_t at = row * n;
        gru_gradient_row(n, gates + 3 * at, candidate + at, before + at,
                         upstream ? upstream + at : nullptr, by_state + at, by_gates + 3 * at,
                         by_candidate + at);
      });
    });
  }
};

}  // namespace

RecurrentKernels& recurrent() {
  static CpuRecurrent kernels;
  return kernels;
}

}  // namespace ebb::cpu
