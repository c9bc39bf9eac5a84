// The graph of an ONNX model. Internal to the exporter.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::detail {

struct OnnxAttribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<std::string>> value;
  bool operator==(const OnnxAttribute&) const = default;
};

struct OnnxNode {
  std::string type;
  std::vector<std::string> inputs;  ///< "" for one that is left out
  std::vector<std::string> outputs;
  std::vector<OnnxAttribute> attributes = {};
  std::string origin = {};  ///< the op and its call site, for errors
};

/// A tensor that is stored in the file.
struct OnnxConstant {
  std::string name;
  Tensor value;
  std::string origin = {};
  /// An i64 vector of sizes or positions, which may grow with the batch.
  bool is_sizes = false;
  /// A -1 in a list of sizes of Reshape may replace one that grows with the batch.
  bool may_infer = false;
};

/// A named value whose dtype and shape are stored in the file.
struct OnnxValue {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::string> sizes;  ///< "3", or an expression such as "batch"
  Shape shape;                     ///< of the trace
};

struct OnnxGraph {
  std::vector<OnnxNode> nodes;  ///< in the order of computation
  std::vector<OnnxConstant> constants;
  std::vector<OnnxValue> inputs, outputs, values;
};

/// Joins the graphs of traces with batches of n, n + 1 and n + 2 samples into one for any number.
///
/// A size s that is a + k n in all three becomes that expression. Throws Error, with the origin of
/// the node, for anything else that differs.
OnnxGraph join_batches(std::span<OnnxGraph> traces, int64_t n, int batch_dim);

/// Removes nodes and constants that no output needs.
void remove_unused(OnnxGraph& graph);

/// Returns the bytes of a model file. Throws Error if they are more than 2 GB.
std::string print_onnx(const OnnxGraph& graph);

}  // namespace ebb::detail
