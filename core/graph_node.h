// The part of a graph node that a tensor needs: a counted object that it keeps alive. ebb::Node in
// autograd/graph/node.h, with edges and gradient rules, derives from it.
#pragma once

#include "ebb/core/ref.h"

namespace ebb {

class GraphNode {
 public:
  GraphNode() = default;
  GraphNode(const GraphNode&) = delete;
  GraphNode& operator=(const GraphNode&) = delete;

  void retain() { count_.retain(); }
  /// Drops an owner. The last owner destroys the node, and then one after the other all nodes that
  /// only it owned. A chain of a million nodes therefore needs no stack.
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
