// The engine: walks a graph from its results to its leaves.
//
// Nodes are taken in order of depth, deepest first, so every node has its whole gradient when its turn comes; nothing
// recurses. Leaves come last: when an op throws, no leaf's gradient has changed.
// Thread-safety: one thread at a time walks a graph; graphs that share no node may be walked at the same time.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "ebb/autograd/graph/node.h"
#include "ebb/core/grad_mode.h"

namespace ebb {

struct GradOptions {
  /// One upstream for each output; empty: 1 for outputs of one element.
  std::vector<Tensor> grad_outputs = {};
  /// Records the computation of the gradients, so that they can be differentiated in turn. With
  /// backward(), which keeps the gradients in grad(), a leaf then owns the graph of its gradient
  /// and that graph owns the leaf: the memory of both is not freed until the gradient is cleared
  /// (set_grad({}), zero_grad()). backward() says so once on stderr. grad() makes no such cycle:
  /// use it for higher orders.
  bool create_graph = false;
  /// Keeps what the graph saved, so that it can be walked again. Implied by create_graph.
  bool retain_graph = false;
  /// Gives inputs without influence an undefined gradient instead of throwing Error.
  bool allow_unused = false;
};

/// The options of y.backward({...}), in the order of torch's backward.
struct BackwardOptions {
  Tensor gradient = {};       ///< the upstream, of y's shape; undefined: 1, for one element
  bool retain_graph = false;  ///< see GradOptions
  bool create_graph = false;  ///< see GradOptions
  /// Accumulates into these leaves alone; empty: into all leaves. A leaf without influence keeps
  /// the gradient that it has.
  std::vector<Tensor> inputs = {};
};

/// Returns the gradients of sum(grad_outputs * outputs) with respect to `inputs`, one each. Leaves
/// keep the grad() that they have.
/// Throws Error when there are no inputs, and when an input does not require grad or has no
/// influence on the outputs (unless allow_unused).
std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         GradOptions options = {});
/// The gradients of one output: grad(loss, model.parameters()), grad(y, {a, b}).
std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs,
                         GradOptions options = {});
std::vector<Tensor> grad(const Tensor& output, std::initializer_list<Tensor> inputs,
                         GradOptions options = {});
/// The gradient of one output with respect to one input.
Tensor grad(const Tensor& output, const Tensor& input, GradOptions options = {});

/// Does what Tensor::backward does, from several roots at once. gradients: one an output, or none.
///
///     backward({y, z}, {gy, gz});
void backward(std::span<const Tensor> outputs, std::span<const Tensor> gradients = {},
              bool retain_graph = false, bool create_graph = false);
void backward(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> gradients = {},
              bool retain_graph = false, bool create_graph = false);

/// A backward may call backward() or grad() itself (as checkpointing does), to this depth; beyond
/// it they throw Error, because every level takes stack.
inline constexpr int kMaxNestedBackward = 128;

namespace detail {
/// The node whose backward is running on this thread; null outside of a walk.
Node* current_node();
/// Is grad() for use inside a backward: takes the graph of `outputs` to end at `inputs`, which must
/// be leaves or results of `alias`, and leaves nodes outside of that piece alone. An input without
/// influence gets an undefined gradient.
std::vector<Tensor> inner_grad(std::span<const Tensor> outputs,
                               std::span<const Tensor> grad_outputs, std::span<const Tensor> inputs,
                               bool create_graph);
}  // namespace detail

}  // namespace ebb
