// Pictures of a graph: what was recorded, what it keeps in memory, and how large the gradients are.
//
//   std::cout << graph_text(loss, {.names = model.named_parameters()});       // for terminals
//   std::ofstream("graph.dot") << to_dot(loss, {...});                        // then: dot -Tsvg graph.dot > graph.svg
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

struct PictureOptions {
  std::vector<std::pair<std::string, Tensor>> names =
      {};  ///< what leaves are called: model.named_parameters()
  bool gradients =
      true;  ///< norms of the gradients: a backward of its own, which leaves grad() alone and keeps the graph
};

/// The graph that ends in `root`, in Graphviz' language. A node says: op, shape and dtype of its outputs, bytes that it
/// saved for backward, and |gradient| = sqrt(sum g^2) of each output, where root has one element and the graph has not
/// been freed. Throws Error when root does not require grad.
std::string to_dot(const Tensor& root, const PictureOptions& options = {});

/// The same as a table, a line a node, results above what they were made from.
std::string graph_text(const Tensor& root, const PictureOptions& options = {});

}  // namespace ebb
