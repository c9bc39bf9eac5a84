#include "ebb/nn/interop/onnx_import.h"

#include <map>

#include "ebb/nn/interop/onnx_program.h"
#include "ebb/nn/serialize/file.h"

namespace ebb {

namespace detail {

const Tensor& OnnxStep::in(size_t i) const {
  if (i >= inputs_.size() || !inputs_[i].defined()) refuse("input ", i, " is missing");
  return inputs_[i];
}

std::vector<int64_t> OnnxStep::list(size_t i) const {
  const Tensor x = optional(i);
  return x.defined() ? x.to_vector<int64_t>() : std::vector<int64_t>{};
}

template <class T> const T* OnnxStep::attribute(std::string_view name) const {
  for (const OnnxAttribute& each : node_.attributes) {
    if (each.name != name) continue;
    const T* value = std::get_if<T>(&each.value);
    if (!value) refuse("the attribute ", name, " has another type");
    return value;
  }
  return nullptr;
}

int64_t OnnxStep::number(std::string_view name, int64_t otherwise) const {
  const auto* value = attribute<int64_t>(name);
  return value ? *value : otherwise;
}
double OnnxStep::real(std::string_view name, double otherwise) const {
  const auto* value = attribute<float>(name);
  return value ? double{*value} : otherwise;
}
std::string OnnxStep::text(std::string_view name, std::string otherwise) const {
  const auto* value = attribute<std::string>(name);
  return value ? *value : otherwise;
}
std::vector<int64_t> OnnxStep::numbers(std::string_view name) const {
  const auto* value = attribute<std::vector<int64_t>>(name);
  return value ? *value : std::vector<int64_t>{};
}
std::vector<std::string> OnnxStep::texts(std::string_view name) const {
  const auto* value = attribute<std::vector<std::string>>(name);
  return value ? *value : std::vector<std::string>{};
}
Tensor OnnxStep::tensor(std::string_view name) const {
  const auto found = file_.tensors.find({node_.outputs[0], std::string(name)});
  return found == file_.tensors.end() ? Tensor() : found->second;
}

OnnxOperator onnx_operator(std::string_view type) {
  for (const OnnxOperators* table :
       {&onnx_element_operators(), &onnx_shape_operators(), &onnx_layer_operators()}) {
    const auto found = table->find(type);
    if (found != table->end()) return found->second;
  }
  return nullptr;
}

/// A file whose operators are all known.
struct OnnxProgram {
  OnnxFile file;
  std::vector<OnnxOperator> operators;          // of each node
  std::map<std::string_view, size_t> last_use;  // the last node that reads a value
  std::vector<std::string> inputs, outputs;
};

}  // namespace detail

using detail::OnnxProgram;

namespace {

constexpr std::string_view kRun = "OnnxModel", kImport = "import_onnx";

// A module that has parameters by path.
class Parameters : public nn::Module {
 public:
  void add(const std::string& path, const Tensor& tensor, int depth = 0) {
    constexpr int kDeepest = 64;
    const size_t dot = path.find('.');
    if (dot == std::string::npos) {
      add_parameter(path, tensor);
      return;
    }
    if (depth == kDeepest) fail(kImport, "a name with more than ", kDeepest, " dots");
    const std::string head = path.substr(0, dot);
    const auto [below, is_new] = below_.try_emplace(head);
    if (is_new) add_child(head, below->second);
    below->second.add(path.substr(dot + 1), tensor, depth + 1);
  }

 private:
  std::map<std::string, Parameters> below_;
};

// Tensors without dims are numbers of a formula, such as the 0.5 of GELU.
Parameters parameters_of(const OnnxProgram& program) {
  Parameters all;
  for (const detail::OnnxConstant& each : program.file.graph.constants) {
    if (is_floating(each.value.dtype()) && each.value.dim() > 0) all.add(each.name, each.value);
  }
  return all;
}

// Computes a node. Errors of its ops name the node.
std::vector<Tensor> computed(const detail::OnnxStep& step, detail::OnnxOperator compute) {
  try {
    return compute(step);
  } catch (const Error& error) {
    const std::string text = error.what();
    if (text.starts_with("[OnnxModel]")) throw;
    step.refuse(text);
  }
}

}  // namespace

OnnxModel::OnnxModel(std::shared_ptr<const OnnxProgram> program)
    : Layer(parameters_of(*program)), program_(std::move(program)) {}

std::vector<Tensor> OnnxModel::run(std::span<const Tensor> inputs) const {
  const detail::OnnxGraph& graph = program_->file.graph;
  if (inputs.size() != graph.inputs.size())
    fail(kRun, "expected ", graph.inputs.size(), " inputs, got ", inputs.size());
  std::map<std::string_view, Tensor> values{{"", Tensor()}};
  for (const detail::OnnxConstant& each : graph.constants) values[each.name] = each.value;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_defined(kRun, inputs[i]);
    values[graph.inputs[i].name] = inputs[i];
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const detail::OnnxNode& node = graph.nodes[i];
    std::vector<Tensor> in;
    for (const std::string& name : node.inputs) in.push_back(values.at(name));
    const detail::OnnxStep step(program_->file, node, std::move(in));
    const std::vector<Tensor> results = computed(step, program_->operators[i]);
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      if (node.outputs[k].empty()) continue;
      if (k >= results.size()) step.refuse("output ", k, " is not supported");
      values[node.outputs[k]] = results[k];
    }
    for (const std::string& name : node.inputs) {
      if (!name.empty() && program_->last_use.at(name) == i) values.erase(name);
    }
  }
  std::vector<Tensor> outputs;
  for (const std::string& name : program_->outputs) outputs.push_back(values.at(name));
  return outputs;
}

Tensor OnnxModel::forward(const Tensor& x) const {
  if (program_->inputs.size() != 1 || program_->outputs.size() != 1) {
    fail(kRun, "forward of a model with ", program_->inputs.size(), " inputs and ",
         program_->outputs.size(), " outputs: call run()");
  }
  return run({&x, 1})[0];
}

const std::vector<std::string>& OnnxModel::input_names() const { return program_->inputs; }
const std::vector<std::string>& OnnxModel::output_names() const { return program_->outputs; }

OnnxModel import_onnx(const std::string& path) {
  detail::File file = detail::File::open_to_read(kImport, path);
  std::string bytes(static_cast<size_t>(file.size()), '\0');
  file.read(bytes.data(), bytes.size());
  const auto program = std::make_shared<OnnxProgram>();
  const std::string what = path + ": ";
  program->file = detail::parse_onnx(kImport, what, bytes);
  const detail::OnnxGraph& graph = program->file.graph;
  for (const detail::OnnxNode& node : graph.nodes) {
    program->operators.push_back(detail::onnx_operator(node.type));
    if (!program->operators.back()) fail(kImport, what, node.origin, ": an unknown operator");
    for (const std::string& name : node.inputs)
      program->last_use[name] = program->operators.size() - 1;
  }
  for (const detail::OnnxValue& each : graph.inputs) program->inputs.push_back(each.name);
  for (const detail::OnnxValue& each : graph.outputs) {
    program->outputs.push_back(each.name);
    program->last_use[each.name] = graph.nodes.size();  // kept
  }
  try {
    return OnnxModel(program);
  } catch (const Error& error) {
    fail(kImport, what, "names of parameters do not fit a module: ", error.what());
  }
}

}  // namespace ebb
