// What the engine calls where a node has hooks. Registering them: Tensor::register_hook, Node::register_hook,
// Node::register_prehook.
#pragma once

#include <span>

#include "ebb/autograd/graph/node.h"

namespace ebb::detail {

/// The hooks of the node's outputs, each with the gradient that has come together.
void run_tensor_hooks(Node& node);
/// The node's own, before its backward. gradients: those of its outputs.
void run_prehooks(const Node& node, std::span<Tensor> gradients);
/// The node's own, after its backward: results are the gradients of its inputs.
void run_node_hooks(const Node& node, std::span<Tensor> results, std::span<const Tensor> gradients);

}  // namespace ebb::detail
