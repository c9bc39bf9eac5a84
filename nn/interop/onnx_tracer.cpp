#include "ebb/nn/interop/onnx_tracer.h"

#include <algorithm>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb::detail {
namespace {

constexpr std::string_view kExport = "export_onnx";

std::string origin_of(const OpEvent& event) {
  std::string text = "the op " + std::string(event.op);
  if (event.call_site) {
    text += " (" + std::string(event.call_site->file_name()) + ":" +
            std::to_string(event.call_site->line()) + ")";
  }
  return text;
}

const OnnxTranslation* translation_of(std::string_view op) {
  for (const OnnxTable* table : {&onnx_pointwise_ops(), &onnx_shape_ops(), &onnx_layer_ops()}) {
    const auto found = table->find(op);
    if (found != table->end()) return &found->second;
  }
  return nullptr;
}

// Ops that compute in one dtype, to which other inputs are converted. Others have inputs of several
// dtypes on purpose.
DType common_dtype(const OpEvent& event) {
  DType dtype = event.result.dtype();
  if (dtype != DType::Bool) return dtype;
  for (const Tensor* input : event.inputs) {
    if (dtype == DType::Bool || (is_floating(input->dtype()) && !is_floating(dtype)))
      dtype = input->dtype();
  }
  return dtype;
}

}  // namespace

OnnxTracer::OnnxTracer(const NamedTensors& parameters) {
  for (const auto& [name, tensor] : parameters) {
    if (tensor.defined() && parameters_.emplace(tensor.impl(), name).second)
      counts_.emplace(name, 1);
  }
}

void OnnxTracer::bind(const Tensor& tensor, const std::string& name, bool computed) {
  by_impl_[tensor.impl()] = known_.size();
  by_data_.emplace(tensor.raw(), known_.size());
  known_.push_back({tensor, name, tensor.version(), computed});
}

// A tensor that shares all elements with a known one has its value: x.detach() is x.
const OnnxTracer::Known* OnnxTracer::find(const Tensor& tensor) const {
  const auto found = by_impl_.find(tensor.impl());
  if (found != by_impl_.end()) return &known_[found->second];
  const auto [first, last] = by_data_.equal_range(tensor.raw());
  for (auto each = first; each != last; ++each) {
    const Known& known = known_[each->second];
    if (known.tensor.dtype() == tensor.dtype() && known.tensor.shape() == tensor.shape() &&
        known.tensor.strides() == tensor.strides() && tensor.numel() > 0)
      return &known;
  }
  return nullptr;
}

bool OnnxTracer::is_computed(const Tensor& tensor) const {
  const Known* known = find(tensor);
  return known && known->computed;
}

std::string OnnxTracer::new_name(std::string_view base) {
  const int count = counts_[std::string(base)]++;
  return count == 0 ? std::string(base) : new_name(std::string(base) + "_" + std::to_string(count));
}

std::string OnnxTracer::add_constant(std::string_view base, const Tensor& value,
                                     const std::string& origin) {
  const std::string name = new_name(base);
  graph.constants.push_back({name, value, origin});
  return name;
}

std::string OnnxTracer::name_of(const Tensor& tensor, const std::string& origin) {
  if (const Known* known = find(tensor)) {
    if (known->version != tensor.version())
      fail(kExport, origin, ": its input ", known->name, " was changed in place");
    return known->name;
  }
  const auto parameter = parameters_.find(tensor.impl());
  std::string name;
  if (parameter != parameters_.end()) {
    name = parameter->second;
    graph.constants.push_back({name, tensor, origin});
  } else {
    name = add_constant("constant", tensor, origin);
  }
  bind(tensor, name, false);
  return name;
}

void OnnxTracer::reserve(const std::string& name) {
  if (name.empty() || !is_utf8(name))
    fail(kExport, "expected names of inputs and outputs in UTF-8");
  if (!counts_.emplace(name, 1).second) fail(kExport, "the name ", shown(name), " comes twice");
}

