// The content of an ONNX file. Internal to the importer.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/nn/interop/onnx_graph.h"

namespace ebb::detail {

struct OnnxFile {
  int64_t opset = 0;
  OnnxGraph graph;
  /// Tensors that are attributes, by the name of the node's first output and that of the attribute.
  std::map<std::pair<std::string, std::string>, Tensor> tensors;
};

/// Parses a model. Throws Error as import_onnx does, except for unknown operators. what: the start
/// of errors.
OnnxFile parse_onnx(std::string_view op, const std::string& what, std::string_view bytes);

}  // namespace ebb::detail
