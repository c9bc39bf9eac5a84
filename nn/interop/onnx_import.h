// ONNX models as modules: reads a file of another program and computes it with Ebb's ops.
//
//   OnnxModel model = import_onnx("resnet.onnx");
//   Tensor y = model(images);              // differentiable; model.parameters() can be trained
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ebb/nn/module.h"

namespace ebb {

namespace detail {
struct OnnxProgram;
}

/// A graph of ONNX operators, computed on the CPU. Its floating initializers are parameters, under
/// their names of the file; a '.' in a name leads to a submodule, as in Ebb's own models. Those
/// without dims stay constants, because they are numbers of formulas.
class OnnxModel : public nn::Layer {
 public:
  /// Computes all outputs. Throws Error that names the node if its inputs do not fit or it has an
  /// option that is not supported, and unless there are as many inputs as in the file.
  std::vector<Tensor> run(std::span<const Tensor> inputs) const;
  /// Returns the only output for the only input. Throws Error for models with several.
  Tensor forward(const Tensor& x) const override;

  const std::vector<std::string>& input_names() const;
  const std::vector<std::string>& output_names() const;

 private:
  friend OnnxModel import_onnx(const std::string& path);
  explicit OnnxModel(std::shared_ptr<const detail::OnnxProgram> program);
  std::shared_ptr<const detail::OnnxProgram> program_;
};

/// Reads a model of opset 13 to 21 with the operators that export_onnx writes, and the common ones
/// next to them: BatchNormalization, GlobalAveragePool, Gelu, Split, Squeeze and so on. Element
/// types are converted as in load_safetensors.
///
/// The content is checked before it is used, and time and memory are proportional to the size of
/// the file. Throws Error that names the path if it is missing, truncated, damaged or not a regular
/// file; for an unknown operator, opset or element type; for a tensor whose shape does not fit its
/// bytes; for data in other files, control flow and functions; and for a name that is used before
/// it is computed or is computed twice.
///
///     OnnxModel model = import_onnx("digits.onnx");
OnnxModel import_onnx(const std::string& path);

}  // namespace ebb
