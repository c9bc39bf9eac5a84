#include "ebb/nn/interop/onnx_parse.h"

#include <algorithm>
#include <set>

#include "ebb/nn/interop/protobuf_reader.h"
#include "ebb/nn/serialize/elements.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb::detail {
namespace {

// Reads the messages of onnx.proto. The numbers are those of its fields.
class Parser {
 public:
  Parser(std::string_view op, const std::string& what) : op_(op), what_(what) {}

  OnnxFile model(std::string_view bytes) {
    bool has_graph = false;
    for (ProtoReader r(op_, what_, bytes); r.next();) {
      if (r.field() == 7) {
        if (std::exchange(has_graph, true)) r.damaged();
        graph(r.message());
      } else if (r.field() == 8) {
        opset(r.message());
      } else if (r.field() == 25) {
        fail(op_, what_, "functions are not supported");
      }
    }
    if (!has_graph || file_.opset == 0)
      fail(op_, what_, "the file is damaged or not an ONNX model");
    check_names();
    return std::move(file_);
  }

 private:
  void opset(ProtoReader r) {
    std::string domain;
    int64_t version = 0;
    while (r.next()) {
      if (r.field() == 1) domain = r.text();
      if (r.field() == 2) version = r.number();
    }
    if (!domain.empty() && domain != "ai.onnx") return;
    if (version < 13 || version > 21) fail(op_, what_, "opset ", version, ", expected 13 to 21");
    file_.opset = version;
  }

  void graph(ProtoReader r) {
    while (r.next()) {
      switch (r.field()) {
        case 1: node(r.message()); break;
        case 5: file_.graph.constants.push_back(tensor(r.message())); break;
        case 11: file_.graph.inputs.push_back({value_name(r.message()), DType::F32, {}, {}}); break;
        case 12:
          file_.graph.outputs.push_back({value_name(r.message()), DType::F32, {}, {}});
          break;
        case 15: fail(op_, what_, "sparse tensors are not supported");
        default: break;
      }
    }
    // Old files list constants as inputs too.
    std::set<std::string> constants;
    for (const OnnxConstant& each : file_.graph.constants) constants.insert(each.name);
    std::erase_if(file_.graph.inputs,
                  [&](const OnnxValue& input) { return constants.contains(input.name); });
  }

  static std::string value_name(ProtoReader r) {
    std::string name;
    while (r.next()) {
      if (r.field() == 1) name = r.text();
    }
    return name;
  }

  void node(ProtoReader r) {
    OnnxNode node;
    std::vector<ProtoReader> attributes;
    std::string name, domain;
    while (r.next()) {
      switch (r.field()) {
        case 1: node.inputs.push_back(r.text()); break;
        case 2: node.outputs.push_back(r.text()); break;
        case 3: name = r.text(); break;
        case 4: node.type = r.text(); break;
        case 5: attributes.push_back(r.message()); break;
        case 7: domain = r.text(); break;
        default: break;
      }
    }
    if (node.outputs.empty()) r.damaged();
    node.origin = "the node " + shown(name.empty() ? node.outputs[0] : name) + " (" +
                  shown(node.type, 40) + ")";
    if (!domain.empty() && domain != "ai.onnx")
      fail(op_, what_, node.origin, " is of the unknown domain ", shown(domain));
    for (const ProtoReader& each : attributes) attribute(each, node);
    file_.graph.nodes.push_back(std::move(node));
  }

  void attribute(ProtoReader r, OnnxNode& node) {
    std::string name, text;
    int64_t type = 0, number = 0;
    float real = 0;
    std::vector<int64_t> numbers;
    std::vector<std::string> texts;
    while (r.next()) {
      switch (r.field()) {
        case 1: name = r.text(); break;
        case 2: real = r.float_number(); break;
        case 3: number = r.number(); break;
        case 4: text = r.text(); break;
        case 5: file_.tensors[{node.outputs[0], name}] = tensor(r.message()).value; break;
        case 8: r.append_to(numbers); break;
        case 9: texts.push_back(r.text()); break;
        case 20: type = r.number(); break;
        case 6:
        case 11: fail(op_, what_, node.origin, ": control flow is not supported");
        default: break;
      }
    }
    switch (type) {
      case 1: node.attributes.push_back({name, real}); break;
      case 2: node.attributes.push_back({name, number}); break;
      case 3: node.attributes.push_back({name, text}); break;
      case 4: break;  // a tensor
      case 6: break;  // floats, which none of the operators needs
      case 7: node.attributes.push_back({name, numbers}); break;
      case 8: node.attributes.push_back({name, texts}); break;
      default: fail(op_, what_, node.origin, ": the attribute ", shown(name), " is not supported");
    }
  }

