#include "ebb/nn/layers/recurrent_cells.h"

#include <cmath>

#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/recurrent.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"

namespace ebb::nn {
namespace detail {

RecurrentCellBase::RecurrentCellBase(std::string_view cell, int64_t gates, int64_t input_size,
                                     int64_t hidden_size, bool bias, DType dtype)
    : cell_(cell) {
  if (input_size < 1 || hidden_size < 1) {
    fail(cell, "expected at least 1 input and 1 hidden feature, got ", input_size, " and ",
         hidden_size);
  }
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size));
  const int64_t rows = checked_mul(cell, gates, hidden_size);
  const auto add = [&](std::string_view name, const Shape& shape) {
    Tensor value = empty(shape, {.dtype = dtype});
    uniform_(value, -bound, bound);
    return add_parameter(name, value);
  };
  weight_ih = add("weight_ih", {rows, input_size});
  weight_hh = add("weight_hh", {rows, hidden_size});
  if (!bias) return;
  bias_ih = add("bias_ih", {rows});
  bias_hh = add("bias_hh", {rows});
}

std::string RecurrentCellBase::extra_repr() const {
  return std::to_string(weight_ih.size(1)) + ", " + std::to_string(weight_hh.size(1)) +
         (bias_ih.defined() ? "" : ", bias=False");
}

Tensor RecurrentCellBase::checked_input(const Tensor& input) const {
  check_defined(cell_, input);
  const int64_t size = weight_ih.size(1);
  if ((input.dim() != 1 && input.dim() != 2) || input.size(-1) != size) {
    fail(cell_, "input ", input.shape(), " does not fit: expected (N, ", size, ") or ",
         Shape{size});
  }
  if (input.dtype() != weight_ih.dtype() || input.device() != weight_ih.device()) {
    fail(cell_, "input ", input, " does not fit the parameters: expected ", weight_ih.dtype(),
         " on ", weight_ih.device());
  }
  return input.dim() == 1 ? unsqueeze(input, 0) : input;
}

Tensor RecurrentCellBase::checked_state(const char* what, const Tensor& state,
                                        const Tensor& input) const {
  const int64_t size = weight_hh.size(1);
  const Shape expected = input.dim() == 1 ? Shape{size} : Shape{input.size(0), size};
  if (!state.defined()) {
    return zeros({input.dim() == 1 ? 1 : input.size(0), size}, options_like(input));
  }
  if (!(state.shape() == expected) || state.dtype() != input.dtype() ||
      state.device() != input.device()) {
    fail(cell_, what, " ", state, " does not fit: expected ", input.dtype(), " ", expected, " on ",
         input.device());
  }
  return input.dim() == 1 ? unsqueeze(state, 0) : state;
}

std::pair<Tensor, Tensor> RecurrentCellBase::products(const Tensor& rows,
                                                      const Tensor& state) const {
  return {linear(rows, weight_ih, bias_ih), linear(state, weight_hh, bias_hh)};
}

}  // namespace detail

namespace {
Tensor like_input(const Tensor& rows, const Tensor& input) {
  return input.dim() == 1 ? squeeze(rows, 0) : rows;
}
}  // namespace

std::string RNNCell::extra_repr() const {
  return RecurrentCellBase::extra_repr() +
         (nonlinearity_ == RNNNonlinearity::ReLU ? ", nonlinearity=relu" : "");
}

RNNCell::RNNCell(int64_t input_size, int64_t hidden_size, RNNCellOptions options)
    : RecurrentCellBase("RNNCell", 1, input_size, hidden_size, options.bias, options.dtype),
      nonlinearity_(options.nonlinearity) {}

Tensor RNNCell::forward(const Tensor& input, const Tensor& hx) const {
  const Tensor rows = checked_input(input), h = checked_state("h", hx, input);
  const auto [gates, q] = products(rows, h);
  return like_input(ebb::detail::rnn_step(gates, q, nonlinearity_ == RNNNonlinearity::ReLU), input);
}

GRUCell::GRUCell(int64_t input_size, int64_t hidden_size, GRUCellOptions options)
    : RecurrentCellBase("GRUCell", 3, input_size, hidden_size, options.bias, options.dtype) {}

Tensor GRUCell::forward(const Tensor& input, const Tensor& hx) const {
  const Tensor rows = checked_input(input), h = checked_state("h", hx, input);
  const auto [gates, q] = products(rows, h);
  return like_input(ebb::detail::gru_step(gates, q, h), input);
}

LSTMCell::LSTMCell(int64_t input_size, int64_t hidden_size, LSTMCellOptions options)
    : RecurrentCellBase("LSTMCell", 4, input_size, hidden_size, options.bias, options.dtype) {}

LSTMState LSTMCell::forward(const Tensor& input, const std::optional<LSTMState>& hx) const {
  const Tensor rows = checked_input(input);
  const Tensor h = checked_state("h", hx ? std::get<0>(*hx) : Tensor(), input);
  const Tensor c = checked_state("c", hx ? std::get<1>(*hx) : Tensor(), input);
  const auto [gates, q] = products(rows, h);
  const auto [next_h, next_c] = ebb::detail::lstm_step(gates, q, c);
  return {like_input(next_h, input), like_input(next_c, input)};
}

}  // namespace ebb::nn
