// Derivatives of functions of tensors: products with Jacobian and Hessian, and the matrices themselves.
//
// With y = f(x) and J = dy/dx:
//   vjp      u^T J    one backward
//   jvp      J v      two backwards: g(u) = u^T J is linear in u, so J v is the derivative of <g(u), v> by u
//   hvp      H v      two backwards: the derivative of <grad f, v> by x
//   jacobian J        one backward an element of the outputs
//   hessian  H        one backward an element of the inputs, after the first
// jvp has no forward rules beside the backward ones: every op has its second order anyway, and there is one truth. It
// costs about three evaluations of f.
//
// Inputs that are not floating are passed on and have no derivative: their places in results are undefined tensors.
// An input without influence on any output is an Error, unless allow_unused: then its derivative is zero. A second
// order that vanishes is zero.
// With create_graph the results can be differentiated in turn: by the inputs, where those require grad.
#pragma once

#include <functional>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

using TensorFunction = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

struct FunctionalOptions {
  bool create_graph = false;
  bool allow_unused = false;
};

/// The outputs of the function, and a product for each input (vjp, hvp) or each output (jvp).
struct Products {
  std::vector<Tensor> outputs, products;
};

/// upstreams: one an output, of its shape. Products have the shapes of the inputs.
Products vjp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& upstreams, FunctionalOptions options = {});
/// tangents: one an input, of its shape. Products have the shapes of the outputs.
Products jvp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& tangents, FunctionalOptions options = {});
/// f returns one tensor of one element. directions: one an input, of its shape.
Products hvp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& directions, FunctionalOptions options = {});
/// jacobian(f, inputs)[o][i] = d output_o / d input_i, of shape output_o.shape() + input_i.shape().
std::vector<std::vector<Tensor>> jacobian(const TensorFunction& f,
                                          const std::vector<Tensor>& inputs,
                                          FunctionalOptions options = {});
/// hessian(f, inputs)[i][j] = d^2 f / d input_i d input_j, of shape input_i.shape() + input_j.shape(). f returns one
/// tensor of one element.
std::vector<std::vector<Tensor>> hessian(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                         FunctionalOptions options = {});

// ---- the same for one input and one output ----

using UnaryFunction = std::function<Tensor(const Tensor&)>;

Tensor vjp(const UnaryFunction& f, const Tensor& x, const Tensor& upstream,
           FunctionalOptions options = {});
Tensor jvp(const UnaryFunction& f, const Tensor& x, const Tensor& tangent,
           FunctionalOptions options = {});
Tensor hvp(const UnaryFunction& f, const Tensor& x, const Tensor& direction,
           FunctionalOptions options = {});
Tensor jacobian(const UnaryFunction& f, const Tensor& x, FunctionalOptions options = {});
Tensor hessian(const UnaryFunction& f, const Tensor& x, FunctionalOptions options = {});

}  // namespace ebb
