// The translation of ops to ONNX. Internal to the exporter.
//
// A tracer observes the ops of one forward. Each op has a function that emits nodes for a call:
// tables of them are in onnx_pointwise.cpp, onnx_shapes.cpp and onnx_layers.cpp.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/nn/interop/onnx_graph.h"
#include "ebb/nn/serialize/safetensors.h"

namespace ebb::detail {

using OnnxAttributes = std::vector<OnnxAttribute>;

class OnnxTracer {
 public:
  explicit OnnxTracer(const NamedTensors& parameters);

  /// Keeps a name for an input or output. Throws Error if it is in use.
  void reserve(const std::string& name);
  void add_input(const std::string& name, const Tensor& tensor);
  /// Marks the value of a tensor as an output with a name.
  void add_output(const std::string& name, const Tensor& tensor);
  /// Translates a call, unless its inputs are all constants. For an OpObserver.
  void note(const OpEvent& event);

  OnnxGraph graph;

  // ---- for OnnxCall ----
  /// Returns the name of the value of a tensor. An unknown one becomes a constant.
  std::string name_of(const Tensor& tensor, const std::string& origin);
  /// Returns true if the value of a tensor depends on the inputs.
  bool is_computed(const Tensor& tensor) const;
  /// Returns a name that is not in use: "relu", "relu_1", ...
  std::string new_name(std::string_view base);
  /// Stores a tensor under a new name.
  std::string add_constant(std::string_view base, const Tensor& value, const std::string& origin);

 private:
  struct Known {
    Tensor tensor;  // kept alive, so that its address names it
    std::string name;
    uint32_t version;
    bool computed;
  };
  const Known* find(const Tensor& tensor) const;
  void bind(const Tensor& tensor, const std::string& name, bool computed);

  std::vector<Known> known_;
  std::unordered_map<const TensorImpl*, size_t> by_impl_;
  std::multimap<const std::byte*, size_t> by_data_;
  std::map<const TensorImpl*, std::string> parameters_;
  std::map<std::string, int, std::less<>> counts_;
  std::set<std::string> valued_;  // names whose shapes are noted
};

/// A call that is translated. Its members emit nodes.
class OnnxCall {
 public:
  OnnxCall(OnnxTracer& tracer, const OpEvent& event);

  const OpEvent& event() const { return event_; }
  const Tensor& result() const { return event_.result; }
  const Tensor& input(size_t i) const { return *event_.inputs[i]; }
  size_t input_count() const { return event_.inputs.size(); }
  /// Returns the name of input i, converted to the dtype in which the op computes.
  std::string in(size_t i);
  /// Returns the name of input i as it is.
  std::string raw(size_t i) { return tracer_.name_of(input(i), origin_); }
  /// Returns the dtype in which a pointwise op computes.
  DType compute_dtype() const { return compute_; }
  /// Returns option i of the call. Throws Error that the op is unknown if it has another type.
  template <class T> const T& option(size_t i = 0) const {
    const T* value = i < event_.options.size() ? event_.options[i].as<T>() : nullptr;
    if (!value) unsupported();
    return *value;
  }
  template <class T> const T* option_if(size_t i = 0) const {
    return i < event_.options.size() ? event_.options[i].as<T>() : nullptr;
  }

  /// Emits a node with one output and returns the name of it.
  std::string node(std::string_view type, std::vector<std::string> inputs,
                   OnnxAttributes attributes = {});
  /// Emits a node with `count` outputs.
  std::vector<std::string> nodes(size_t count, std::string_view type,
                                 std::vector<std::string> inputs, OnnxAttributes attributes = {});
  /// Returns the output that this event is about, of the last node of a type. For ops with several
  /// outputs, whose first event has emitted the node.
  std::string output_of_last(std::string_view type) const;
  /// Returns a 0-d constant of the dtype of the result.
  std::string number(double value);
  /// Returns a constant list of sizes or positions.
  std::string sizes(const std::vector<int64_t>& values, bool may_infer = false);
  std::string constant(std::string_view base, const Tensor& value);
  /// Emits a Reshape.
  std::string reshape(const std::string& x, const Shape& shape);
  std::string cast(const std::string& x, DType to);
  OnnxTracer& tracer() { return tracer_; }

  /// Throws the Error that ONNX has no equivalent.
  [[noreturn]] void unsupported(std::string_view why = {}) const;
  const std::string& origin() const { return origin_; }

 private:
  OnnxTracer& tracer_;
  const OpEvent& event_;
  std::string origin_;
  DType compute_;
};

/// A text as a template argument: same<"Relu">.
template <size_t N> struct OnnxType {
  char text[N];
  constexpr OnnxType(const char (&type)[N]) { std::copy_n(type, N, text); }
};

/// Emits the nodes of a call, and returns the name of the result.
using OnnxTranslation = std::string (*)(OnnxCall& call);
using OnnxTable = std::map<std::string_view, OnnxTranslation>;

const OnnxTable& onnx_pointwise_ops();
const OnnxTable& onnx_shape_ops();
const OnnxTable& onnx_layer_ops();

}  // namespace ebb::detail
