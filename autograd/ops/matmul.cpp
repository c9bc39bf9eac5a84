#include "ebb/autograd/ops/matmul.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/formulas/activation.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

void check_operands(std::string_view op, std::initializer_list<const Tensor*> operands) {
  for (const Tensor* t : operands) {
    if (t->defined()) check_floating(op, *t);
    else check_defined(op, *t);
  }
  check_same_kind(op, std::span(operands.begin(), operands.size()));
}

// (batch, m, k) (batch, k, n) -> (batch, m, n)
struct BatchedMatmul {
  static constexpr std::string_view name = "matmul";
  struct State {
    Saved a, b;
  };
  static Shape shape(const Tensor& a, const Tensor& b) {
    return {a.shape()[0], a.shape()[1], b.shape()[2]};
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& a, const Tensor& b) {
    state = {Saved(a), Saved(b)};
    Tensor out = empty(shape, {.dtype = a.dtype(), .device = a.device()});
    backend(a.device()).matmul({.a = &a, .b = &b, .out = &out});
    return out;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g,
                                        const BackwardContext& context) {
    const Tensor a = state.a.get(), b = state.b.get();
    return {context.needs(0) ? apply<BatchedMatmul>(g, transpose(b)) : Tensor(),
            context.needs(1) ? apply<BatchedMatmul>(transpose(a), g) : Tensor()};
  }
};

Tensor matmul_2d(const Tensor& a, const Tensor& b) {
  return squeeze(apply<BatchedMatmul>(unsqueeze(a, 0), unsqueeze(b, 0)), 0);
}

// Returns a matrix, or its transpose, as a batch of one.
Tensor as_batch(const Tensor& x, bool transposed) {
  const Shape &n = x.shape(), &step = x.strides();
  return transposed ? make_view(x, {1, n[1], n[0]}, {0, step[1], step[0]})
                    : make_view(x, {1, n[0], n[1]}, {0, step[0], step[1]});
}

// Returns the product of two matrices without recording it.
class PlainProduct {
 public:
  PlainProduct(const Tensor& a, bool a_transposed, const Tensor& b)
      : left_(as_batch(a, a_transposed)),
        right_(as_batch(b, false)),
        out_(empty({left_.shape()[1], right_.shape()[2]},
                   {.dtype = a.dtype(), .device = a.device()})) {}
  PlainProduct(const PlainProduct&) = delete;
  PlainProduct& operator=(const PlainProduct&) = delete;

  MatmulArgs args() { return {.a = &left_, .b = &right_, .out = &out_}; }
  Tensor take() { return std::move(out_); }

 private:
  Tensor left_, right_, out_;
};

// Computes the gradients g weight of the input and g^T x of the weight, each if its operand is
// given, and both in one call. The second one writes the sums of g's columns to bias, and the first
// one applies zero_mask, if they are given.
void linear_gradients(const Tensor& g, const Tensor* weight, const Tensor* x, Tensor* bias,
                      const Tensor* zero_mask, std::span<Tensor> results) {
  Backend& device = backend(g.device());
  if (weight && x) {
    PlainProduct by_input(g, false, *weight), by_weight(g, true, *x);
    MatmulArgs first = by_input.args(), second = by_weight.args();
    first.zero_mask = zero_mask;
    second.a_sum = bias;
    device.matmul_both(first, second);
    results[0] = by_input.take();
    results[1] = by_weight.take();
  } else if (weight) {
    PlainProduct product(g, false, *weight);
    MatmulArgs args = product.args();
    args.zero_mask = zero_mask;
    device.matmul(args);
    results[0] = product.take();
  } else if (x) {
    PlainProduct product(g, true, *x);
    MatmulArgs args = product.args();
    args.a_sum = bias;
    device.matmul(args);
    results[1] = product.take();
  }
}

