// The operators of ONNX in Ebb's ops. Internal to the importer.
//
// Tables of functions are in onnx_operators.cpp and onnx_operators_layers.cpp.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/nn/interop/onnx_parse.h"

namespace ebb::detail {

/// A node that is computed, with the values of its inputs.
class OnnxStep {
 public:
  OnnxStep(const OnnxFile& file, const OnnxNode& node, std::vector<Tensor> inputs)
      : file_(file), node_(node), inputs_(std::move(inputs)) {}

  const OnnxNode& node() const { return node_; }
  int64_t opset() const { return file_.opset; }
  size_t input_count() const { return inputs_.size(); }
  /// Returns input i. Throws Error if it is left out.
  const Tensor& in(size_t i) const;
  /// Returns input i, or an undefined tensor.
  Tensor optional(size_t i) const { return i < inputs_.size() ? inputs_[i] : Tensor(); }
  /// Returns the numbers of input i, or of none if it is left out.
  std::vector<int64_t> list(size_t i) const;

  int64_t number(std::string_view name, int64_t otherwise) const;
  double real(std::string_view name, double otherwise) const;
  std::string text(std::string_view name, std::string otherwise) const;
  std::vector<int64_t> numbers(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  /// Returns an attribute that is a tensor, or an undefined one.
  Tensor tensor(std::string_view name) const;

  /// Throws Error that names the node.
  template <class... Parts> [[noreturn]] void refuse(const Parts&... parts) const {
    fail("OnnxModel", node_.origin, ": ", parts...);
  }

 private:
  template <class T> const T* attribute(std::string_view name) const;

  const OnnxFile& file_;
  const OnnxNode& node_;
  std::vector<Tensor> inputs_;
};

/// Computes the outputs of a node.
using OnnxOperator = std::vector<Tensor> (*)(const OnnxStep& step);
using OnnxOperators = std::map<std::string_view, OnnxOperator>;

/// The operator Resize.
std::vector<Tensor> onnx_resize(const OnnxStep& step);

const OnnxOperators& onnx_element_operators();
const OnnxOperators& onnx_shape_operators();
const OnnxOperators& onnx_layer_operators();
/// Returns the operator of a type, or null.
OnnxOperator onnx_operator(std::string_view type);

}  // namespace ebb::detail
