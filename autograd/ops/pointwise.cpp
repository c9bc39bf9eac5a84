#include "ebb/autograd/ops/pointwise.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise_nodes.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {

using detail::broadcast_all;
using detail::FormulaBytes;
using detail::pointwise_gradient;
using detail::run_pass;

namespace {

// Returns the rank of a dtype in the order of promotion: bool, u8, i64, floating.
int rank_of(DType dtype) {
  switch (dtype) {
    case DType::Bool: return 0;
    case DType::U8: return 1;
    case DType::I64: return 2;
    default: return 3;
  }
}

// Returns the dtype to compute in, which all inputs except conditions have.
DType common_dtype(const FormulaOp& op, std::span<const Tensor* const> inputs) {
  const Tensor* first = nullptr;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& t = *inputs[i];
    check_defined(op.name, t);
    if (t.device() != inputs[0]->device()) [[unlikely]] {
      fail(op.name, "devices differ: ", inputs[0]->device(), " and ", t.device());
    }
    if (op.masks >> i & 1) continue;
    if (!first) first = &t;
    if (t.dtype() != first->dtype()) [[unlikely]] {
      // An integer or bool tensor takes the dtype of the other operand, as in torch. f32 and f64
      // are not mixed.
      const bool promotes = (op.has_integers || op.promotes_integers) &&
                            !(is_floating(t.dtype()) && is_floating(first->dtype()));
      if (!promotes) {
        fail(op.name, "dtypes differ: ", first->dtype(), " of shape ", first->shape(), " and ",
             t.dtype(), " of shape ", t.shape(), ": convert one with to()");
      }
      if (rank_of(t.dtype()) > rank_of(first->dtype())) first = &t;
    }
  }
  const DType dtype = first ? first->dtype() : DType::I64;
  if (!is_floating(dtype) && !op.has_integers) [[unlikely]] {
    fail(op.name, "expected floating tensors, got ", dtype, " of shape ", inputs[0]->shape(),
         ": convert it with to(), or write 2.0 for 2 where it is made");
  }
  if (dtype == DType::Bool && !op.has_bool) [[unlikely]]
    detail::refuse_bool(op.name, *first);
  return dtype;
}

// ---- nodes ----

// f(x). Saves its inputs, or its output if the formula has an OutputGradient, or nothing if the
// formula is linear.
class PointwiseNode final : public Node {
 public:
  PointwiseNode(const FormulaOp& op, const void* formula)
      : Node(1), op_(op), formula_(op, formula) {}
  std::string_view name() const override { return op_.name; }

  void save(std::span<const Tensor* const> inputs, const Tensor& output) {
    if (op_.constants || !op_.compose) return;
    if (op_.output_rule) saved_[0] = Saved::output(output);
    else {
      for (size_t i = 0; i < inputs.size(); ++i) saved_[i] = Saved(*inputs[i]);
    }
  }

  void backward(const BackwardContext& context, std::span<const Tensor> gradients,
                std::span<Tensor> results) override {
    const Tensor& g = gradients[0];
    if (!op_.compose) fail_without_derivative(*this);
    if (op_.constants) {
      double partials[kMaxArity];
      op_.constants(formula_.bytes, partials);
      for (int k = 0; k < op_.arity; ++k) {
        if (context.needs(k))
          results[static_cast<size_t>(k)] = partials[k] == 1 ? g : mul(g, partials[k]);
      }
    } else if (op_.output_rule) {
      results[0] = op_.output_rule(formula_.bytes, saved_[0].get(), g);
    } else {
      Tensor x[kMaxArity];
      uint32_t wanted = 0;
      for (int k = 0; k < op_.arity; ++k) {
        x[k] = saved_[k].get();
        if (context.needs(k)) wanted |= 1u << k;
      }
      pointwise_gradient(op_, formula_, {x, static_cast<size_t>(op_.arity)}, g, wanted, results);
    }
  }

  void release_saved() override {
    for (Saved& s : saved_) s.reset();
  }
  int64_t saved_bytes() const override {
    int64_t bytes = 0;
    for (const Saved& s : saved_) bytes += s.bytes();
    return bytes;
  }

