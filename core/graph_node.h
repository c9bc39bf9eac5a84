// What a tensor knows of the graph that it belongs to: whom to keep alive, and nothing else. The node proper, with
// edges and gradient rules, is ebb::Node in autograd/graph/node.h.
#pragma once

#include "ebb/core/ref.h"

namespace ebb {

class GraphNode {
 public:
  GraphNode() = default;
  GraphNode(const GraphNode&) = delete;
  GraphNode& operator=(const GraphNode&) = delete;

  void retain() { count_.retain(); }
  /// Destroys the node with its last owner, and whatever hangs on it one after the other: a chain of a million nodes
  /// needs no stack.
  void release() {
    if (count_.release()) destroy(this);
  }

 protected:
  virtual ~GraphNode() = default;

 private:
  static void destroy(GraphNode* node) noexcept;

  RefCount count_;
  GraphNode* next_dead_ = nullptr;
};

}  // namespace ebb
