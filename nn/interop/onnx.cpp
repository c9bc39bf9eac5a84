#include "ebb/nn/interop/onnx.h"

#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/interop/onnx_graph.h"
#include "ebb/nn/interop/onnx_tracer.h"
#include "ebb/nn/serialize/file.h"

namespace ebb {
namespace {

constexpr std::string_view kExport = "export_onnx";

using Forward = std::function<std::vector<Tensor>(std::span<const Tensor>)>;

// Returns an example with `more` further samples and other values, so that constants which depend
// on them differ between traces. Numbers move to other places, because a forward may need those of
// a certain range; integers stay in their columns, which may have ranges of their own.
Tensor varied(const Tensor& example, int dim, int64_t more) {
  Tensor x = example;
  for (int64_t i = 0; i < more; ++i) x = cat({x, narrow(example, dim, 0, 1)}, dim);
  if (more == 0) return x;
  if (!is_floating(x.dtype())) return flip(x, {dim});
  return roll(x, {1 + more}) * (1.0 / static_cast<double>(1 + more));
}

// Returns the number of samples.
int64_t checked_batch(const std::vector<Tensor>& examples, const OnnxOptions& options) {
  if (examples.empty()) fail(kExport, "expected at least one example input");
  int64_t batch = 0;
  for (const Tensor& example : examples) {
    check_defined(kExport, example);
    if (example.device() != Device::cpu())
      fail(kExport, "expected examples on the CPU, got ", example.device());
    if (!options.batch_dim) continue;
    const int dim = *options.batch_dim;
    if (dim < 0 || dim >= example.dim() || example.size(dim) == 0)
      fail(kExport, "an example of shape ", example.shape(), " has no samples in dim ", dim);
    if (batch != 0 && example.size(dim) != batch)
      fail(kExport, "examples with ", batch, " and ", example.size(dim), " samples");
    batch = example.size(dim);
  }
  return batch;
}

std::vector<std::string> names_for(std::string_view base, size_t count,
                                   const std::vector<std::string>& given) {
  if (!given.empty()) {
    if (given.size() != count)
      fail(kExport, "expected ", count, " names of ", base, "s, got ", given.size());
    return given;
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i)
    names.push_back(std::string(base) + (count > 1 ? "_" + std::to_string(i) : ""));
  return names;
}

detail::OnnxGraph trace(const Forward& forward, const std::vector<Tensor>& inputs,
                        const NamedTensors& parameters, const OnnxOptions& options) {
  detail::OnnxTracer tracer(parameters);
  const auto names = names_for("input", inputs.size(), options.input_names);
  for (const std::string& name : names) tracer.reserve(name);
  for (const std::string& name : options.output_names) tracer.reserve(name);
  for (size_t i = 0; i < inputs.size(); ++i) tracer.add_input(names[i], inputs[i]);
  std::vector<Tensor> outputs;
  {
    const OpObserver observer([&](const OpEvent& event) { tracer.note(event); });
    outputs = forward(inputs);
  }
  const auto output_names = names_for("output", outputs.size(), options.output_names);
  for (size_t i = 0; i < outputs.size(); ++i) {
    check_defined(kExport, outputs[i]);
    if (options.output_names.empty()) tracer.reserve(output_names[i]);
    tracer.add_output(output_names[i], outputs[i]);
  }
  return std::move(tracer.graph);
}

// A trace whose sizes are those of the example.
void fix_sizes(detail::OnnxGraph& graph) {
  for (auto* list : {&graph.inputs, &graph.outputs, &graph.values}) {
    for (detail::OnnxValue& value : *list) {
      for (int64_t size : value.shape) value.sizes.push_back(std::to_string(size));
    }
  }
}

}  // namespace

void export_onnx(const std::string& path, const Forward& forward,
                 const std::vector<Tensor>& examples, const NamedTensors& parameters,
                 const OnnxOptions& options) {
  const NoGrad guard;
  const int64_t batch = checked_batch(examples, options);
  detail::OnnxGraph graph;
  if (options.batch_dim) {
    std::vector<detail::OnnxGraph> traces;
    for (int64_t more = 0; more < 3; ++more) {
      std::vector<Tensor> inputs;
      for (const Tensor& example : examples)
        inputs.push_back(varied(example, *options.batch_dim, more));
      traces.push_back(trace(forward, inputs, parameters, options));
    }
    graph = detail::join_batches(traces, batch, *options.batch_dim);
  } else {
    graph = trace(forward, examples, parameters, options);
    fix_sizes(graph);
  }
  detail::remove_unused(graph);
  const std::string bytes = detail::print_onnx(graph);
  detail::replace_file(kExport, path,
                       [&](detail::File& file) { file.write(bytes.data(), bytes.size()); });
}

}  // namespace ebb
