// The nodes of the first and second order of pointwise ops.
//
// The kernels of the formula compute both orders, in one pass each, whether or not they are
// recorded, so a derivative does not depend on create_graph. The third order is composed of ops on
// tensors (Expr), and the orders above it follow from these recorded ops.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise_nodes.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {

Shape detail::broadcast_all(std::string_view op, std::span<const Tensor* const> inputs) {
  Shape shape = inputs[0]->shape();
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (!(inputs[i]->shape() == shape)) shape = broadcast_shapes(op, shape, inputs[i]->shape());
  }
  return shape;
}

void detail::run_pass(const FormulaOp& op, const void* formula, Pass pass, const Shape& shape,
                      DType compute, std::span<const Tensor* const> in,
                      std::span<Tensor* const> out, bool sum_first) {
  backend(in[0]->device()).pointwise({&op, formula, pass, compute, &shape, in, out, sum_first});
}

namespace {

using detail::FormulaBytes;
using detail::run_pass;

void save_all(std::span<const Tensor> tensors, Saved* saved) {
  for (size_t i = 0; i < tensors.size(); ++i) saved[i] = Saved(tensors[i]);
}

bool any_requires_grad(std::span<const Tensor> tensors) {
  for (const Tensor& t : tensors) {
    if (t.defined() && t.requires_grad()) return true;
  }
  return false;
}

// Makes the defined results outputs of the node, and informs observers of them.
void attach_results(Node& node, std::span<Tensor> results, std::span<const Tensor* const> inputs) {
  const Tensor* made[kMaxPassOutputs];
  for (size_t k = 0; k < results.size(); ++k) {
    made[k] = &results[k];
    if (results[k].defined()) node.attach(results[k], static_cast<int>(k));
  }
  if (detail::observers) [[unlikely]]
    note_results(node.name(), &node, {made, results.size()}, inputs);
}

// The second order: ds/dx_k and ds/dg as functions of (x, g, c), with s = sum_k c_k g df/dx_k.
// Created only under create_graph.
class PointwiseSecondNode final : public Node {
 public:
  PointwiseSecondNode(const FormulaOp& op, const FormulaBytes& formula, std::span<const Tensor> x,
                      const Tensor& g, std::span<const Tensor> c)
      : Node(op.arity + 1), op_(op), formula_(formula), g_(g) {
    save_all(x, x_);
    save_all(c, c_);
    const auto n = static_cast<uint32_t>(x.size());
    reserve_edges(2 * n + 1);
    for (uint32_t i = 0; i < n; ++i) {
      set_edge(i, x[i]);
      set_edge(n + 1 + i, c[i]);
    }
    set_edge(n, g);
  }
  std::string_view name() const override { return op_.second_name; }

  // Composes the second order of ops on aliases of the inputs, and differentiates that piece of
  // graph.
  void backward(const BackwardContext& context, std::span<const Tensor> gradients,
                std::span<Tensor> results) override {
    const size_t n = static_cast<size_t>(op_.arity);
    const bool record = context.create_graph;
    const Tensor g = g_.get();
    const GradMode on(true);
    std::vector<Tensor> inputs;
    std::vector<size_t> numbers;
    const auto input = [&](const Tensor& saved, size_t number) {
      if (!saved.defined()) return Expr(0);
      // If it is recorded, inputs whose gradients were not requested require grad too, because the
      // result is a function of them.
      const bool differentiated =
          record ? saved.requires_grad() : context.needs(static_cast<int>(number));
      Tensor own = saved.detach();
      if (differentiated) {
        own = record ? alias(saved) : own.requires_grad_();
        inputs.push_back(own);
        numbers.push_back(number);
      }
      return Expr(own.to(g.dtype()));  // a condition may have another dtype
    };
    Expr x[kMaxArity], c[kMaxArity], terms[kMaxPassOutputs];
    for (size_t k = 0; k < n; ++k) {
      x[k] = input(x_[k].get(), k);
      c[k] = input(c_[k].get(), n + 1 + k);
    }
    op_.compose(formula_.bytes, x, c, input(g, n), terms, terms[n]);
    std::vector<Tensor> outputs, upstreams;
    for (size_t k = 0; k <= n; ++k) {
      if (!gradients[k].defined() || terms[k].is_constant()) continue;
      if (!terms[k].tensor().requires_grad()) continue;
      outputs.push_back(terms[k].tensor());
      upstreams.push_back(gradients[k]);
    }
    const std::vector<Tensor> found = detail::inner_grad(outputs, upstreams, inputs, record);
    for (size_t i = 0; i < found.size(); ++i) {
      if (context.needs(static_cast<int>(numbers[i]))) results[numbers[i]] = found[i];
    }
  }

