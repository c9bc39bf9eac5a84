// The parts that few nodes have: hooks and kept gradients. For the engine.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "ebb/autograd/graph/node.h"

namespace ebb {

struct Node::Extras {
  struct OutputHook {
    int output;
    std::shared_ptr<Hook> hook;
  };
  std::vector<OutputHook> hooks;  ///< of tensors; a removed hook is empty
  std::vector<std::shared_ptr<NodePreHook>> prehooks;
  std::vector<std::shared_ptr<NodeHook>> node_hooks;
  std::vector<std::pair<int, Tensor>> kept;  ///< output and gradient, for retain_grad()
};

}  // namespace ebb
