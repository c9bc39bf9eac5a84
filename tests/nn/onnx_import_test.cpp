// The importer of ONNX. tests/interop compares its operators with onnxruntime.
#include "ebb/nn/interop/onnx_import.h"

#include <gtest/gtest.h>

#include <limits>

#include "ebb/ebb.h"
#include "ebb/nn/interop/protobuf.h"
#include "files.h"

namespace ebb {
namespace {

using detail::ProtoMessage;
using test::expect_error;
using test::TempFolder;

// The messages of onnx.proto, as far as these tests need them.
ProtoMessage tensor_of(const std::string& name, int64_t type, const std::vector<int64_t>& sizes,
                       const std::string& raw) {
  ProtoMessage message;
  for (int64_t size : sizes) message.add_int(1, size);
  message.add_int(2, type);
  message.add_bytes(8, name);
  message.add_bytes(9, raw);
  return message;
}

ProtoMessage node_of(const std::string& type, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs) {
  ProtoMessage message;
  for (const std::string& name : inputs) message.add_bytes(1, name);
  for (const std::string& name : outputs) message.add_bytes(2, name);
  message.add_bytes(4, type);
  return message;
}

struct Model {
  std::vector<ProtoMessage> nodes = {}, tensors = {};
  std::vector<std::string> inputs = {"x"}, outputs = {"y"};
  int64_t opset = 17;