// x (m, in), weight (out, in), bias (out)
struct Linear {
  static constexpr std::string_view name = "linear";
  struct Options {
    bool recorded = false;
    // Receives gelu of the result, if the device computes it in the same kernel.
    Tensor* gelu = nullptr;
  };
  struct State {
    // out, and the mask of its signs in the format of the device, are saved only if the gradient of
    // ReLU needs them.
    Saved x, weight, out, mask;
    bool has_bias = false;
  };
  static Shape shape(const Tensor& x, const Tensor& weight, const Tensor&, bool, const Options&) {
    return {x.shape()[0], weight.shape()[0]};
  }
  static Tensor relu_mask(const State& state) { return state.mask.get(); }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Tensor& weight,
                        const Tensor& bias, bool relu, const Options& options) {
    Tensor mask;
    Tensor out = empty(shape, {.dtype = x.dtype(), .device = x.device()});
    const Tensor dense_bias = bias.defined() ? bias.contiguous() : bias;
    const Tensor a = as_batch(x, false), b = as_batch(weight, true);
    backend(x.device())
        .matmul({.a = &a,
                 .b = &b,
                 .bias = bias.defined() ? &dense_bias : nullptr,
                 .relu = relu,
                 .out = &out,
                 .relu_mask = relu && options.recorded ? &mask : nullptr,
                 .gelu = options.gelu});
    state.x = Saved(x);
    state.weight = Saved(weight);
    if (relu) state.out = Saved::output(out);
    state.mask = Saved(mask);
    state.has_bias = bias.defined();
    return out;
  }
  static std::array<Tensor, 3> backward(const State& state, const Tensor& upstream,
                                        const BackwardContext& context) {
    Tensor g = upstream;
    if (state.out.defined() && !detail::is_masked(context))
      g = pointwise(formulas::ReluBackward{}, state.out.get().detach(), g);
    const bool recorded = context.create_graph;
    const bool wants_bias = state.has_bias && context.needs(2);
    if (recorded) {  // the engine sums g to the shape of the bias
      return {context.needs(0) ? matmul_2d(g, state.weight.get()) : Tensor(),
              context.needs(1) ? matmul_2d(transpose(g), state.x.get()) : Tensor(),
              wants_bias ? g : Tensor()};
    }
    std::array<Tensor, 3> results;
    const bool in_passing = wants_bias && context.needs(1);
    if (in_passing) results[2] = empty({g.shape()[1]}, {.dtype = g.dtype(), .device = g.device()});
    else if (wants_bias) results[2] = g;  // the engine sums it too
    const Tensor zero_mask =
        g.device() == Device::cpu() ? Tensor() : detail::relu_mask_of(context, 0);
    if (zero_mask.defined()) detail::mark_masked(context, 0);
    const Tensor weight = context.needs(0) ? state.weight.get() : Tensor();
    const Tensor x = context.needs(1) ? state.x.get() : Tensor();
    linear_gradients(g, weight.defined() ? &weight : nullptr, x.defined() ? &x : nullptr,
                     in_passing ? &results[2] : nullptr, zero_mask.defined() ? &zero_mask : nullptr,
                     results);
    return results;
  }
};

// GELU is a node of its own, whose value the device may have computed together with the product.
// This is not done while ops are observed, because an observer may change the result of the product
// before GELU reads it.
Tensor apply_linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    Activation activation) {
  const bool recorded = grad_enabled() && (x.requires_grad() || weight.requires_grad() ||
                                           (bias.defined() && bias.requires_grad()));
  Tensor gelu;
  const bool ends_with_gelu = activation == Activation::GeluTanh;
  const Tensor out = apply<Linear>(
      x, weight, bias, activation == Activation::Relu,
      Linear::Options{.recorded = recorded,
                      .gelu = ends_with_gelu && !detail::observers ? &gelu : nullptr});
  return ends_with_gelu ? detail::pointwise_as_given(formulas::GeluTanh{}, gelu, out) : out;
}

// Returns the dims of a tensor except the last two.
Shape batch_of(const Tensor& x) { return Shape(std::span(x.shape().begin(), x.shape().end() - 2)); }

Tensor as_batches(const Tensor& x, const Shape& batch) {
  Shape full = batch;
  full.push_back(x.size(-2));
  full.push_back(x.size(-1));
  return reshape(expand(x, full), {batch.numel(), x.size(-2), x.size(-1)});
}

}  // namespace

