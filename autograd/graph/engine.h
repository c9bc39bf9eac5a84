// The engine: traverses a graph from its results to its leaves.
//
// It takes nodes in order of depth, the deepest first, so the gradient of a node is complete when
// the node is taken. There is no recursion. Leaves come last, so if an op throws, no gradient of a
// leaf has changed. Thread-safety: only one thread at a time may traverse a graph. Graphs without
// common nodes may be traversed at the same time.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "ebb/autograd/graph/node.h"
#include "ebb/core/grad_mode.h"

namespace ebb {

struct GradOptions {
  /// One upstream gradient per output. If empty, 1 for outputs of one element.
  std::vector<Tensor> grad_outputs = {};
  /// Records the computation of the gradients, so that they can be differentiated too.
  ///
  /// backward() stores gradients in grad(). With create_graph, a leaf then owns the graph of its
  /// gradient and that graph owns the leaf, so the memory of both is not freed until the gradient
  /// is cleared (set_grad({}), zero_grad()). backward() warns about this once on stderr. grad()
  /// creates no such cycle, so use it for higher orders.
  bool create_graph = false;
  /// Keeps the saved tensors, so that the graph can be traversed again. Implied by create_graph.
  bool retain_graph = false;
  /// Returns an undefined gradient for inputs without influence, instead of throwing Error. It
  /// means the same in jacobian() and the other functions of functional.h.
  bool allow_unused = false;
  /// Returns zeros for them.
  bool materialize_grads = false;
};

/// The options of y.backward({...}), in the order of torch's backward.
struct BackwardOptions {
  Tensor gradient = {};       ///< the upstream gradient, with the shape of y; 1 if undefined
  bool retain_graph = false;  ///< see GradOptions
  bool create_graph = false;  ///< see GradOptions
  /// The leaves whose gradients are accumulated; all leaves if empty. A leaf without influence
  /// keeps its gradient.
  std::vector<Tensor> inputs = {};
};

/// Returns the gradients of sum(grad_outputs * outputs) with respect to `inputs`, one per input.
/// The grad() of leaves does not change. Throws Error if there are no inputs, if an input does not
/// require grad, or if it has no influence on the outputs (unless allow_unused or
/// materialize_grads).
///
///     Tensor x = tensor({3.}).requires_grad_();
///     Tensor dx = grad(x * x, x);  // [6]
std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         GradOptions options = {});
/// Returns the gradients of one output: grad(loss, model.parameters()), grad(y, {a, b}).
std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs,
                         GradOptions options = {});
std::vector<Tensor> grad(const Tensor& output, std::initializer_list<Tensor> inputs,
                         GradOptions options = {});
/// Returns the gradient of one output with respect to one input.
Tensor grad(const Tensor& output, const Tensor& input, GradOptions options = {});

/// Does the same as Tensor::backward from several roots. gradients: one per output, or none.
///
///     backward({y, z}, {gy, gz});
void backward(std::span<const Tensor> outputs, std::span<const Tensor> gradients = {},
              bool retain_graph = false, bool create_graph = false);
void backward(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> gradients = {},
              bool retain_graph = false, bool create_graph = false);

/// The largest depth of backward() and grad() inside of a backward, as checkpointing uses them.
/// Beyond it they throw Error, because each level takes stack.
inline constexpr int kMaxNestedBackward = 128;

namespace detail {
/// Returns the node whose backward is running on this thread, or null outside of a traversal.
Node* current_node();
/// Does the same as grad(), for calls inside of a backward. The graph of `outputs` ends at
/// `inputs`, which must be leaves or results of `alias`; other nodes are not touched. The gradient
/// of an input without influence is undefined.
std::vector<Tensor> inner_grad(std::span<const Tensor> outputs,
                               std::span<const Tensor> grad_outputs, std::span<const Tensor> inputs,
                               bool create_graph);
}  // namespace detail

}  // namespace ebb
