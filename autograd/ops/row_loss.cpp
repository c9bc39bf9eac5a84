#include "ebb/autograd/ops/row_loss.h"

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

using Form = CrossEntropyRows::Form;

struct CrossEntropy {
  static constexpr std::string_view name = "cross_entropy";
  struct State {
    Saved input;
    Tensor target, gradient;  // gradient of the scalar, if the forward pass computed it
    CrossEntropyRows options;
  };

  // The backend checks class indices while it computes the losses.
  static int shape(const Tensor&, const Tensor&, const CrossEntropyRows&, bool) { return 0; }
  static bool ignores_unit_seed(const State& state) { return state.gradient.defined(); }

  static CrossEntropyArgs arguments(const Tensor& input, const Tensor& target,
                                    const CrossEntropyRows& o) {
    CrossEntropyArgs args{.input = &input, .target = &target};
    if (o.weight.defined()) args.weight = &o.weight;
    args.ignore_index = o.ignore_index;
    args.label_smoothing = o.label_smoothing;
    args.mean = o.form == Form::Mean;
    return args;
  }

  static Tensor forward(State& state, int, const Tensor& input, const Tensor& target,
                        const CrossEntropyRows& options, bool wants_gradient) {
    const Tensor dense = input.contiguous(), dense_target = target.contiguous();
    state.options = options;
    if (options.weight.defined()) state.options.weight = options.weight.detach().contiguous();
    CrossEntropyArgs args = arguments(dense, dense_target, state.options);
    const TensorOptions like{.dtype = input.dtype(), .device = input.device()};
    Tensor out = empty(options.form == Form::None ? target.shape() : Shape{}, like);
    (options.form == Form::None ? args.losses : args.total) = &out;
    if (wants_gradient && options.form != Form::None) {
      state.gradient = empty(input.shape(), like);
      args.gradient = &state.gradient;
    }
    backend(input.device()).cross_entropy(args);
    state.input = Saved(input);
    state.target = dense_target;
    return out;
  }

  static std::array<Tensor, 2> backward(State& state, const Tensor& g,
                                        const BackwardContext& context) {
    const Tensor input = state.input.get();
    if (context.create_graph) return {recorded(state, input, g), Tensor()};
    if (state.gradient.defined()) {
      if (context.unit_seed && !context.retain_graph) return {std::move(state.gradient), Tensor()};
      return {mul(state.gradient, g), Tensor()};
    }
    const Tensor dense = input.contiguous(), upstream = g.contiguous();
    CrossEntropyArgs args = arguments(dense, state.target, state.options);
    Tensor gradient = empty(input.shape(), {.dtype = g.dtype(), .device = g.device()});
    args.upstream = &upstream;
    args.gradient = &gradient;
    backend(input.device()).cross_entropy(args);
    return {gradient, Tensor()};
  }

  // Computes g (A softmax(x) - a) with public ops, for higher orders. a, A and the mask of ignored
  // rows are constants.
  static Tensor recorded(const State& state, const Tensor& x, const Tensor& g) {
    const CrossEntropyRows& o = state.options;
    if (x.dim() == 2) {  // as (N, C, 1)
      const State column{{}, unsqueeze(state.target, 1), {}, o};
      return squeeze(recorded(column, unsqueeze(x, 2), o.form == Form::None ? unsqueeze(g, 1) : g),
                     2);
    }
    const int64_t classes = x.size(1);
    const double smoothing = o.label_smoothing;
    const TensorOptions like{.dtype = x.dtype(), .device = x.device()};
    const Tensor target = state.target.to(DType::I64);
    const Tensor ignored = unsqueeze(eq(target, full({}, static_cast<double>(o.ignore_index),
                                                     {.dtype = DType::I64, .device = x.device()})),
                                     1);
    const Tensor safe = where(squeeze(ignored, 1), zeros_like(target), target);
    const Tensor weight =
        reshape(o.weight.defined() ? o.weight : ones({classes}, like), {1, classes, 1});
    // (N, C, inner)
    const Tensor hits = mul(transpose(one_hot(safe, classes, x.dtype()), 1, 2), weight);
    Tensor a = add(mul(hits, 1 - smoothing), mul(weight, smoothing / static_cast<double>(classes)));
    const Tensor zero = zeros({}, like);
    if (o.form == Form::Mean) a = div(a, sum(where(ignored, zero, hits)));
    a = where(ignored, zero, a);
    const Tensor clean = where(ignored, zero, x);
    const Tensor gradient = sub(mul(softmax(clean, 1), sum(a, {1}, true)), a);
    return mul(gradient, o.form == Form::None ? unsqueeze(g, 1) : g);
  }
};

}  // namespace

Tensor cross_entropy_rows(const TensorArg& input, const Tensor& target,
                          const CrossEntropyRows& options) {
  return apply<CrossEntropy>(*input, target, options, grad_enabled() && input->requires_grad());
}

}  // namespace ebb