  std::string bytes() const {
    ProtoMessage graph, version, model;
    for (const ProtoMessage& node : nodes) graph.add_message(1, node);
    for (const ProtoMessage& tensor : tensors) graph.add_message(5, tensor);
    const auto add_value = [&](int field, const std::string& name) {
      ProtoMessage value;
      value.add_bytes(1, name);
      graph.add_message(field, value);
    };
    for (const std::string& name : inputs) add_value(11, name);
    for (const std::string& name : outputs) add_value(12, name);
    version.add_int(2, opset);
    model.add_int(1, 8);
    model.add_message(7, graph);
    model.add_message(8, version);
    return model.bytes();
  }
};

class OnnxImport : public ::testing::Test {
 protected:
  OnnxModel import(const std::string& bytes) {
    test::write_bytes(folder_ / "x.onnx", bytes);
    return import_onnx(folder_ / "x.onnx");
  }
  void expect_refused(const Model& model, const std::string& part) {
    expect_error([&] { import(model.bytes()); }, "import_onnx", {folder_ / "x.onnx", part});
  }
  TempFolder folder_;
};

TEST_F(OnnxImport, AnExportedModelComputesTheSameAndCanBeTrained) {
  nn::Sequential model(nn::Linear(3, 4), nn::GELU(), nn::Linear(4, 2));
  export_onnx(folder_ / "m", model, ones({1, 3}));
  OnnxModel same = import_onnx(folder_ / "m");
  const Tensor x = randn({5, 3});
  EXPECT_TRUE(allclose(same(x), model(x), 1e-5, 1e-6));
  ASSERT_EQ(same.named_parameters().size(), 4u);
  load_state(same.state_dict(), model.state_dict(), "the exported model");  // equal names
  const Tensor loss = sum(square(same(x))), expected = sum(square(model(x)));
  loss.backward();
  expected.backward();
  EXPECT_TRUE(allclose(same.parameters()[0].grad(), model.parameters()[0].grad(), 1e-4, 1e-5));
  optim::SGD(same.parameters(), {.lr = 0.1}).step();
  EXPECT_FALSE(allclose(same(x), model(x), 1e-5, 1e-6));
}

TEST_F(OnnxImport, SeveralInputsAndOutputsAreInTheOrderOfTheFile) {
  Model model{.nodes = {node_of("Add", {"a", "b"}, {"s"}), node_of("Sub", {"a", "b"}, {"d"})},
              .inputs = {"a", "b"},
              .outputs = {"d", "s"}};
  const OnnxModel imported = import(model.bytes());
  EXPECT_EQ(imported.input_names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(imported.output_names(), (std::vector<std::string>{"d", "s"}));
  const Tensor both[] = {tensor({5.0}), tensor({2.0})};
  const std::vector<Tensor> y = imported.run(both);
  EXPECT_EQ(y.at(0).item(), 3);
  EXPECT_EQ(y.at(1).item(), 7);
  expect_error([&] { imported.run({both, 1}); }, "OnnxModel", {"expected 2 inputs, got 1"});
  expect_error([&] { imported(both[0]); }, "OnnxModel", {"2 inputs and 2 outputs: call run()"});
}

TEST_F(OnnxImport, ErrorsOfAComputationNameTheNode) {
  const Model model{.nodes = {node_of("MatMul", {"x", "x"}, {"y"})}};
  const OnnxModel imported = import(model.bytes());
  expect_error(
      [&] {
        imported(ones({2, 3}));
      },
      "OnnxModel", {"the node \"y\" (\"MatMul\")", "[matmul]", "(2, 3)"});
  const OnnxModel lacking = import(Model{.nodes = {node_of("Add", {"x"}, {"y"})}}.bytes());
  expect_error([&] { lacking(ones({2})); }, "OnnxModel", {"input 1 is missing"});
  const OnnxModel more = import(Model{.nodes = {node_of("Relu", {"x"}, {"z", "y"})}}.bytes());
  expect_error([&] { more(ones({2})); }, "OnnxModel", {"output 1 is not supported"});
}

TEST_F(OnnxImport, NumbersThatAreTooLargeAreErrors) {
  const auto run = [&](const char* name, int64_t number) {
    ProtoMessage node = node_of("MaxPool", {"x"}, {"y"});
    const std::pair<const char*, int64_t> attributes[] = {{"kernel_shape", 2}, {name, number}};
    for (const auto& [key, value] : attributes) {
      ProtoMessage attribute;
      attribute.add_bytes(1, key);
      attribute.add_int(8, value);
      attribute.add_int(8, value);
      if (std::string_view(key) == "pads") attribute.add_int(8, value), attribute.add_int(8, value);
      attribute.add_int(20, 7);
      node.add_message(5, attribute);
    }
    return import(Model{.nodes = {node}}.bytes())(ones({1, 1, 4, 4}));
  };
  EXPECT_EQ(run("strides", 2).shape(), Shape({1, 1, 2, 2}));
  for (const char* name : {"strides", "dilations", "pads"}) {
    for (const int64_t number : {std::numeric_limits<int64_t>::max(), int64_t{1} << 31})
      expect_error([&] { run(name, number); }, "OnnxModel", {"is too large"});
  }
  expect_error([&] { run("pads", std::numeric_limits<int64_t>::min()); }, "OnnxModel",
               {"is too large"});
  expect_error([&] { run("strides", 0); }, "OnnxModel", {"expected at least 1"});
}

TEST_F(OnnxImport, TextOfTheFileReachesMessagesEscaped) {
  ProtoMessage node = node_of("RNN", {"x", "w", "r"}, {"y"}), attribute;
  attribute.add_bytes(1, "direction");
  attribute.add_bytes(4, "\x1b[2J\n");
  attribute.add_int(20, 3);
  node.add_message(5, attribute);
  const Model model{.nodes = {node}, .inputs = {"x", "w", "r"}};
  const Tensor inputs[] = {ones({2, 1, 3}), ones({2, 4, 3}), ones({1, 4, 4})};
  expect_error([&] { import(model.bytes()).run(inputs); }, "OnnxModel",
               {"(\"RNN\")", "for the direction \"\\u001b[2J\\n\""});
}

TEST_F(OnnxImport, FilesThatCannotBeComputedAreRefused) {
  const auto one = [](const ProtoMessage& node) { return Model{.nodes = {node}}; };
  const ProtoMessage relu = node_of("Relu", {"x"}, {"y"});
  expect_refused(one(node_of("Relux\n", {"x"}, {"y"})),
                 "the node \"y\" (\"Relux\\n\"): an unknown operator");
  expect_refused(one(node_of("Relu", {"z"}, {"y"})),
                 "the node \"y\" (\"Relu\") needs \"z\", which is not computed before");
  expect_refused(Model{.nodes = {relu, relu}}, "the name \"y\" comes twice");
  expect_refused(Model{.nodes = {relu}, .outputs = {"q"}}, "the list of outputs needs \"q\"");
  expect_refused(Model{.nodes = {relu}, .outputs = {""}}, "an output without a name");
  expect_refused(Model{.nodes = {relu}, .opset = 12}, "opset 12, expected 13 to 21");
  expect_refused(Model{.nodes = {relu}, .opset = 99}, "opset 99, expected 13 to 21");
  ProtoMessage other = relu, flow = relu, attribute;
  other.add_bytes(7, "com.example");
  expect_refused(one(other), "of the unknown domain \"com.example\"");
  attribute.add_bytes(1, "body");
  attribute.add_bytes(6, "");
  flow.add_message(5, attribute);
  expect_refused(one(flow), "control flow is not supported");
}

TEST_F(OnnxImport, TensorsThatDoNotFitTheirBytesAreRefused) {
  const auto with = [](const ProtoMessage& tensor) {
    return Model{.nodes = {node_of("Add", {"x", "c"}, {"y"})}, .tensors = {tensor}};
  };
  const std::string four(4, '\0');
  EXPECT_NO_THROW(import(with(tensor_of("c", 1, {1}, four)).bytes()));
  expect_refused(with(tensor_of("c", 1, {2}, four)),
                 "tensor \"c\": 4 bytes, expected 8 for F32 (2,)");
  expect_refused(with(tensor_of("c", 1, {1}, four + four)), "8 bytes, expected 4 for F32 (1,)");
  expect_refused(with(tensor_of("c", 8, {1}, four)), "the element type 8 of ONNX is not supported");
  expect_refused(with(tensor_of("c", 1, {-1}, four)), "negative or too large");
  expect_refused(with(tensor_of("c", 1, {int64_t{1} << 40, int64_t{1} << 40}, four)),
                 "negative or too large");
  expect_refused(with(tensor_of("c", 1, {1, 1, 1, 1, 1, 1, 1, 1, 1}, four)), "a shape of 9 sizes");
  expect_refused(with(tensor_of("c", 1, {1'000'000'000}, four)), "expected 4000000000");
  expect_refused(with(tensor_of("c", 9, {1}, "\2")), "a BOOL is neither 0 nor 1");
  ProtoMessage elsewhere = tensor_of("c", 1, {1}, "");
  elsewhere.add_int(14, 1);
  expect_refused(with(elsewhere), "data in other files are not supported");
  std::string dots;
  for (int i = 0; i < 100000; ++i) dots += "a.";
  Model deep{.nodes = {node_of("Add", {"x", dots}, {"y"})},
             .tensors = {tensor_of(dots, 1, {1}, four)}};
  expect_refused(deep, "more than 64 dots");
}

TEST_F(OnnxImport, EveryTruncationIsAnError) {
  export_onnx(folder_ / "m", nn::Sequential(nn::Linear(2, 1), nn::ReLU()), ones({1, 2}));
  const std::string bytes = test::read_bytes(folder_ / "m");
  for (size_t n = 0; n < bytes.size(); ++n) {
    SCOPED_TRACE(n);
    expect_error([&] { import(bytes.substr(0, n)); }, "import_onnx", {folder_ / "x.onnx"});
  }
  EXPECT_NO_THROW(import(bytes));
  expect_error([&] { import("not a model"); }, "import_onnx", {"damaged or not an ONNX model"});
  expect_error([&] { import_onnx(folder_ / "none"); }, "import_onnx", {"No such file"});
}

}  // namespace
}  // namespace ebb
