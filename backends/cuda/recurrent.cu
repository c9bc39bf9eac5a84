// Steps of recurrent layers: a thread for each unit of a sequence.
#include "ebb/core/recurrent.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(kThreads)
    lstm_kernel(int64_t rows, int64_t n, const T* input, T* gates, const T* before, T* cell,
                T* tanh_cell, T* state) {
  for (int64_t at = first_item(); at < rows * n; at += item_step()) {
    const int64_t i = at / n * 3 * n + at;  // of the first gate
    const auto unit = LstmUnit<T>::forward(input[i] + gates[i], input[i + n] + gates[i + n],
                                           input[i + 2 * n] + gates[i + 2 * n],
                                           input[i + 3 * n] + gates[i + 3 * n], before[at]);
    gates[i] = unit.i;
    gates[i + n] = unit.f;
    gates[i + 2 * n] = unit.g;
    gates[i + 3 * n] = unit.o;
    cell[at] = unit.cell;
    tanh_cell[at] = unit.tanh_cell;
    state[at] = unit.state;
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    lstm_gradient_kernel(int64_t rows, int64_t n, const T* gates, const T* before,
                         const T* tanh_cell, const T* upstream, const T* by_state, T* by_cell,
                         T* by_gates) {
  for (int64_t at = first_item(); at < rows * n; at += item_step()) {
    const int64_t i = at / n * 3 * n + at;
    const T by = upstream ? by_state[at] + upstream[at] : by_state[at];
    const auto unit =
        LstmUnitGradient<T>::backward(gates[i], gates[i + n], gates[i + 2 * n], gates[i + 3 * n],
                                      tanh_cell[at], before[at], by, by_cell[at]);
    by_gates[i] = unit.i;
    by_gates[i + n] = unit.f;
    by_gates[i + 2 * n] = unit.g;
    by_gates[i + 3 * n] = unit.o;
    by_cell[at] = unit.cell;
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    gru_kernel(int64_t rows, int64_t n, const T* input, T* gates, const T* before, T* candidate,
               T* state) {
  for (int64_t at = first_item(); at < rows * n; at += item_step()) {
    const int64_t i = at / n * 2 * n + at;
    const auto unit = GruUnit<T>::forward(input[i] + gates[i], input[i + n] + gates[i + n],
                                          input[i + 2 * n], gates[i + 2 * n], before[at]);
    gates[i] = unit.r;
    gates[i + n] = unit.z;
    candidate[at] = unit.candidate;
    state[at] = unit.state;
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    gru_gradient_kernel(int64_t rows, int64_t n, const T* gates, const T* candidate,
                        const T* before, const T* upstream, T* by_state, T* by_gates,
                        T* by_candidate) {
  for (int64_t at = first_item(); at < rows * n; at += item_step()) {
    const int64_t i = at / n * 2 * n + at;
    const T by = upstream ? by_state[at] + upstream[at] : by_state[at];
    const auto unit = GruUnitGradient<T>::backward(gates[i], gates[i + n], candidate[at],
                                                   gates[i + 2 * n], before[at], by);
    by_gates[i] = unit.r;
    by_gates[i + n] = unit.z;
    by_gates[i + 2 * n] = unit.q;
    by_candidate[at] = unit.candidate;
    by_state[at] = unit.state;
  }
}

template <class T> const T* read(const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); }
template <class T> T* write(const Tensor& t) { return reinterpret_cast<T*>(Tensor(t).raw()); }
template <class T> const T* read(const Tensor* t) { return t ? read<T>(*t) : nullptr; }

class CudaRecurrent final : public RecurrentKernels {
 public:
  void lstm(const LstmStep& s) override {
    dispatch_floating(s.state.dtype(), [&]<class T>(T) {
      launch(lstm_kernel<T>, grid_for(s.state.numel()), kThreads, s.state.size(0), s.state.size(1),
             read<T>(s.input), write<T>(s.gates), read<T>(s.cell_before), write<T>(s.cell),
             write<T>(s.tanh_cell), write<T>(s.state));
    });
  }
  void lstm_backward(const LstmStepGradient& s) override {
    dispatch_floating(s.by_cell.dtype(), [&]<class T>(T) {
      launch(lstm_gradient_kernel<T>, grid_for(s.by_cell.numel()), kThreads, s.by_cell.size(0),
             s.by_cell.size(1), read<T>(s.gates), read<T>(s.cell_before), read<T>(s.tanh_cell),
             read<T>(s.upstream), read<T>(s.by_state), write<T>(s.by_cell), write<T>(s.by_gates));
    });
  }
  void gru(const GruStep& s) override {
    dispatch_floating(s.state.dtype(), [&]<class T>(T) {
      launch(gru_kernel<T>, grid_for(s.state.numel()), kThreads, s.state.size(0), s.state.size(1),
             read<T>(s.input), write<T>(s.gates), read<T>(s.before), write<T>(s.candidate),
             write<T>(s.state));
    });
  }
  void gru_backward(const GruStepGradient& s) override {
    dispatch_floating(s.by_state.dtype(), [&]<class T>(T) {
      launch(gru_gradient_kernel<T>, grid_for(s.by_state.numel()), kThreads, s.by_state.size(0),
             s.by_state.size(1), read<T>(s.gates), read<T>(s.candidate), read<T>(s.before),
             read<T>(s.upstream), write<T>(s.by_state), write<T>(s.by_gates),
             write<T>(s.by_candidate));
    });
  }
};

}  // namespace

RecurrentKernels& recurrent() {
  static CudaRecurrent kernels;
  return kernels;
}

}  // namespace ebb::cuda
