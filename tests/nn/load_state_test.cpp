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

// ---- partial loading ----

TEST(LoadState, WithoutStrictLoadsWhatFitsAndReportsTheRest) {
  Tensor weight = zeros({2}), bias = zeros({2}), head = zeros({3});
  weight.requires_grad_();
  const LoadReport report =
      load_state({{"weight", weight}, {"bias", bias}, {"head", head}},
                 {{"weight", tensor({1, 2}, f32)}, {"head", ones({4})}, {"other", ones({1})}},
                 "x.file", {.strict = false});
  EXPECT_EQ(weight.to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_EQ(bias.to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(head.to_vector<float>(), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(report.loaded, std::vector<std::string>{"weight"});
  EXPECT_EQ(report.missing, std::vector<std::string>{"bias"});
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"other"});
  ASSERT_EQ(report.different.size(), 1u);
  EXPECT_EQ(report.different[0].name, "head");
  EXPECT_EQ(report.different[0].expected, "f32 (3,)");
  EXPECT_EQ(report.different[0].got, "f32 (4,)");
  EXPECT_FALSE(report.is_complete());
  EXPECT_EQ(to_text(report),
            "1 loaded; missing: \"bias\"; unexpected: \"other\"; different: \"head\" is f32 (4,), "
            "expected f32 (3,)");
}

TEST(LoadState, PrefixesRenameTheSource) {
  Tensor a = zeros({1}), b = zeros({1});
  const NamedTensors target = {{"a", a}, {"body.b", b}};
  const NamedTensors source = {{"module.a", ones({1})}, {"encoder.b", full({1}, 2.0)}};
  const LoadOptions options{.prefixes = {{"module.", ""}, {"encoder.", "body."}}};
  EXPECT_TRUE(load_state(target, source, "x.file", options).is_complete());
  EXPECT_EQ(a.item(), 1);
  EXPECT_EQ(b.item(), 2);
  expect_error(
      [&] {
        load_state(target, source, "x.file", {.prefixes = {{"module.", ""}}});
      },
      "load_state", {"missing: \"body.b\"; unexpected: \"encoder.b\""});
  // The first one that fits is applied, once.
  const LoadReport report = load_state({{"y.x.a", a}}, {{"x.x.a", ones({1})}}, "x.file",
                                       {.prefixes = {{"x.", "y."}, {"y.", "z."}}});
  EXPECT_TRUE(report.is_complete());
  expect_error(
      [&] {
        load_state({{"a", a}}, {{"a", ones({1})}, {"m.a", ones({1})}}, "x.file",
                   {.strict = false, .prefixes = {{"m.", ""}}});
      },
      "load_state", {"the name \"a\" comes twice"});
}

TEST(LoadState, WithoutStrictTiedNamesStillNeedOneValueAndNothingChangesOnAnError) {
  Tensor tied = zeros({1}), other = zeros({1});
  const NamedTensors target = {{"other", other}, {"a", tied}, {"b", tied}};
  expect_error(
      [&] {
        load_state(target, {{"other", ones({1})}, {"a", ones({1})}, {"b", zeros({1})}}, "x.file",
                   {.strict = false});
      },
      "load_state", {"\"a\" and \"b\" are one tied tensor, but have different values"});
  EXPECT_EQ(other.item(), 0);
  EXPECT_EQ(load_state(target, {{"b", ones({1})}}, "x.file", {.strict = false}).loaded,
            std::vector<std::string>{"b"});
  EXPECT_EQ(tied.item(), 1);
}

}  // namespace
}  // namespace ebb
