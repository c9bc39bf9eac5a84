// The engine: walks a graph from its results to its leaves.
//
// Nodes are taken in order of depth, deepest first, so every node has its whole gradient when its turn comes; nothing
// recurses. Leaves come last: when an op throws, no leaf's gradient has changed.
// Thread-safety: one thread at a time walks a graph; graphs that share no node may be walked at the same time.
#pragma once

#include <span>
#include <vector>

#include "ebb/autograd/graph/node.h"
#include "ebb/core/grad_mode.h"

namespace ebb {

struct GradOptions {
  std::vector<Tensor> grad_outputs =
      {};                     ///< upstreams, one an output; none: 1 for outputs of one element
  bool create_graph = false;  ///< record the computation of the gradients, for higher orders
  bool retain_graph =
      false;  ///< keep what the graph saved, to walk it again; implied by create_graph
  bool allow_unused = false;  ///< inputs without influence get an undefined gradient, not an Error
};

/// The gradients of sum(grad_outputs * outputs) with respect to `inputs`; leaves' grad() stays as it is.
/// Throws Error when an input does not require grad or has no influence (unless allow_unused).
std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         GradOptions options = {});
std::vector<Tensor> grad(const Tensor& output, std::initializer_list<Tensor> inputs,
                         GradOptions options = {});
/// The gradient of one output with respect to one input.
Tensor grad(const Tensor& output, const Tensor& input, GradOptions options = {});

/// What Tensor::backward does, from several roots at once. gradients may be empty.
void backward(std::span<const Tensor> outputs, std::span<const Tensor> gradients, bool retain_graph,
              bool create_graph);

namespace detail {
/// The node whose backward is running on this thread; null outside of a walk.
Node* current_node();
/// grad() for use inside a backward: takes the graph of `outputs` to end at `inputs`, which must be results of
/// `alias`. Records, and leaves nodes outside of that piece alone.
std::vector<Tensor> inner_grad(std::span<const Tensor> outputs,
                               std::span<const Tensor> grad_outputs,
                               std::span<const Tensor> inputs);
}  // namespace detail

}  // namespace ebb