  OnnxConstant tensor(ProtoReader r) {
    std::vector<int64_t> sizes, integers;
    std::string name, raw;
    int64_t code = 0;
    bool has_raw = false;
    while (r.next()) {
      switch (r.field()) {
        case 1: r.append_to(sizes); break;
        case 2: code = r.number(); break;
        case 4:
        case 10: r.append_raw_to(raw); break;
        case 5:
        case 7:
        case 11: r.append_to(integers); break;
        case 8: name = r.text(); break;
        case 9:
          raw = r.text();
          has_raw = true;
          break;
        case 13:
        case 14:
          if (r.field() == 13 || r.number() != 0)
            fail(op_, what_, "tensor ", shown(name), ": data in other files are not supported");
          break;
        default: break;
      }
    }
    const std::string at = what_ + "tensor " + shown(name) + ": ";
    const ElementType& type = element_type_of(at, code);
    const Shape shape = shape_of(at, sizes, type);
    if (!has_raw && !integers.empty()) raw = as_raw(integers, type);
    const auto bytes = static_cast<uint64_t>(shape.numel(op_)) * type.bytes;
    if (raw.size() != bytes)
      fail(op_, at, raw.size(), " bytes, expected ", bytes, " for ", type.name, " ", shape);
    size_t done = 0;
    return {name, read_elements(op_, at, type, shape, [&](void* to, size_t n) {
              std::memcpy(to, raw.data() + done, n);
              done += n;
            })};
  }

  const ElementType& element_type_of(const std::string& at, int64_t code) const {
    constexpr std::pair<int64_t, std::string_view> kTypes[] = {
        {1, "F32"},  {2, "U8"},   {3, "I8"},   {4, "U16"},  {5, "I16"},  {6, "I32"},  {7, "I64"},
        {9, "BOOL"}, {10, "F16"}, {11, "F64"}, {12, "U32"}, {13, "U64"}, {16, "BF16"}};
    for (const auto& [each, name] : kTypes) {
      if (each == code) return *element_type(name);
    }
    fail(op_, at, "the element type ", code, " of ONNX is not supported");
  }

  Shape shape_of(const std::string& at, const std::vector<int64_t>& sizes,
                 const ElementType& type) const {
    if (sizes.size() > static_cast<size_t>(kMaxDims))
      fail(op_, at, "a shape of ", sizes.size(), " sizes, at most ", kMaxDims, " are read");
    auto most = static_cast<int64_t>(std::max(type.bytes, size_of(type.dtype())));
    Shape shape;
    for (int64_t size : sizes) {
      if (size < 0 || __builtin_mul_overflow(most, std::max<int64_t>(size, 1), &most))
        fail(op_, at, "the shape is negative or too large");
      shape.push_back(size);
    }
    return shape;
  }

  // Integers as their little-endian bytes.
  static std::string as_raw(const std::vector<int64_t>& integers, const ElementType& type) {
    std::string raw;
    for (int64_t value : integers) {
      for (size_t i = 0; i < type.bytes; ++i) raw += static_cast<char>(value >> (8 * i));
    }
    return raw;
  }

  void check_names() const {
    std::set<std::string> known{""};
    const auto add = [&](const std::string& name) {
      if (!name.empty() && !known.insert(name).second)
        fail(op_, what_, "the name ", shown(name), " comes twice");
    };
    const auto need = [&](const std::string& name, const std::string& where) {
      if (!known.contains(name))
        fail(op_, what_, where, " needs ", shown(name), ", which is not computed before");
    };
    for (const OnnxConstant& each : file_.graph.constants) add(each.name);
    for (const OnnxValue& each : file_.graph.inputs) add(each.name);
    for (const OnnxNode& node : file_.graph.nodes) {
      for (const std::string& name : node.inputs) need(name, node.origin);
      for (const std::string& name : node.outputs) add(name);
    }
    for (const OnnxValue& each : file_.graph.outputs) {
      if (each.name.empty()) fail(op_, what_, "an output without a name");
      need(each.name, "the list of outputs");
    }
  }

  std::string_view op_;
  const std::string& what_;
  OnnxFile file_;
};

}  // namespace

OnnxFile parse_onnx(std::string_view op, const std::string& what, std::string_view bytes) {
  return Parser(op, what).model(bytes);
}

}  // namespace ebb::detail
