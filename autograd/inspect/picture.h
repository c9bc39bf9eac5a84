// Pictures of a graph: recorded ops, the memory that they keep, and the norms of gradients.
//
//   std::cout << graph_text(loss, {.names = model.named_parameters()});  // for terminals
//   std::ofstream("graph.dot") << to_dot(loss);  // then: dot -Tsvg graph.dot > graph.svg
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

struct PictureOptions {
  /// The names of leaves, for example model.named_parameters().
  std::vector<std::pair<std::string, Tensor>> names = {};
  /// Show norms of gradients. This needs a backward, which keeps the graph and does not change
  /// grad().
  bool gradients = true;
};

/// Returns the graph that ends in `root` in the language of Graphviz. Each node shows its op, the
/// shape and dtype of its outputs, and the bytes that it has saved for backward. If root has one
/// element and the graph has not been freed, it also shows |gradient| = sqrt(sum g^2) of each
/// output. Throws Error if root does not require grad.
std::string to_dot(const Tensor& root, const PictureOptions& options = {});

/// Returns the same as a table with one line per node. Results are above their inputs.
std::string graph_text(const Tensor& root, const PictureOptions& options = {});

}  // namespace ebb
