#include "ebb/nn/interop/onnx_graph.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/interop/onnx.h"
#include "ebb/nn/interop/protobuf.h"

namespace ebb::detail {
namespace {

constexpr std::string_view kExport = "export_onnx";

// A size as a + k n for batches of n samples.
struct Affine {
  int64_t constant, per_sample;

  // Returns the rule for the sizes of batches of n, n + 1 and n + 2 samples, or none.
  static std::optional<Affine> of(int64_t first, int64_t second, int64_t third, int64_t n) {
    const int64_t k = second - first;
    if (third - second != k) return std::nullopt;
    return Affine{first - k * n, k};
  }
  std::string text() const {
    if (per_sample == 0) return std::to_string(constant);
    std::string text = per_sample == 1 ? "batch" : std::to_string(per_sample) + "*batch";
    if (constant != 0) text += (constant > 0 ? "+" : "") + std::to_string(constant);
    return text;
  }
};

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  if (a.raw() == b.raw()) return true;
  const Tensor x = a.contiguous(), y = b.contiguous();
  return std::memcmp(x.raw(), y.raw(), static_cast<size_t>(x.numel()) * size_of(x.dtype())) == 0;
}

// Returns x with size 1 in the dims that grow, if it is the same at all positions of them;
// otherwise undefined.
Tensor without_growth(Tensor x, const std::vector<Affine>& sizes) {
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto dim = static_cast<int>(i);
    if (sizes[i].per_sample == 0) continue;
    if (x.size(dim) == 0) return {};
    const Tensor first = narrow(x, dim, 0, 1);
    if (!same_bits(expand(first, x.shape()), x)) return {};
    x = first;
  }
  return x.contiguous();
}

// Joins three traces. The first one becomes the result.
class Joiner {
 public:
  Joiner(std::span<OnnxGraph> traces, int64_t n, int batch_dim)
      : traces_(traces), result_(traces[0]), n_(n), batch_dim_(batch_dim) {}

  OnnxGraph run() {
    for (const OnnxGraph& other : traces_.subspan(1)) check_nodes(other);
    std::vector<OnnxConstant> constants = std::move(result_.constants);
    result_.constants.clear();
    for (size_t i = 0; i < constants.size(); ++i)
      add(constants[i], traces_[1].constants[i], traces_[2].constants[i]);
    for (std::vector<OnnxValue> OnnxGraph::*list :
         {&OnnxGraph::inputs, &OnnxGraph::outputs, &OnnxGraph::values})
      join_values(list);
    result_.nodes.insert(result_.nodes.begin(), front_.begin(), front_.end());
    return std::move(result_);
  }

 private:
  [[noreturn]] static void fail_at(const std::string& origin, const std::string& what) {
    fail(kExport, origin, ": ", what, ": export with .batch_dim = {} for one batch size");
  }

  void check_nodes(const OnnxGraph& other) const {
    for (size_t i = 0; i < std::max(result_.nodes.size(), other.nodes.size()); ++i) {
      if (i >= result_.nodes.size() || i >= other.nodes.size())
        fail_at((i < other.nodes.size() ? other : result_).nodes[i].origin,
                "the ops depend on the batch");
      const OnnxNode &a = result_.nodes[i], &b = other.nodes[i];
      if (a.type != b.type || a.inputs != b.inputs || a.outputs != b.outputs)
        fail_at(a.origin, "the ops depend on the batch");
      if (a.attributes != b.attributes) fail_at(a.origin, "a number depends on the batch");
    }
    if (other.constants.size() != result_.constants.size())
      fail(kExport, "the constants depend on the batch");
  }

  void add(const OnnxConstant& a, const OnnxConstant& b, const OnnxConstant& c) {
    if (same_bits(a.value, b.value) && same_bits(b.value, c.value)) {
      result_.constants.push_back(a);
    } else if (a.is_sizes) {
      add_sizes(a, affine(a.origin, a.value.to_vector<int64_t>(), b.value.to_vector<int64_t>(),
                          c.value.to_vector<int64_t>()));
    } else {
      add_repeated(a, b, c);
    }
  }