Tensor matmul(const TensorArg& a, const Tensor& b) {
  const CompositeScope scope(a);
  check_operands("matmul", {&*a, &b});
  if (a->dim() == 0 || b.dim() == 0)
    fail("matmul", "shapes ", a->shape(), " and ", b.shape(), ": a 0-d operand");
  if (a->size(-1) != b.size(b.dim() == 1 ? -1 : -2)) {
    fail("matmul", "shapes ", a->shape(), " and ", b.shape(), " do not fit: ", a->size(-1),
         " columns against ", b.size(b.dim() == 1 ? -1 : -2), " rows");
  }
  if (a->dim() == 2 && b.dim() == 2) return matmul_2d(a, b);
  const bool row = a->dim() == 1, column = b.dim() == 1;
  const Tensor left = row ? unsqueeze(a, 0) : *a, right = column ? unsqueeze(b, 1) : b;
  Tensor out;
  if (right.dim() == 2) {  // one product for all rows of the left operand
    Shape shape = left.shape();
    shape[shape.dim() - 1] = right.size(-1);
    int64_t rows = 1;
    for (int i = 0; i + 1 < left.dim(); ++i) rows *= left.shape()[i];
    out = reshape(matmul_2d(reshape(left, {rows, left.size(-1)}), right), shape);
  } else {
    Shape batch = broadcast_shapes("matmul", batch_of(left), batch_of(right));
    out = apply<BatchedMatmul>(as_batches(left, batch), as_batches(right, batch));
    batch.push_back(left.size(-2));
    batch.push_back(right.size(-1));
    out = reshape(out, batch);
  }
  if (column) out = squeeze(out, -1);
  if (row) out = squeeze(out, column ? -1 : -2);
  return out;
}

Tensor linear(const TensorArg& input, const Tensor& weight, const Tensor& bias,
              Activation activation) {
  check_operands("linear", {&*input, &weight});
  if (bias.defined()) check_operands("linear", {&*input, &bias});
  if (weight.dim() != 2 || input->dim() < 1 || input->size(-1) != weight.size(1)) {
    fail("linear", "input ", input->shape(), " does not fit weight ", weight.shape(),
         ": expected (..., in) and (out, in)");
  }
  if (bias.defined() && !(bias.shape() == Shape{weight.size(0)})) {
    fail("linear", "bias ", bias.shape(), " does not fit weight ", weight.shape(), ": expected ",
         Shape{weight.size(0)});
  }
  if (input->dim() == 2 && activation != Activation::GeluTanh)
    return apply_linear(*input, weight, bias, activation);
  const CompositeScope scope(input);
  if (input->dim() == 2) return apply_linear(*input, weight, bias, activation);
  Shape shape = input->shape();
  shape[shape.dim() - 1] = weight.size(0);
  int64_t rows = 1;
  for (int i = 0; i + 1 < input->dim(); ++i) rows *= input->shape()[i];
  return reshape(apply_linear(reshape(input, {rows, input->size(-1)}), weight, bias, activation),
                 shape);
}

Tensor dot(const TensorArg& a, const Tensor& b) {
  const CompositeScope scope(a);
  check_defined("dot", a);
  check_defined("dot", b);
  if (a->dim() != 1 || !(a->shape() == b.shape())) {
    fail("dot", "expected two vectors of the same length, got ", a->shape(), " and ", b.shape());
  }
  return matmul(a, b);
}

Tensor outer(const TensorArg& a, const Tensor& b) {
  const CompositeScope scope(a);
  check_defined("outer", a);
  check_defined("outer", b);
  if (a->dim() != 1 || b.dim() != 1)
    fail("outer", "expected two vectors, got ", a->shape(), " and ", b.shape());
  return mul(unsqueeze(a, 1), b);
}

Tensor bmm(const TensorArg& a, const Tensor& b) {
  const CompositeScope scope(a);
  check_defined("bmm", a);
  check_defined("bmm", b);
  if (a->dim() != 3 || b.dim() != 3 || a->shape()[0] != b.shape()[0] ||
      a->shape()[2] != b.shape()[1]) {
    fail("bmm", "expected (b, m, k) and (b, k, n), got ", a->shape(), " and ", b.shape());
  }
  return matmul(a, b);
}

Tensor mm(const TensorArg& a, const Tensor& b) {
  const CompositeScope scope(a);
  check_defined("mm", a);
  check_defined("mm", b);
  if (a->dim() != 2 || b.dim() != 2 || a->shape()[1] != b.shape()[0])
    fail("mm", "expected (m, k) and (k, n), got ", a->shape(), " and ", b.shape());
  return matmul(a, b);
}

Tensor mv(const TensorArg& a, const Tensor& vector) {
  const CompositeScope scope(a);
  check_defined("mv", a);
  check_defined("mv", vector);
  if (a->dim() != 2 || vector.dim() != 1 || a->shape()[1] != vector.shape()[0])
    fail("mv", "expected (m, k) and (k,), got ", a->shape(), " and ", vector.shape());
  return matmul(a, vector);
}

}  // namespace ebb
