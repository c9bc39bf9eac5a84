// The exporter to ONNX: errors and names. tests/interop runs the models with onnxruntime.
#include "ebb/nn/interop/onnx.h"

#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "files.h"

namespace ebb {
namespace {

using test::expect_error;
using test::TempFolder;

class Onnx : public ::testing::Test {
 protected:
  using Function = std::function<Tensor(const Tensor&)>;

  std::string exported(const Function& f, const OnnxOptions& options = {}) {
    export_onnx(
        folder_ / "x.onnx", [&](std::span<const Tensor> x) { return std::vector{f(x[0])}; },
        {randn({2, 3})}, {}, options);
    return test::read_bytes(folder_ / "x.onnx");
  }
  void expect_refused(const Function& f, std::initializer_list<std::string> parts,
                      const OnnxOptions& options = {}) {
    test::write_bytes(folder_ / "x.onnx", "old");
    expect_error([&] { exported(f, options); }, "export_onnx", parts);
    EXPECT_EQ(test::read_bytes(folder_ / "x.onnx"), "old");
  }
  TempFolder folder_;
};

bool has(const std::string& bytes, const std::string& text) {
  return bytes.find(text) != std::string::npos;
}

TEST_F(Onnx, ParametersAndValuesKeepTheirNames) {
  const nn::Sequential model(nn::Linear(3, 4), nn::ReLU(), nn::Linear(4, 1, {.bias = false}));
  export_onnx(folder_ / "x", model, ones({1, 3}));
  const std::string bytes = test::read_bytes(folder_ / "x");
  for (const char* name : {"0.weight", "0.bias", "2.weight", "input", "output", "batch", "Gemm"})
    EXPECT_TRUE(has(bytes, name)) << name;
  EXPECT_FALSE(has(bytes, "constant"));
  export_onnx(folder_ / "x", model, ones({1, 3}), {.input_names = {"x"}, .output_names = {"y"}});
  EXPECT_FALSE(has(test::read_bytes(folder_ / "x"), "input"));
}

TEST_F(Onnx, TheModeOfTheModelIsUnchangedAndDropoutIsLeftOut) {
  nn::Sequential model(nn::Linear(3, 4), nn::Dropout(0.5));
  export_onnx(folder_ / "x", model, ones({1, 3}));
  EXPECT_TRUE(model.is_training());
  EXPECT_FALSE(has(test::read_bytes(folder_ / "x"), "Mul"));
}

TEST_F(Onnx, ComputationsOnConstantsAreCarriedOut) {
  const Tensor weight = ones({3, 3});
  const std::string bytes =
      exported([&](const Tensor& x) { return matmul(x, exp(transpose(weight, 0, 1))); });
  EXPECT_TRUE(has(bytes, "MatMul"));
  EXPECT_FALSE(has(bytes, "Exp"));
  EXPECT_FALSE(has(bytes, "Transpose"));
}

TEST_F(Onnx, ResultsThatNoOutputNeedsAreLeftOut) {
  EXPECT_FALSE(has(exported([](const Tensor& x) {
                     (void)exp(x);
                     return tanh(x);
                   }),
                   "Exp"));
}

TEST_F(Onnx, OpsWithoutAnEquivalentNameTheOpAndItsCall) {
  expect_refused([](const Tensor& x) { return erfinv(x); },
                 {"the op erfinv (", "onnx_test.cpp:", ") has no equivalent in ONNX"});
  expect_refused([](const Tensor& x) { return atan2(x, x); },
                 {"the op atan2", "has no equivalent in ONNX"});
}

TEST_F(Onnx, NumbersThatDependOnTheBatchAreErrors) {
  expect_refused([](const Tensor& x) { return x / static_cast<double>(x.size(0)); },
                 {"a tensor that was not computed by ops depends on the input"});
  expect_refused([](const Tensor& x) { return mean(x, {0}); }, {"depends on the input"});
  expect_refused(
      [](const Tensor& x) { return leaky_relu(x, 1.0 / static_cast<double>(x.size(0))); },
      {"the op leaky_relu", "a number depends on the batch"});
  expect_refused(
      [](const Tensor& x) {
        Tensor y = x;
        for (int64_t i = 0; i < x.size(0); ++i) y = y + x;
        return y;
      },
      {"the ops depend on the batch"});
  expect_refused([](const Tensor& x) { return reshape(matmul(x, transpose(x, 0, 1)), {-1}); },
                 {"does not grow linearly with the batch"});
  EXPECT_NO_THROW(exported([](const Tensor& x) { return mean(x, {0}); }, {.batch_dim = {}}));
}

TEST_F(Onnx, ValuesThatOpsDidNotComputeAreErrors) {
  expect_refused([](const Tensor& x) { return x * x[0][0].item(); },
                 {"a tensor that was not computed by ops depends on the input"});
  expect_refused([](const Tensor& x) { return gather(x, 1, argmax(x, 1, true)); },
                 {"a tensor that was not computed by ops depends on the input"});
}

TEST_F(Onnx, TracedTensorsThatChangeInPlaceAreErrors) {
  expect_refused(
      [](const Tensor& x) {
        Tensor y = x * 2.0;
        y.add_(1.0);
        return y + x;
      },
      {"was changed in place"});
}

TEST_F(Onnx, DetachedTensorsAreTheSameValue) {
  EXPECT_FALSE(has(exported([](const Tensor& x) { return exp(tanh(x).detach()); }), "constant"));
}

TEST_F(Onnx, BadArgumentsAreErrors) {
  const auto same = [](const Tensor& x) { return x; };
  expect_refused(same, {"samples in dim 2"}, {.batch_dim = 2});
  expect_refused(same, {"samples in dim -1"}, {.batch_dim = -1});
  expect_refused(same, {"expected 1 names of inputs, got 2"}, {.input_names = {"a", "b"}});
  expect_refused(same, {"expected 1 names of outputs, got 2"}, {.output_names = {"a", "b"}});
  expect_refused(same, {"the name \"a\" comes twice"},
                 {.input_names = {"a"}, .output_names = {"a"}});
  expect_refused(same, {"names of inputs and outputs in UTF-8"}, {.input_names = {""}});
  expect_refused([](const Tensor&) { return Tensor(); }, {"undefined"});
  const auto call = [&](const std::vector<Tensor>& examples) {
    return [&, examples] {
      export_onnx(
          folder_ / "x", [](std::span<const Tensor> x) { return std::vector{x[0]}; }, examples);
    };
  };
  expect_error(call({}), "export_onnx", {"at least one example"});
  expect_error(call({Tensor()}), "export_onnx", {"undefined"});
  expect_error(call({ones({2, 3}), ones({3, 3})}), "export_onnx", {"2 and 3 samples"});
  expect_error(call({ones({0, 3})}), "export_onnx", {"(0, 3) has no samples"});
}

}  // namespace
}  // namespace ebb