  std::vector<Affine> affine(const std::string& origin, const std::vector<int64_t>& a,
                             const std::vector<int64_t>& b, const std::vector<int64_t>& c) const {
    std::vector<Affine> result;
    if (a.size() != b.size() || a.size() != c.size())
      fail_at(origin, "the number of dims depends on the batch");
    for (size_t i = 0; i < a.size(); ++i) {
      const std::optional<Affine> rule = Affine::of(a[i], b[i], c[i], n_);
      if (!rule) fail_at(origin, "a size does not grow linearly with the batch");
      result.push_back(*rule);
    }
    return result;
  }

  // Sizes become constant + per_sample * batch, or have one -1 that the runtime infers.
  void add_sizes(const OnnxConstant& constant, const std::vector<Affine>& sizes) {
    std::vector<int64_t> constants, factors;
    for (const Affine& size : sizes) {
      constants.push_back(size.constant);
      factors.push_back(size.per_sample);
    }
    const auto growing =
        std::count_if(factors.begin(), factors.end(), [](int64_t k) { return k != 0; });
    if (constant.may_infer && growing == 1) {
      for (size_t i = 0; i < factors.size(); ++i) constants[i] = factors[i] ? -1 : constants[i];
      return store(constant.name, constants);
    }
    store(constant.name + "_fixed", constants);
    store(constant.name + "_factor", factors);
    front_.push_back(
        {"Mul", {batch_size(), constant.name + "_factor"}, {constant.name + "_growing"}});
    front_.push_back(
        {"Add", {constant.name + "_growing", constant.name + "_fixed"}, {constant.name}});
  }

  // A constant that repeats along the dims that grow.
  void add_repeated(const OnnxConstant& a, const OnnxConstant& b, const OnnxConstant& c) {
    const auto list = [](const Tensor& x) {
      return std::vector<int64_t>(x.shape().begin(), x.shape().end());
    };
    const std::vector<Affine> sizes = affine(a.origin, list(a.value), list(b.value), list(c.value));
    const Tensor value = without_growth(a.value, sizes), second = without_growth(b.value, sizes),
                 third = without_growth(c.value, sizes);
    const bool repeats = value.defined() && second.defined() && third.defined() &&
                         same_bits(value, second) && same_bits(value, third);
    if (!repeats) fail_at(a.origin, "a tensor that was not computed by ops depends on the input");
    add_sizes({a.name + "_sizes", {}}, sizes);
    result_.constants.push_back({a.name + "_value", value});
    front_.push_back({"Expand", {a.name + "_value", a.name + "_sizes"}, {a.name}});
  }

  void store(const std::string& name, const std::vector<int64_t>& values) {
    result_.constants.push_back({name, from_data(values, {static_cast<int64_t>(values.size())})});
  }

  // Returns the name of a vector of one element, the number of samples.
  std::string batch_size() {
    const std::string name = "batch_size";
    if (!std::exchange(has_batch_size_, true)) {
      front_.push_back({"Shape",
                        {result_.inputs[0].name},
                        {name},
                        {{"start", int64_t{batch_dim_}}, {"end", int64_t{batch_dim_ + 1}}}});
    }
    return name;
  }

  void join_values(std::vector<OnnxValue> OnnxGraph::*list) {
    for (size_t i = 0; i < (result_.*list).size(); ++i) {
      OnnxValue& value = (result_.*list)[i];
      const auto sizes = [&](size_t trace) {
        const Shape& shape = (traces_[trace].*list)[i].shape;
        return std::vector<int64_t>(shape.begin(), shape.end());
      };
      const std::vector<int64_t> first(value.shape.begin(), value.shape.end());
      value.sizes.clear();
      for (const Affine& size : affine("output " + value.name, first, sizes(1), sizes(2)))
        value.sizes.push_back(size.text());
    }
  }

  std::span<OnnxGraph> traces_;
  OnnxGraph result_;
  int64_t n_;
  int batch_dim_;
  bool has_batch_size_ = false;
  std::vector<OnnxNode> front_;
};

// ---- the file ----

int64_t type_code(DType dtype) {
  constexpr int64_t kCodes[kDTypeCount] = {1, 11, 7, 2, 9};
  return kCodes[static_cast<int>(dtype)];
}

ProtoMessage tensor_message(const OnnxConstant& constant) {
  const NoGrad guard;
  const Tensor dense = constant.value.detach().to(Device::cpu()).contiguous();
  ProtoMessage message;
  for (int64_t size : dense.shape()) message.add_int(1, size);
  message.add_int(2, type_code(dense.dtype()));
  message.add_bytes(8, constant.name);
  message.add_bytes(9, {reinterpret_cast<const char*>(dense.raw()),
                        static_cast<size_t>(dense.numel()) * size_of(dense.dtype())});
  return message;
}

