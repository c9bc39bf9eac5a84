// Runs the hooks of a node, for the engine. Tensor::register_hook, Node::register_hook and
// Node::register_prehook register them.
#pragma once

#include <span>

#include "ebb/autograd/graph/node.h"

namespace ebb::detail {

/// Runs the hooks of the outputs of the node, each with its whole gradient.
void run_tensor_hooks(Node& node);
/// Runs the prehooks of the node, before its backward. gradients: those of its outputs.
void run_prehooks(const Node& node, std::span<Tensor> gradients);
/// Runs the hooks of the node, after its backward. results: the gradients of its inputs.
void run_node_hooks(const Node& node, std::span<Tensor> results, std::span<const Tensor> gradients);

}  // namespace ebb::detail