void OnnxTracer::add_input(const std::string& name, const Tensor& tensor) {
  graph.inputs.push_back({name, tensor.dtype(), {}, tensor.shape()});
  valued_.insert(name);
  bind(tensor, name, true);
}

void OnnxTracer::add_output(const std::string& name, const Tensor& tensor) {
  const std::string from = name_of(tensor, "output " + name);
  graph.nodes.push_back({"Identity", {from}, {name}, {}, "output " + name});
  graph.outputs.push_back({name, tensor.dtype(), {}, tensor.shape()});
}

void OnnxTracer::note(const OpEvent& event) {
  const bool computed = std::any_of(event.inputs.begin(), event.inputs.end(),
                                    [&](const Tensor* input) { return is_computed(*input); });
  if (!computed) return;  // the result will be a constant, if anything uses it
  const OnnxTranslation* translate = translation_of(event.op);
  OnnxCall call(*this, event);
  if (!translate) call.unsupported();
  const std::string name = (*translate)(call);
  bind(event.result, name, true);
  if (valued_.insert(name).second)
    graph.values.push_back({name, event.result.dtype(), {}, event.result.shape()});
}

// ---- calls ----

OnnxCall::OnnxCall(OnnxTracer& tracer, const OpEvent& event)
    : tracer_(tracer), event_(event), origin_(origin_of(event)), compute_(common_dtype(event)) {}

std::string OnnxCall::in(size_t i) {
  const std::string name = raw(i);
  return onnx_pointwise_ops().contains(event_.op) && input(i).dtype() != compute_
             ? cast(name, compute_)
             : name;
}

std::vector<std::string> OnnxCall::nodes(size_t count, std::string_view type,
                                         std::vector<std::string> inputs,
                                         OnnxAttributes attributes) {
  std::vector<std::string> outputs;
  for (size_t i = 0; i < count; ++i) outputs.push_back(tracer_.new_name(event_.op));
  tracer_.graph.nodes.push_back(
      {std::string(type), std::move(inputs), outputs, std::move(attributes), origin_});
  return outputs;
}

std::string OnnxCall::node(std::string_view type, std::vector<std::string> inputs,
                           OnnxAttributes attributes) {
  return nodes(1, type, std::move(inputs), std::move(attributes))[0];
}

std::string OnnxCall::output_of_last(std::string_view type) const {
  const std::vector<OnnxNode>& nodes = tracer_.graph.nodes;
  const auto node = std::find_if(nodes.rbegin(), nodes.rend(),
                                 [&](const OnnxNode& each) { return each.type == type; });
  if (node == nodes.rend()) unsupported();
  return node->outputs[static_cast<size_t>(event_.output)];
}

std::string OnnxCall::number(double value) {
  return constant("number", full({}, value, {.dtype = compute_}));
}

std::string OnnxCall::constant(std::string_view base, const Tensor& value) {
  return tracer_.add_constant(base, value, origin_);
}

std::string OnnxCall::sizes(const std::vector<int64_t>& values, bool may_infer) {
  const std::string name = constant("sizes", from_data(values, {std::ssize(values)}));
  tracer_.graph.constants.back().is_sizes = true;
  tracer_.graph.constants.back().may_infer = may_infer;
  return name;
}

std::string OnnxCall::reshape(const std::string& x, const Shape& shape) {
  for (int64_t size : shape) {
    if (size == 0) unsupported("a shape with a size of 0");
  }
  return node("Reshape", {x, sizes({shape.begin(), shape.end()}, true)});
}

std::string OnnxCall::cast(const std::string& x, DType to) {
  constexpr int64_t kCodes[kDTypeCount] = {1, 11, 7, 2, 9};
  return node("Cast", {x}, {{"to", kCodes[static_cast<int>(to)]}});
}

void OnnxCall::unsupported(std::string_view why) const {
  fail(kExport, origin_, why.empty() ? " has no equivalent in ONNX" : ": ", why);
}

}  // namespace ebb::detail
