// A sequence is one node. Its forward and its first-order gradient are loops over the steps that
// write into place, with one product a step; the gradients of the weight and the bias are one
// product over all steps at the end. Higher orders are those of the same computation in recorded
// ops.
#include "ebb/autograd/ops/recurrent.h"

#include <algorithm>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/formulas/recurrent.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/recurrent_steps.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/recurrent.h"

namespace ebb {

using namespace formulas;

Tensor detail::rnn_step(const Tensor& gates, const Tensor& q, bool relu) {
  return relu ? pointwise(GateRelu{}, gates, q) : pointwise(GateTanh{}, gates, q);
}

Tensor detail::gru_step(const Tensor& gates, const Tensor& q, const Tensor& h) {
  const int64_t n = h.size(1);
  const auto part = [n](const Tensor& x, int64_t i) { return narrow(x, 1, i * n, n); };
  const Tensor r = pointwise(GateSigmoid{}, part(gates, 0), part(q, 0));
  const Tensor z = pointwise(GateSigmoid{}, part(gates, 1), part(q, 1));
  const Tensor candidate = pointwise(GruCandidate{}, part(gates, 2), r, part(q, 2));
  return pointwise(GruState{}, candidate, z, h);
}

std::tuple<Tensor, Tensor> detail::lstm_step(const Tensor& gates, const Tensor& q,
                                             const Tensor& c) {
  const int64_t n = c.size(1);
  const auto part = [n](const Tensor& x, int64_t i) { return narrow(x, 1, i * n, n); };
  const Tensor i = pointwise(GateSigmoid{}, part(gates, 0), part(q, 0));
  const Tensor f = pointwise(GateSigmoid{}, part(gates, 1), part(q, 1));
  const Tensor g = pointwise(GateTanh{}, part(gates, 2), part(q, 2));
  const Tensor o = pointwise(GateSigmoid{}, part(gates, 3), part(q, 3));
  const Tensor cell = pointwise(LstmCell{}, f, c, i, g);
  return {pointwise(LstmState{}, o, cell), cell};
}

namespace {

enum class Cell { Tanh, Relu, Gru, Lstm };

constexpr int64_t gates_of(Cell cell) { return cell == Cell::Gru ? 3 : cell == Cell::Lstm ? 4 : 1; }

struct Inputs {
  Tensor gates, weight, bias, h0, c0, projection;
};

// The rows of x in front, replaced by `front`.
Tensor with_front(const Tensor& front, const Tensor& x) {
  const int64_t n = front.size(0), all = x.size(0);
  return n == all ? front : cat({front, narrow(x, 0, n, all - n)});
}

// The results in recorded ops: the states of all rows, the last state and, of an LSTM, the last
// cell.
std::vector<Tensor> composed(Cell cell, const Inputs& in, const StepList& steps) {
  Tensor h = in.h0, c = in.c0;
  std::vector<Tensor> states(steps.sizes().size());
  for (size_t i = 0; i < steps.count(); ++i) {
    const size_t t = steps.at(i);
    const int64_t rows = steps.sizes()[t];
    if (rows == 0) continue;
    const Tensor gates = narrow(in.gates, 0, steps.starts()[t], rows);
    const Tensor before = narrow(h, 0, 0, rows);
    const Tensor q = linear(before, in.weight, in.bias);
    Tensor next;
    if (cell == Cell::Gru) {
      next = detail::gru_step(gates, q, before);
    } else if (cell == Cell::Lstm) {
      Tensor next_c;
      std::tie(next, next_c) = detail::lstm_step(gates, q, narrow(c, 0, 0, rows));
      if (in.projection.defined()) next = linear(next, in.projection);
      c = with_front(next_c, c);
    } else {
      next = detail::rnn_step(gates, q, cell == Cell::Relu);
    }
    states[t] = next;
    h = with_front(next, h);
  }
  std::erase_if(states, [](const Tensor& x) { return !x.defined(); });
  const Tensor none = narrow(in.h0, 0, 0, 0);
  std::vector<Tensor> results{states.empty() ? none : cat(states), h};
  if (cell == Cell::Lstm) results.push_back(c);
  return results;
}

void check_shape(std::string_view op, const char* what, const Tensor& x, const Shape& expected,
                 const Tensor& like) {
  if (!x.defined() || !(x.shape() == expected))
    fail(op, what, " ", x.defined() ? to_text(x.shape()) : "undefined", ": expected ", expected);
  const Tensor* both[] = {&like, &x};
  check_same_kind(op, both);
}

void check_inputs(std::string_view op, Cell cell, const Inputs& in, const SequenceSteps& steps) {
  check_floating(op, in.gates);
  const std::vector<int64_t>& sizes = steps.batch_sizes;
  if (!std::ranges::is_sorted(sizes, std::greater<>()) || (!sizes.empty() && sizes.back() < 0))
    fail(op, "batch_sizes must not increase or be negative");
  int64_t rows = 0;
  for (int64_t size : sizes) rows += size;
  if (!in.h0.defined() || in.h0.dim() != 2) fail(op, "h0 must be (B, H)");
  const int64_t width = in.projection.defined()
                            ? in.projection.dim() == 2 ? in.projection.size(1) : 0
                        : in.c0.defined() ? in.c0.size(-1)
                                          : in.h0.size(1);
  const int64_t out = in.h0.size(1), batch = in.h0.size(0), all = gates_of(cell) * width;
  if (!sizes.empty() && sizes[0] != batch)
    fail(op, "batch_sizes start with ", sizes[0], ": expected the ", batch, " rows of h0");
  check_shape(op, "gates", in.gates, {rows, all}, in.gates);
  check_shape(op, "weight", in.weight, {all, out}, in.gates);
  if (in.bias.defined()) check_shape(op, "bias", in.bias, {all}, in.gates);
  check_shape(op, "h0", in.h0, {batch, out}, in.gates);
  if (cell != Cell::Lstm) return;
  check_shape(op, "c0", in.c0, {batch, width}, in.gates);
  if (in.projection.defined()) check_shape(op, "projection", in.projection, {out, width}, in.gates);
  else if (out != width) fail(op, "c0 ", in.c0.shape(), " does not match h0 ", in.h0.shape());
}

// Values that the loops keep for the gradient. gates: of a GRU r, z and the products of the states
// in the candidate; of an LSTM i, f, g and o.
struct Kept {
  Tensor gates, candidate, tanh_cell;
};

template <Cell kCell> struct Sequence {
  static constexpr std::string_view name = kCell == Cell::Gru    ? "gru"
                                           : kCell == Cell::Lstm ? "lstm"
                                                                 : "rnn";
  static constexpr size_t kOutputs = kCell == Cell::Lstm ? 3 : 2;
  struct State {
    std::array<Saved, 5> inputs;   // gates, weight, bias, h0, c0
    std::array<Saved, 2> outputs;  // the states; the cells, which are not an output
    Kept kept;
    SequenceSteps steps;
  };

  // The last option tells observers which cell an "rnn" has.
  static int shape(const Tensor& gates, const Tensor& weight, const Tensor& bias, const Tensor& h0,
                   const Tensor& c0, const SequenceSteps& steps, bool) {
    check_inputs(name, kCell, {gates, weight, bias, h0, c0, {}}, steps);
    return 0;
  }

  static std::array<Tensor, kOutputs> forward(State& state, int, const Tensor& gates,
                                              const Tensor& weight, const Tensor& bias,
                                              const Tensor& h0, const Tensor& c0,
                                              const SequenceSteps& given, bool) {
    const StepList steps(given);
    StepLoop loop{gates.contiguous(), weight, bias.defined() ? bias.contiguous() : bias};
    const int64_t rows = gates.size(0), n = h0.size(1);
    const auto make = [&](int64_t columns) { return empty({rows, columns}, options_like(gates)); };
    Tensor out = make(n), cells = kCell == Cell::Lstm ? make(n) : Tensor();
    loop.q = make(gates_of(kCell) * n);
    Kept kept;
    if constexpr (kCell == Cell::Gru) kept.candidate = make(n);
    if constexpr (kCell == Cell::Lstm) kept.tanh_cell = make(n);
    RecurrentKernels& kernels = backend(gates.device()).recurrent();
    const PreviousRows states(out, h0.contiguous(), steps);
    const PreviousRows earlier(cells, c0.defined() ? c0.contiguous() : c0, steps);
    for (size_t i = 0; i < steps.count(); ++i) {
      const StepRows at = steps.rows(i);
      if (at.count == 0) continue;
      const Tensor before = states.at(i), a = at.of(loop.gates), q = loop.product(at, before);
      Tensor next = at.of(out);
      if constexpr (kCell == Cell::Tanh) {
        compute(next, GateTanh{}, a, q);
      } else if constexpr (kCell == Cell::Relu) {
        compute(next, GateRelu{}, a, q);
      } else if constexpr (kCell == Cell::Gru) {
        kernels.gru({a, q, before, at.of(kept.candidate), next});
      } else {
        kernels.lstm({a, q, earlier.at(i), at.of(cells), at.of(kept.tanh_cell), next});
      }
    }
    if constexpr (kCell == Cell::Gru || kCell == Cell::Lstm) kept.gates = loop.q;
    state = {{Saved(gates), Saved(weight), Saved(bias), Saved(h0), Saved(c0)},
             {Saved::output(out), Saved(cells)},
             std::move(kept),
             given};
    if constexpr (kCell == Cell::Lstm) return {out, states.last(), earlier.last()};
    else return {out, states.last()};
  }

  static std::array<Tensor, 5> backward(const State& state, std::span<const Tensor> upstream,
                                        const BackwardContext& context) {
    const StepList steps(state.steps);
    if (context.create_graph) return recorded(state, steps, upstream, context);
    std::array<Tensor, 5> in;
    for (size_t i = 0; i < in.size(); ++i) in[i] = state.inputs[i].get();
    const Tensor out = state.outputs[0].get(), &weight = in[1];
    const int64_t n = out.size(1), rows = out.size(0), all = gates_of(kCell) * n;
    const Tensor before = PreviousRows(out, in[3].contiguous(), steps).all();
    const Tensor given = upstream[0].defined() ? upstream[0].contiguous() : Tensor();
    Tensor by_h = start(upstream[1], in[3]), by_c;
    Tensor by_q = empty({rows, all}, options_like(out));
    Tensor by_candidate = kCell == Cell::Gru ? empty({rows, n}, options_like(out)) : Tensor();
    Tensor earlier;
    if constexpr (kCell == Cell::Lstm) {
      by_c = start(upstream[2], in[4]);
      earlier = PreviousRows(state.outputs[1].peek(), in[4].contiguous(), steps).all();
    }
    RecurrentKernels& kernels = backend(out.device()).recurrent();
    const Kept& kept = state.kept;
    const Tensor scratch = empty({kCell == Cell::Lstm ? 0 : steps.most(), n}, options_like(out));
    for (size_t i = steps.count(); i-- > 0;) {
      const StepRows at = steps.rows(i);
      if (at.count == 0) continue;
      Tensor to = narrow(by_h, 0, 0, at.count), gates = at.of(by_q);
      const Tensor from_step = given.defined() ? at.of(given) : Tensor();
      const Tensor* here = given.defined() ? &from_step : nullptr;
      if constexpr (kCell == Cell::Gru) {
        kernels.gru_backward({at.of(kept.gates), at.of(kept.candidate), at.of(before), here, to,
                              gates, at.of(by_candidate)});
        Tensor part = StepRows{0, at.count}.of(scratch);
        product_into(part, gates, weight);
        compute(to, GateSum{}, to, part);
      } else if constexpr (kCell == Cell::Lstm) {
        kernels.lstm_backward({at.of(kept.gates), at.of(earlier), at.of(kept.tanh_cell), here, to,
                               narrow(by_c, 0, 0, at.count), gates});
        product_into(to, gates, weight);
      } else {
        Tensor g = to;
        if (here) {
          g = StepRows{0, at.count}.of(scratch);
          compute(g, GateSum{}, to, *here);
        }
        if constexpr (kCell == Cell::Tanh) compute(gates, GateTanhBackward{}, g, at.of(out));
        else compute(gates, GateReluBackward{}, g, at.of(out));
        product_into(to, gates, weight);
      }
    }
    std::array<Tensor, 5> result;
    if (context.needs(0)) {
      result[0] = kCell == Cell::Gru ? cat({columns(by_q, 0, 2, n), by_candidate}, 1) : by_q;
    }
    const bool wants_bias = state.inputs[2].defined() && context.needs(2);
    if (context.needs(1) || wants_bias) {
      const auto [by_weight, by_bias] = weight_gradients(by_q, before, wants_bias);
      result[1] = by_weight;
      result[2] = by_bias;
    }
    result[3] = by_h;
    result[4] = by_c;
    return result;
  }

 private:
  static Tensor start(const Tensor& upstream, const Tensor& like) {
    return upstream.defined() ? upstream.clone().contiguous()
                              : zeros(like.shape(), options_like(like));
  }

  static std::array<Tensor, 5> recorded(const State& state, const StepList& steps,
                                        std::span<const Tensor> upstream,
                                        const BackwardContext& context) {
    std::array<Tensor, 5> in;
    std::vector<Tensor> wanted;
    std::vector<size_t> numbers;
    for (size_t i = 0; i < in.size(); ++i) {
      if (!state.inputs[i].defined()) continue;
      in[i] = state.inputs[i].get();
      if (!context.needs(static_cast<int>(i))) continue;
      in[i] = alias(in[i]);
      wanted.push_back(in[i]);
      numbers.push_back(i);
    }
    const std::vector<Tensor> all = composed(kCell, {in[0], in[1], in[2], in[3], in[4], {}}, steps);
    std::vector<Tensor> outputs, seeds;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!upstream[i].defined() || !all[i].requires_grad()) continue;
      outputs.push_back(all[i]);
      seeds.push_back(upstream[i]);
    }
    const std::vector<Tensor> found = detail::inner_grad(outputs, seeds, wanted, true);
    std::array<Tensor, 5> result;
    for (size_t i = 0; i < found.size(); ++i) result[numbers[i]] = found[i];
    return result;
  }
};

}  // namespace

