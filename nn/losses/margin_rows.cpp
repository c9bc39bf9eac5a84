#include "ebb/nn/losses/margin_rows.h"

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb::nn {
namespace {

struct MarginHinges {
  static constexpr std::string_view name = "margin_hinges";
  struct State {
    Saved input;
    Tensor target;
    MarginRows options;
  };
  static int shape(const Tensor&, const Tensor&, const MarginRows&) { return 0; }

  static MarginArgs arguments(const Tensor& input, const State& state) {
    const MarginRows& o = state.options;
    return {.input = &input,
            .target = &state.target,
            .weight = o.weight.defined() ? &o.weight : nullptr,
            .margin = o.margin,
            .p = o.p};
  }

  static Tensor forward(State& state, int, const Tensor& x, const Tensor& target,
                        const MarginRows& options) {
    state = {Saved(x), target.contiguous(), options};
    if (options.weight.defined()) state.options.weight = options.weight.contiguous();
    const Tensor dense = x.contiguous();
    Tensor losses = empty({x.size(0)}, {.dtype = x.dtype(), .device = x.device()});
    MarginArgs args = arguments(dense, state);
    args.losses = &losses;
    backend(x.device()).margin(args);
    return losses;
  }

  static std::array<Tensor, 2> backward(const State& state, const Tensor& g,
                                        const BackwardContext& context) {
    const Tensor x = state.input.get();
    if (context.create_graph) {
      const Tensor inputs[] = {alias(x)},
                   outputs[] = {state.options.composed(inputs[0], state.target, state.options)};
      return {ebb::detail::inner_grad(outputs, {&g, 1}, inputs, true)[0], Tensor()};
    }
    const Tensor dense = x.contiguous(), upstream = g.contiguous();
    Tensor gradient = empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
    MarginArgs args = arguments(dense, state);
    args.upstream = &upstream;
    args.gradient = &gradient;
    backend(x.device()).margin(args);
    return {gradient, Tensor()};
  }
};

}  // namespace

Tensor margin_rows(const Tensor& x, const Tensor& target, const MarginRows& options) {
  if (options.weight.defined() && options.weight.requires_grad())
    return options.composed(x, target, options);
  return apply<MarginHinges>(x, target, options);
}

}  // namespace ebb::nn