  void release_saved() override {
    for (Saved& s : x_) s.reset();
    for (Saved& s : c_) s.reset();
    g_.reset();
  }
  int64_t saved_bytes() const override {
    int64_t bytes = g_.bytes();
    for (const Saved& s : x_) bytes += s.bytes();
    for (const Saved& s : c_) bytes += s.bytes();
    return bytes;
  }

 private:
  const FormulaOp& op_;
  FormulaBytes formula_;
  Saved x_[kMaxArity], c_[kMaxArity], g_;
};

// d_k = g df/dx_k for the requested k, as functions of (x, g). Created only under create_graph.
class PointwiseGradientNode final : public Node {
 public:
  PointwiseGradientNode(const FormulaOp& op, const FormulaBytes& formula, std::span<const Tensor> x,
                        const Tensor& g)
      : Node(op.arity), op_(op), formula_(formula), g_(g) {
    save_all(x, x_);
    reserve_edges(static_cast<uint32_t>(x.size()) + 1);
    for (size_t i = 0; i < x.size(); ++i) set_edge(static_cast<uint32_t>(i), x[i]);
    set_edge(static_cast<uint32_t>(x.size()), g);
  }
  std::string_view name() const override { return op_.gradient_name; }

  void backward(const BackwardContext& context, std::span<const Tensor> c,
                std::span<Tensor> results) override {
    const size_t n = static_cast<size_t>(op_.arity);
    Tensor x[kMaxArity];
    for (size_t k = 0; k < n; ++k) x[k] = x_[k].get();
    const Tensor g = g_.get();
    const Tensor zero = zeros({}, {.dtype = g.dtype(), .device = g.device()});
    const Tensor* in[kMaxPassInputs];
    for (size_t k = 0; k < n; ++k) {
      in[k] = &x[k];
      in[n + 1 + k] = c[k].defined() ? &c[k] : &zero;  // a direction of 0 contributes nothing
    }
    in[n] = &g;
    const std::span<const Tensor* const> all(in, 2 * n + 1);
    const Shape shape = detail::broadcast_all(op_.name, all);
    Tensor* out[kMaxPassOutputs];
    for (size_t k = 0; k <= n; ++k) {
      out[k] = nullptr;
      if (!context.needs(static_cast<int>(k))) continue;
      results[k] = empty(shape, {.dtype = g.dtype(), .device = g.device()});
      out[k] = &results[k];
    }
    run_pass(op_, formula_.bytes, Pass::SecondOrder, shape, g.dtype(), all, {out, n + 1});
    if (!grad_enabled()) return;
    if (!any_requires_grad({x, n}) && !any_requires_grad({&g, 1}) && !any_requires_grad(c)) return;
    const auto node =
        Ref<PointwiseSecondNode>::adopt(new PointwiseSecondNode(op_, formula_, {x, n}, g, c));
    attach_results(*node, results, all);
  }

  void release_saved() override {
    for (Saved& s : x_) s.reset();
    g_.reset();
  }
  int64_t saved_bytes() const override {
    int64_t bytes = g_.bytes();
    for (const Saved& s : x_) bytes += s.bytes();
    return bytes;
  }

 private:
  const FormulaOp& op_;
  FormulaBytes formula_;
  Saved x_[kMaxArity], g_;
};

}  // namespace

void detail::pointwise_gradient(const FormulaOp& op, const FormulaBytes& formula,
                                std::span<const Tensor> x, const Tensor& g, uint32_t wanted,
                                std::span<Tensor> results) {
  const size_t n = x.size();
  const Tensor* in[kMaxArity + 1];
  Tensor* out[kMaxArity] = {};
  for (size_t k = 0; k < n; ++k) in[k] = &x[k];
  in[n] = &g;
  if (op.check) check_given_gradient(op, formula.bytes, {in, n});
  const TensorOptions like{.dtype = g.dtype(), .device = g.device()};
  for (size_t k = 0; k < n; ++k) {
    if (!(wanted >> k & 1)) continue;
    results[k] = empty(g.shape(), like);
    out[k] = &results[k];
  }
  const bool first_only = wanted == 1;
  run_pass(op, formula.bytes, first_only ? Pass::GradientFirst : Pass::Gradient, g.shape(),
           g.dtype(), {in, n + 1}, {out, first_only ? 1 : n});
  if (!grad_enabled() || (!any_requires_grad(x) && !g.requires_grad())) return;
  const auto node = Ref<PointwiseGradientNode>::adopt(new PointwiseGradientNode(op, formula, x, g));
  attach_results(*node, results.first(n), {in, n + 1});
}

}  // namespace ebb
