// Lists and dictionaries of layers, branches, shortcuts, and functions as layers.
#include "ebb/nn/layers/containers.h"

#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "ebb/tests/support/check.h"

namespace ebb::test {
namespace {

std::vector<std::string> names_of(const nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, value] : module.named_parameters()) names.push_back(name);
  return names;
}

struct Net : nn::Module {
  nn::ModuleList list = add_module("list", nn::ModuleList(nn::Linear(2, 2), nn::ReLU()));
  nn::ModuleDict heads = add_module("heads", nn::ModuleDict());
  Net() { heads.insert("digit", nn::Linear(2, 3, {.bias = false})); }
  Tensor forward(const Tensor& x) const {
    Tensor y = x;
    for (const nn::Layer& layer : list) y = layer(y);
    return heads["digit"](y);
  }
};

TEST(Containers, ListsAndDictionariesNameTheirLayers) {
  Net net;
  EXPECT_EQ(names_of(net),
            (std::vector<std::string>{"list.0.weight", "list.0.bias", "heads.digit.weight"}));
  EXPECT_EQ(net.forward(randn({4, 2})).shape(), Shape({4, 3}));
  net.list.push_back(nn::Linear(2, 2));  // a handle: the copy in the module sees it
  EXPECT_EQ(names_of(net).size(), 5u);
  EXPECT_EQ(net.list.size(), 3);
  EXPECT_EQ(&net.list[-1], &net.list[2]);
  EXPECT_EQ(net.list.at<nn::Linear>(0).weight.shape(), Shape({2, 2}));
  EXPECT_EQ(net.list[0]->forward(zeros({1, 2})).shape(), Shape({1, 2}));
  EXPECT_TRUE(net.heads.contains("digit"));
  EXPECT_EQ(net.heads.keys(), std::vector<std::string>{"digit"});
  net.eval();
  EXPECT_FALSE(net.list[1].is_training());
}

TEST(Containers, SequentialGivesAccessToItsLayers) {
  nn::Sequential model(nn::Linear(2, 3), nn::ReLU());
  EXPECT_FALSE(model.is_empty());
  EXPECT_EQ(&model[-1], &model[1]);
  EXPECT_EQ(model.at<nn::Linear>(0).weight.shape(), Shape({3, 2}));
  Tensor x = ones({1, 2}), y = x;
  for (const nn::Layer& layer : model) y = layer(y);
  EXPECT_TRUE(equal(y, model(x)));
  expect_error([&] { model[2]; }, "Sequential", {"index 2", "2 layers"});
  expect_error([&] { model.at<nn::Linear>(1); }, "Sequential", {"ReLU"});
}

TEST(Containers, ErrorsNameWhatIsThere) {
  const Net net;
  expect_error([&] { net.list[2]; }, "ModuleList", {"index 2", "2 layers"});
  expect_error([&] { net.list.at<nn::Linear>(1); }, "ModuleList", {"ReLU"});
  expect_error([&] { net.heads["letter"]; }, "ModuleDict", {"'letter'", "digit"});
  expect_error([] { nn::ModuleDict().insert("a.b", nn::ReLU()); }, "", {"a.b"});
}

TEST(Containers, ResidualAddsItsInput) {
  const nn::Residual block(nn::Linear(3, 3), nn::ReLU());
  EXPECT_EQ(names_of(block), (std::vector<std::string>{"0.weight", "0.bias"}));
  const Tensor x = randn({2, 3});
  const nn::Sequential model(block);
  expect_values(model(x),
                (x + relu(block.parameters()[0].matmul(x.t()).t() + block.parameters()[1]))
                    .to_vector<double>(),
                1e-5, 1e-6);
  std::ostringstream out;
  out << model;
  EXPECT_EQ(out.str().substr(0, 30), "Sequential(\n  (0): Residual(\n ");
}

TEST(Containers, ParallelJoinsOrAdds) {
  const nn::Lambda twice([](const Tensor& x) { return x * 2; }, "twice");
  const Tensor x = tensor({{1., 2.}});
  expect_values(nn::Parallel(nn::Identity(), twice)(x), {1, 2, 2, 4});
  expect_values(nn::Parallel({.dim = 0}, nn::Identity(), twice)(x), {1, 2, 2, 4});
  expect_values(nn::Parallel({.sum = true}, nn::Identity(), twice)(x), {3, 6});
  EXPECT_EQ(nn::Parallel({.dim = 0}, nn::Identity(), twice)(x).shape(), Shape({2, 2}));
  std::ostringstream out;
  out << twice;
  EXPECT_EQ(out.str(), "Lambda(twice)");
  expect_error([] { nn::Lambda(nullptr); }, "Lambda", {"function"});
}

}  // namespace
}  // namespace ebb::test
