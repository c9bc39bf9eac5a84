// ONNX: a trained model as a file that other runtimes execute.
//
//   export_onnx("digits.onnx", model, ones({1, 784}));
//   // in Python: onnxruntime.InferenceSession("digits.onnx").run(None, {"input": x})
//
// The model runs on example inputs, and each of its ops becomes nodes of the file. Any forward can
// be exported that computes with Ebb's ops: layers, free functions and operators. Computations on
// parameters alone are carried out at once and stored as constants. Format:
// https://onnx.ai/onnx/intro/concepts.html.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ebb/nn/module.h"
#include "ebb/nn/serialize/safetensors.h"

namespace ebb {

/// The version of ONNX's operators that the files use. onnxruntime has all of them since 1.12.
inline constexpr int kOnnxOpset = 17;

struct OnnxOptions {
  /// The names of inputs and outputs in the file. By default "input" and "output", or "input_0",
  /// "input_1" and so on if there are several.
  std::vector<std::string> input_names = {}, output_names = {};
  /// The dim of all inputs that counts samples. It is free in the file, under the name "batch".
  /// Without a value all sizes are those of the example.
  std::optional<int> batch_dim = 0;
};

/// Writes a function of tensors to a file.
///
/// forward: called with tensors like the examples, on the CPU. examples: the inputs, of which only
/// the dtypes and shapes matter. With a batch_dim it is called three times, with batches of
/// different sizes and values; sizes that grow with the batch become those of the file. parameters:
/// names of tensors that forward uses; others are named "constant_0" and so on.
///
/// The file replaces an old one in one step. Throws Error that names the op and the line of its
/// call if ONNX has no equivalent, if a number depends on the batch, if a value is computed from
/// the inputs by other means than ops (item(), argmax), or if a traced tensor is changed in place;
/// and Error for no examples, undefined ones, several of different batch sizes, names that do not
/// fit or occur twice, models of more than 2 GB, and if the path cannot be written.
void export_onnx(const std::string& path,
                 const std::function<std::vector<Tensor>(std::span<const Tensor>)>& forward,
                 const std::vector<Tensor>& examples, const NamedTensors& parameters = {},
                 const OnnxOptions& options = {});

/// Writes a model in evaluation mode to a file. model: a Layer, or a Module with Tensor
/// forward(const Tensor&). Its mode is unchanged afterwards. It is otherwise as the function above.
template <class M>
void export_onnx(const std::string& path, const M& model, const Tensor& example,
                 const OnnxOptions& options = {}) {
  nn::detail::check_is_layer<M>();
  M same = model;  // a handle of the same module
  const nn::ModeGuard mode(same, false);
  export_onnx(
      path, [&](std::span<const Tensor> x) { return std::vector<Tensor>{same.forward(x[0])}; },
      {example}, same.state_dict(), options);
}

}  // namespace ebb