 private:
  const FormulaOp& op_;
  FormulaBytes formula_;
  Saved saved_[kMaxArity];
};

}  // namespace

Tensor detail::call_pointwise(const FormulaOp& op, const void* formula,
                              std::span<const Tensor* const> inputs) {
  const DType dtype = common_dtype(op, inputs);
  const DType compute = is_floating(dtype) ? dtype : DType::I64;
  const Shape shape = broadcast_all(op.name, inputs);
  Tensor out =
      empty(shape, {.dtype = op.boolean ? DType::Bool : dtype, .device = inputs[0]->device()});
  Tensor* outputs[] = {&out};
  run_pass(op, formula, Pass::Value, shape, compute, inputs, outputs);
  record_pointwise(op, formula, inputs, out);
  return out;
}

void detail::record_pointwise(const FormulaOp& op, const void* formula,
                              std::span<const Tensor* const> inputs, const Tensor& out) {
  bool wanted = false;
  for (size_t i = 0; i < inputs.size(); ++i)
    wanted |= inputs[i]->requires_grad() && !(op.masks >> i & 1);
  Node* made = nullptr;
  if (wanted && grad_enabled() && is_floating(out.dtype())) {
    const auto node = Ref<PointwiseNode>::adopt(new PointwiseNode(op, formula));
    node->save(inputs, out);
    if (op.check && op.output_rule) check_given_gradient(op, formula, inputs);
    node->reserve_edges(static_cast<uint32_t>(inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!(op.masks >> i & 1)) node->set_edge(static_cast<uint32_t>(i), *inputs[i]);
    }
    node->attach(out);
    made = node.get();
  }
  if (detail::observers) [[unlikely]] {
    const Tensor* results[] = {&out};
    const OpOption options[] = {{*op.type, formula}};
    note_results(op.name, made, results, inputs, options);
  }
  detail::forget_call_site();
}

// ---- reduced pointwise losses ----

namespace {

// scale * sum(weight * f(x)). One pass computes value and gradient; backward passes the gradient on
// or scales it.
class PointwiseSumNode final : public Node {
 public:
  PointwiseSumNode(const FormulaOp& op, const void* formula, double scale)
      : Node(1), op_(op), formula_(op, formula), scale_(scale) {}
  std::string_view name() const override { return op_.name; }

  void backward(const BackwardContext& context, std::span<const Tensor> gradients,
                std::span<Tensor> results) override {
    Tensor x[kMaxArity];
    for (int k = 0; k < op_.arity; ++k) x[k] = saved_[k].get();
    const Tensor weight = weight_.get();
    if (context.create_graph) return record(context, x, weight, gradients[0], results);
    for (int k = 0; k < op_.arity; ++k) {
      if (!context.needs(k)) continue;
      Tensor& ready = gradients_[k];
      if (context.unit_seed && !context.retain_graph)
        results[static_cast<size_t>(k)] = std::move(ready);
      else results[static_cast<size_t>(k)] = mul(ready, gradients[0]);
    }
    if (weight.defined() && context.needs(op_.arity))
      results.back() = weight_gradient(x, gradients[0]);
  }

  bool ignores_unit_seed() const override {  // unless the gradient of the weight is needed
    return std::ssize(edges()) <= op_.arity || !edges()[static_cast<size_t>(op_.arity)].node();
  }

  void release_saved() override {
    for (int k = 0; k < kMaxArity; ++k) {
      saved_[k].reset();
      gradients_[k] = Tensor();
    }
    weight_.reset();
  }
  int64_t saved_bytes() const override {
    int64_t bytes = weight_.bytes();
    for (int k = 0; k < op_.arity; ++k) {
      bytes += saved_[k].bytes();
      bytes += Saved(gradients_[k]).bytes();
    }
    return bytes;
  }

  Saved saved_[kMaxArity], weight_;
  Tensor gradients_[kMaxArity];

