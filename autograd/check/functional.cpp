#include "ebb/autograd/check/functional.h"

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"

namespace ebb {
namespace {

using Tensors = std::vector<Tensor>;

// One evaluation of f at new leaves, for the inputs that have a derivative.
struct Evaluation {
  std::string_view op;
  Tensors outputs;
  std::vector<size_t> wanted;  // indices of the inputs
  Tensors at;                  // those inputs
  size_t inputs = 0;
  FunctionalOptions options;

  Evaluation(std::string_view name, const TensorFunction& f, const Tensors& given,
             FunctionalOptions o)
      : op(name), inputs(given.size()), options(o) {
    Tensors arguments = given;
    for (size_t i = 0; i < given.size(); ++i) {
      check_defined(op, given[i]);
      if (!is_floating(given[i].dtype())) continue;
      const bool linked = options.create_graph && given[i].requires_grad();
      arguments[i] = linked ? alias(given[i]) : given[i].detach().requires_grad_();
      wanted.push_back(i);
      at.push_back(arguments[i]);
    }
    if (at.empty()) fail(op, "no input is floating: there is nothing to differentiate by");
    outputs = f(arguments);
    if (outputs.empty()) fail(op, "the function returned no outputs");
    for (const Tensor& t : outputs) check_defined(op, t);
  }

  bool may_be_unused() const { return options.allow_unused || options.materialize_grads; }

  // Returns the gradients of outputs by the wanted inputs, undefined for inputs without influence.
  // Throws if none has influence, unless that is allowed.
  Tensors first(const Tensors& roots, const Tensors& upstreams, bool record) const {
    Tensors live, seeds;
    for (size_t i = 0; i < roots.size(); ++i) {
      if (!roots[i].requires_grad()) continue;
      live.push_back(roots[i]);
      seeds.push_back(upstreams[i]);
    }
    if (live.empty()) {
      if (!may_be_unused())
        fail(op, "no output depends on the inputs: pass allow_unused = true if that is meant");
      return Tensors(at.size());
    }
    return grad(live, at,
                {.grad_outputs = seeds,
                 .create_graph = record,
                 .retain_graph = true,
                 .allow_unused = true});
  }
  void check_influence(const Tensors& gradients) const {
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined() && !may_be_unused()) {
        fail(op, "input ", wanted[i], " ", at[i],
             " has no influence on the outputs: pass allow_unused = true if that is meant");
      }
    }
  }

  // Returns derivatives by the wanted inputs with those by inputs without influence, whose gradient
  // is undefined: undefined, or zeros of their shape.
  Tensors without_unused(Tensors derivatives, const Tensors& gradients) const {
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined() && !options.materialize_grads) derivatives[i] = {};
    }
    return derivatives;
  }

  // Returns the derivatives of <results, upstreams> by `by`, with zeros where there are none.
  Tensors second(const Tensors& results, const Tensors& upstreams, const Tensors& by) const {
    Tensors live, seeds;
    for (size_t i = 0; i < results.size(); ++i) {
      if (!results[i].defined() || !results[i].requires_grad()) continue;
      live.push_back(results[i]);
      seeds.push_back(upstreams[i]);
    }
    if (live.empty()) return zeros_for(Tensors(by.size()), by);
    return zeros_for(grad(live, by,
                          {.grad_outputs = seeds,
                           .create_graph = options.create_graph,
                           .retain_graph = true,
                           .allow_unused = true}),
                     by);
  }

  static Tensors zeros_for(Tensors tensors, const Tensors& like) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!tensors[i].defined()) tensors[i] = zeros_like(like[i]);
    }
    return tensors;
  }

  // Returns one tensor per input: the given ones for the wanted inputs, and undefined ones for the
  // others.
  Tensors in_places(const Tensors& of_wanted) const {
    Tensors all(inputs);
    for (size_t i = 0; i < wanted.size(); ++i) all[wanted[i]] = of_wanted[i];
    return all;
  }

  Tensors chosen(const Tensors& of_all) const {
    Tensors some;
    for (size_t i : wanted) some.push_back(of_all[i]);
    return some;
  }

  Tensor scalar_output() const {
    if (outputs.size() != 1 || outputs[0].numel() != 1) {
      fail(op, "the function must return one tensor of one element, it returned ", outputs.size(),
           " and the first is ", outputs[0]);
    }
    return outputs[0];
  }

  Tensors outputs_for_caller() const {
    Tensors list;
    for (const Tensor& t : outputs) list.push_back(options.create_graph ? t : t.detach());
    return list;
  }
};

void check_vectors(std::string_view op, const char* what, const Tensors& vectors,
                   const Tensors& like) {
  if (vectors.size() != like.size())
    fail(op, "got ", vectors.size(), " ", what, "s for ", like.size(), " tensors");
  for (size_t i = 0; i < like.size(); ++i) {
    check_defined(op, like[i]);
    if (!is_floating(like[i].dtype())) continue;
    check_defined(op, vectors[i]);
    if (!(vectors[i].shape() == like[i].shape()) || vectors[i].dtype() != like[i].dtype()) {
      fail(op, what, " ", i, " ", vectors[i], " does not match ", like[i]);
    }
  }
}