std::tuple<Tensor, Tensor> rnn_sequence(const TensorArg& gates, const Tensor& weight,
                                        const Tensor& bias, const Tensor& h0,
                                        const SequenceSteps& steps, bool relu) {
  const auto [out, last] =
      relu ? apply<Sequence<Cell::Relu>>(*gates, weight, bias, h0, Tensor(), steps, true)
           : apply<Sequence<Cell::Tanh>>(*gates, weight, bias, h0, Tensor(), steps, false);
  return {out, last};
}

std::tuple<Tensor, Tensor> gru_sequence(const TensorArg& gates, const Tensor& weight,
                                        const Tensor& bias, const Tensor& h0,
                                        const SequenceSteps& steps) {
  const auto [out, last] =
      apply<Sequence<Cell::Gru>>(*gates, weight, bias, h0, Tensor(), steps, false);
  return {out, last};
}

std::tuple<Tensor, Tensor, Tensor> lstm_sequence(const TensorArg& gates, const Tensor& weight,
                                                 const Tensor& bias, const Tensor& h0,
                                                 const Tensor& c0, const SequenceSteps& steps,
                                                 const Tensor& projection) {
  if (projection.defined()) {
    const CompositeScope scope(gates);
    const Inputs in{*gates, weight, bias, h0, c0, projection};
    check_inputs("lstm", Cell::Lstm, in, steps);
    const std::vector<Tensor> results = composed(Cell::Lstm, in, StepList(steps));
    return {results[0], results[1], results[2]};
  }
  const auto [out, last, cell] =
      apply<Sequence<Cell::Lstm>>(*gates, weight, bias, h0, c0, steps, false);
  return {out, last, cell};
}

}  // namespace ebb