 private:
  Tensor weight_gradient(const Tensor* x, const Tensor& g) const {
    const Tensor* in[kMaxArity];
    for (int k = 0; k < op_.arity; ++k) in[k] = &x[k];
    const Tensor f =
        detail::call_pointwise(op_, formula_.bytes, {in, static_cast<size_t>(op_.arity)});
    return mul(mul(f, g), scale_);
  }

  // Computes the gradient of the same value with public ops, recorded.
  void record(const BackwardContext& context, const Tensor* x, const Tensor& weight,
              const Tensor& g, std::span<Tensor> results) const {
    const Tensor* list[kMaxArity];
    for (int k = 0; k < op_.arity; ++k) list[k] = &x[k];
    const Shape shape = broadcast_all(op_.name, {list, static_cast<size_t>(op_.arity)});
    Tensor upstream = mul(g, scale_);
    upstream = weight.defined() ? mul(upstream, weight) : upstream;
    if (!(upstream.shape() == shape)) upstream = expand(upstream, shape);
    uint32_t wanted = 0;
    for (int k = 0; k < op_.arity; ++k) wanted |= context.needs(k) ? 1u << k : 0;
    if (wanted)
      pointwise_gradient(op_, formula_, {x, static_cast<size_t>(op_.arity)}, upstream, wanted,
                         results);
    if (weight.defined() && context.needs(op_.arity)) results.back() = weight_gradient(x, g);
  }

  const FormulaOp& op_;
  FormulaBytes formula_;
  double scale_;
};

}  // namespace

Tensor detail::pointwise_sum(const FormulaOp& op, const void* formula,
                             std::span<const Tensor* const> inputs, const Tensor& weight,
                             double scale) {
  const DType dtype = common_dtype(op, inputs);
  const Shape shape = broadcast_all(op.name, inputs);
  const TensorOptions like{.dtype = dtype, .device = inputs[0]->device()};
  bool wanted[kMaxArity + 1] = {}, any = false;
  for (size_t i = 0; i < inputs.size(); ++i)
    any |= wanted[i] = grad_enabled() && inputs[i]->requires_grad();
  const bool weight_wanted = grad_enabled() && weight.defined() && weight.requires_grad();
  const size_t n = inputs.size();
  const Tensor factor = weight.defined()
                            ? (scale == 1 ? weight.detach() : mul(weight.detach(), scale))
                            : scalar(scale, {.dtype = dtype});
  Tensor total = empty({}, like);
  const Tensor* in[kMaxArity + 1];
  for (size_t i = 0; i < n; ++i) in[i] = inputs[i];
  in[n] = &factor;
  Tensor gradients[kMaxArity];
  Tensor* out[kMaxPassOutputs] = {&total};
  bool first_only = true;
  for (size_t k = 0; k < n; ++k) {
    if (!wanted[k]) continue;
    gradients[k] = empty(shape, like);
    out[k + 1] = &gradients[k];
    first_only &= k == 0;
  }
  run_pass(op, formula, first_only ? Pass::ValueGradientFirst : Pass::ValueGradient, shape, dtype,
           {in, n + 1}, {out, first_only ? 2 : n + 1}, true);
  Node* made = nullptr;
  if (op.check && any) check_given_gradient(op, formula, inputs);
  if (any || weight_wanted) {
    const auto node = Ref<PointwiseSumNode>::adopt(new PointwiseSumNode(op, formula, scale));
    node->reserve_edges(static_cast<uint32_t>(n + (weight.defined() ? 1 : 0)));
    for (size_t i = 0; i < n; ++i) {
      node->saved_[i] = Saved(*inputs[i]);
      node->gradients_[i] = std::move(gradients[i]);
      node->set_edge(static_cast<uint32_t>(i), *inputs[i]);
    }
    if (weight.defined()) {
      node->weight_ = Saved(weight);
      node->set_edge(static_cast<uint32_t>(n), weight);
    }
    node->attach(total);
    made = node.get();
  }
  if (detail::observers) [[unlikely]] {
    const Tensor* results[] = {&total};
    note_results(op.name, made, results, inputs);
  }
  return total;
}

}  // namespace ebb