// Returns d result / d by[j] for each j, of shape result.shape() + by[j].shape(), computed row by
// row.
Tensors matrix_rows(const Evaluation& e, const Tensor& result, const Tensors& by) {
  std::vector<Tensors> rows(by.size());
  for (int64_t k = 0; k < result.numel(); ++k) {
    Tensor one = zeros({result.numel()}, {.dtype = result.dtype(), .device = result.device()});
    slice(one, 0, k, k + 1).fill_(1);
    const Tensors row = e.second({result}, {reshape(one, result.shape())}, by);
    for (size_t j = 0; j < by.size(); ++j) rows[j].push_back(row[j]);
  }
  Tensors matrices;
  for (size_t j = 0; j < by.size(); ++j) {
    Shape shape = result.shape();
    for (int64_t size : by[j].shape()) shape.push_back(size);
    matrices.push_back(rows[j].empty()
                           ? zeros(shape, {.dtype = by[j].dtype(), .device = by[j].device()})
                           : reshape(stack(rows[j]), shape));
  }
  return matrices;
}

TensorFunction as_list(const UnaryFunction& f) {
  return [&f](const Tensors& in) { return Tensors{f(in[0])}; };
}

Tensor only(const Tensors& list) { return list[0]; }

}  // namespace

Products vjp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& upstreams, FunctionalOptions options) {
  const GradMode on(true);
  const Evaluation e("vjp", f, inputs, options);
  check_vectors("vjp", "upstream", upstreams, e.outputs);
  const Tensors gradients = e.first(e.outputs, upstreams, options.create_graph);
  e.check_influence(gradients);
  return {e.outputs_for_caller(),
          e.in_places(e.without_unused(Evaluation::zeros_for(gradients, e.at), gradients))};
}

Products jvp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& tangents, FunctionalOptions options) {
  const GradMode on(true);
  check_vectors("jvp", "tangent", tangents, inputs);
  const Evaluation e("jvp", f, inputs, options);
  Tensors upstreams;  // any values, because the result is linear in them
  for (const Tensor& t : e.outputs) {
    upstreams.push_back(
        ones(t.shape(), {.dtype = is_floating(t.dtype()) ? t.dtype() : f32, .device = t.device()}));
    upstreams.back().requires_grad_();
  }
  const Tensors gradients = e.first(e.outputs, upstreams, true);
  e.check_influence(gradients);
  return {e.outputs_for_caller(), e.second(gradients, e.chosen(tangents), upstreams)};
}

Products hvp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& directions, FunctionalOptions options) {
  const GradMode on(true);
  check_vectors("hvp", "direction", directions, inputs);
  const Evaluation e("hvp", f, inputs, options);
  const Tensor y = e.scalar_output();
  const Tensors gradients = e.first({y}, {ones_like(y)}, true);
  e.check_influence(gradients);
  const Tensors products = e.second(gradients, e.chosen(directions), e.at);
  return {e.outputs_for_caller(), e.in_places(e.without_unused(products, gradients))};
}

std::vector<std::vector<Tensor>> jacobian(const TensorFunction& f,
                                          const std::vector<Tensor>& inputs,
                                          FunctionalOptions options) {
  const GradMode on(true);
  const Evaluation e("jacobian", f, inputs, options);
  Tensors upstreams;
  for (const Tensor& t : e.outputs) upstreams.push_back(ones_like(t));
  const Tensors gradients = e.first(e.outputs, upstreams, false);
  e.check_influence(gradients);
  std::vector<Tensors> rows;
  for (const Tensor& t : e.outputs)
    rows.push_back(e.in_places(e.without_unused(matrix_rows(e, t, e.at), gradients)));
  return rows;
}

std::vector<std::vector<Tensor>> hessian(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                         FunctionalOptions options) {
  const GradMode on(true);
  const Evaluation e("hessian", f, inputs, options);
  const Tensor y = e.scalar_output();
  const Tensors gradients = e.first({y}, {ones_like(y)}, true);
  e.check_influence(gradients);
  std::vector<Tensors> rows(inputs.size(), Tensors(inputs.size()));
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined() && !options.materialize_grads) continue;
    const Tensor row = gradients[i].defined() ? gradients[i] : zeros_like(e.at[i]);
    rows[e.wanted[i]] = e.in_places(e.without_unused(matrix_rows(e, row, e.at), gradients));
  }
  return rows;
}

Tensor vjp(const UnaryFunction& f, const Tensor& x, const Tensor& upstream,
           FunctionalOptions options) {
  return only(vjp(as_list(f), Tensors{x}, Tensors{upstream}, options).products);
}
Tensor jvp(const UnaryFunction& f, const Tensor& x, const Tensor& tangent,
           FunctionalOptions options) {
  return only(jvp(as_list(f), Tensors{x}, Tensors{tangent}, options).products);
}
Tensor hvp(const UnaryFunction& f, const Tensor& x, const Tensor& direction,
           FunctionalOptions options) {
  return only(hvp(as_list(f), Tensors{x}, Tensors{direction}, options).products);
}
Tensor jacobian(const UnaryFunction& f, const Tensor& x, FunctionalOptions options) {
  return only(jacobian(as_list(f), Tensors{x}, options)[0]);
}
Tensor hessian(const UnaryFunction& f, const Tensor& x, FunctionalOptions options) {
  return only(hessian(as_list(f), Tensors{x}, options)[0]);
}

}  // namespace ebb
