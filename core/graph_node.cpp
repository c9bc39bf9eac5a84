#include "ebb/core/graph_node.h"

#include "ebb/core/grad_mode.h"

namespace ebb {

constinit thread_local bool detail::recording = true;

namespace {
constinit thread_local GraphNode* dead_nodes = nullptr;
constinit thread_local bool destroying = false;
}  // namespace

void GraphNode::destroy(GraphNode* node) noexcept {
  node->next_dead_ = dead_nodes;
  dead_nodes = node;
  if (destroying) return;  // the outermost call on this thread destroys it in the loop below
  destroying = true;
  while (GraphNode* next = dead_nodes) {
    dead_nodes = next->next_dead_;
    delete next;
  }
  destroying = false;
}

}  // namespace ebb
