// load_state: copies values into parameters by name.
#include <gtest/gtest.h>

#include "ebb/nn/serialize/checkpoint.h"
#include "files.h"

namespace ebb {
namespace {

using test::expect_error;

TEST(LoadState, CopiesByNameIntoParameters) {
  Tensor weight = zeros({2, 2}), bias = zeros({2});
  weight.requires_grad_();
  load_state({{"weight", weight}, {"bias", bias}},
             {{"bias", tensor({5, 6}, f32)}, {"weight", tensor({{1, 2}, {3, 4}}, f32)}}, "test");
  EXPECT_EQ(weight.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(bias.to_vector<float>(), (std::vector<float>{5, 6}));
  EXPECT_TRUE(weight.requires_grad() && weight.is_leaf());
}

TEST(LoadState, ErrorsNameEverythingThatDoesNotFitAndChangeNothing) {
  const Tensor weight = zeros({2, 2}), bias = zeros({2});
  const NamedTensors target = {{"a.weight", weight}, {"a.bias", bias}};
  const auto load = [&](const NamedTensors& source) {
    return [&, source] { load_state(target, source, "x.file"); };
  };
  const Tensor good = ones({2, 2});
  expect_error(load({{"a.weight", good}}), "load_state",
               {"x.file does not fit; missing: \"a.bias\""});
  expect_error(load({{"a.weight", good}, {"a.bias", ones({2})}, {"b.bias", good}}), "load_state",
               {"x.file does not fit; unexpected: \"b.bias\""});
  expect_error(load({{"a.weight", good}, {"a.bias", ones({3})}}), "load_state",
               {"different: \"a.bias\" is f32 (3,), expected f32 (2,)"});
  expect_error(load({{"a.weight", good}, {"a.bias", ones({2}, {.dtype = DType::F64})}}),
               "load_state", {"different: \"a.bias\" is f64 (2,), expected f32 (2,)"});
  expect_error(load({{"a.weight", ones({4})}, {"c", good}}), "load_state",
               {"missing: \"a.bias\"; unexpected: \"c\"; different: \"a.weight\" is f32 (4,), "
                "expected f32 (2, 2)"});
  expect_error(load({{"a.weight", good}, {"a.bias", ones({2})}, {"a.weight", good}}), "load_state",
               {"\"a.weight\" comes twice"});
  expect_error(load({{"a.weight", good}, {"a.bias", Tensor()}}), "load_state", {"undefined"});
  NamedTensors many;
  for (int i = 0; i < 9; ++i) many.emplace_back("k" + std::to_string(i), good);
  expect_error(
      load(many), "load_state",
      {R"(missing: "a.bias", "a.weight"; unexpected: "k0", "k1", "k2", "k3", "k4" and 4 more)"});
  many.resize(5);
  const std::string five = "\"k0\", \"k1\", \"k2\", \"k3\", \"k4\"";
  try {
    load_state(target, many, "x.file");
    ADD_FAILURE();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.substr(text.size() - five.size()), five) << text;
  }
  for (const auto& [name, tensor] : target) {
    for (double value : tensor.to_vector<double>()) EXPECT_EQ(value, 0) << name;
  }
}

}  // namespace
}  // namespace ebb
