// Derivatives of functions of tensors: Jacobian, Hessian, and products with them.
//
// With y = f(x) and J = dy/dx:
//   vjp      u^T J    one backward
//   jvp      J v      two backwards: g(u) = u^T J is linear in u, so J v is the derivative of
//                     <g(u), v> by u
//   hvp      H v      two backwards: the derivative of <grad f, v> by x
//   jacobian J        one backward per element of the outputs
//   hessian  H        one backward per element of the inputs, after the first
// jvp uses the backward rules, because every op has a second order. Forward rules would be a second
// definition of each derivative. It costs about three evaluations of f.
//
// Inputs that are not floating are passed to f and have no derivative: their entries in results are
// undefined tensors. An input without influence on any output is an Error. As in grad(), it has an
// undefined derivative with allow_unused, and zeros with materialize_grads. A second order that
// vanishes is zero, and so is the entry of an output that only other inputs determine. With
// create_graph the results can be differentiated by the inputs that require grad.
#pragma once

#include <functional>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

using TensorFunction = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

struct FunctionalOptions {
  bool create_graph = false;
  bool allow_unused = false;
  bool materialize_grads = false;
};

/// The outputs of the function, and one product per input (vjp, hvp) or per output (jvp).
struct Products {
  std::vector<Tensor> outputs, products;
};

/// Returns u^T J. upstreams: one per output, with its shape. Products have the shapes of the
/// inputs.
Products vjp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& upstreams, FunctionalOptions options = {});
/// Returns J v. tangents: one per input, with its shape. Products have the shapes of the outputs.
Products jvp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& tangents, FunctionalOptions options = {});
/// Returns H v. f returns one tensor with one element. directions: one per input, with its shape.
Products hvp(const TensorFunction& f, const std::vector<Tensor>& inputs,
             const std::vector<Tensor>& directions, FunctionalOptions options = {});
/// Returns J. Entry [o][i] is d output_o / d input_i, of shape output_o.shape() + input_i.shape().
std::vector<std::vector<Tensor>> jacobian(const TensorFunction& f,
                                          const std::vector<Tensor>& inputs,
                                          FunctionalOptions options = {});
/// Returns H. Entry [i][j] is d^2 f / d input_i d input_j, of shape input_i.shape() +
/// input_j.shape(). f returns one tensor with one element.
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