ProtoMessage value_message(const OnnxValue& value) {
  ProtoMessage shape, tensor, type, message;
  for (const std::string& size : value.sizes) {
    ProtoMessage dim;
    const bool is_number = size.find_first_not_of("0123456789") == std::string::npos;
    if (is_number) dim.add_int(1, std::stoll(size));
    else dim.add_bytes(2, size);
    shape.add_message(1, dim);
  }
  tensor.add_int(1, type_code(value.dtype));
  tensor.add_message(2, shape);
  type.add_message(1, tensor);
  message.add_bytes(1, value.name);
  message.add_message(2, type);
  return message;
}

ProtoMessage attribute_message(const OnnxAttribute& attribute) {
  ProtoMessage message;
  message.add_bytes(1, attribute.name);
  const auto put = [&](const auto& value) {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, int64_t>) {
      message.add_int(3, value);
      message.add_int(20, 2);
    } else if constexpr (std::is_same_v<T, float>) {
      message.add_float(2, value);
      message.add_int(20, 1);
    } else if constexpr (std::is_same_v<T, std::string>) {
      message.add_bytes(4, value);
      message.add_int(20, 3);
    } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
      for (int64_t each : value) message.add_int(8, each);
      message.add_int(20, 7);
    } else {
      for (const std::string& each : value) message.add_bytes(9, each);
      message.add_int(20, 8);
    }
  };
  std::visit(put, attribute.value);
  return message;
}

ProtoMessage node_message(const OnnxNode& node) {
  ProtoMessage message;
  for (const std::string& name : node.inputs) message.add_bytes(1, name);
  for (const std::string& name : node.outputs) message.add_bytes(2, name);
  message.add_bytes(3, node.outputs[0]);
  message.add_bytes(4, node.type);
  for (const OnnxAttribute& each : node.attributes) message.add_message(5, attribute_message(each));
  return message;
}

}  // namespace

OnnxGraph join_batches(std::span<OnnxGraph> traces, int64_t n, int batch_dim) {
  return Joiner(traces, n, batch_dim).run();
}

void remove_unused(OnnxGraph& graph) {
  std::set<std::string> used;
  for (const OnnxValue& output : graph.outputs) used.insert(output.name);
  std::vector<OnnxNode> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool is_used = std::any_of(node->outputs.begin(), node->outputs.end(),
                                     [&](const std::string& name) { return used.contains(name); });
    if (!is_used) continue;
    used.insert(node->inputs.begin(), node->inputs.end());
    kept.push_back(std::move(*node));
  }
  graph.nodes.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  std::erase_if(graph.constants, [&](const OnnxConstant& c) { return !used.contains(c.name); });
  std::erase_if(graph.values, [&](const OnnxValue& v) { return !used.contains(v.name); });
}

std::string print_onnx(const OnnxGraph& graph) {
  constexpr int kIrVersion = 8;
  ProtoMessage message, opset, model;
  uint64_t bytes = 0;
  for (const OnnxConstant& constant : graph.constants)
    bytes += static_cast<uint64_t>(constant.value.numel()) * size_of(constant.value.dtype());
  constexpr uint64_t kMost = (uint64_t{1} << 31) - (1 << 20);
  if (bytes > kMost) fail(kExport, "parameters of ", bytes, " bytes, more than the 2 GB of a file");
  for (const OnnxNode& node : graph.nodes) message.add_message(1, node_message(node));
  message.add_bytes(2, "ebb");
  for (const OnnxConstant& each : graph.constants) message.add_message(5, tensor_message(each));
  for (const OnnxValue& each : graph.inputs) message.add_message(11, value_message(each));
  for (const OnnxValue& each : graph.outputs) message.add_message(12, value_message(each));
  for (const OnnxValue& each : graph.values) message.add_message(13, value_message(each));
  opset.add_bytes(1, "");
  opset.add_int(2, kOnnxOpset);
  model.add_int(1, kIrVersion);
  model.add_bytes(2, "ebb");
  model.add_message(7, message);
  model.add_message(8, opset);
  return model.bytes();
}

}  // namespace ebb::detail
