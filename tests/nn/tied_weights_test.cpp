// Parameters with several names and layers that occur several times: listed, counted and updated
// once.
#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "files.h"

namespace {

using namespace ebb;
using test::expect_error;

using Names = std::vector<std::string>;

Names names_of(const std::vector<nn::NamedTensor>& list) {
  Names names;
  for (const auto& [name, tensor] : list) names.push_back(name);
  return names;
}

// y = w w x, with w = 1: one layer twice.
nn::Sequential layer_twice() {
  nn::Linear layer(1, 1, {.bias = false});
  const NoGrad guard;
  layer.weight.fill_(1);
  return nn::Sequential(layer, layer);
}

// The same with one parameter that has two names, and a buffer with two names.
struct Tied : nn::Module {
  Tensor in = add_parameter("in", ones({2, 2}));
  Tensor out = add_parameter("out", in);
  Tensor scale = add_buffer("scale", ones({2}));
  Tensor same = add_buffer("same", scale);
  Tensor forward(const Tensor& x) const { return linear(tanh(linear(x, in)), out) * same; }
};

TEST(TiedWeights, ALayerUsedTwiceIsListedCountedAndUpdatedOnce) {
  nn::Sequential model = layer_twice();
  EXPECT_EQ(names_of(model.named_parameters()), (Names{"0.weight"}));
  EXPECT_EQ(names_of(model.state_dict()), (Names{"0.weight", "1.weight"}));
  EXPECT_EQ(model.named_modules().size(), 2u);
  EXPECT_EQ(model.parameter_count(), 1);
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  sum(model(ones({1, 1}))).backward();  // the loss is w w
  optimizer.step();
  EXPECT_FLOAT_EQ(model.parameters()[0].item<float>(), 0.8f);
}

TEST(TiedWeights, SummaryCountsThemOnce) {
  const nn::Summary s = nn::summary(layer_twice(), {1, 1});
  EXPECT_EQ(s.parameters, 1);
  EXPECT_EQ(s.parameter_bytes, 4);
  ASSERT_EQ(s.rows.size(), 3u);
  EXPECT_EQ(s.rows[1].name, "0");
  EXPECT_EQ(s.rows[1].parameters, 1);
  EXPECT_EQ(s.rows[2].name, "0") << "the module's first name";
  EXPECT_EQ(s.rows[2].parameters, 0);
}

TEST(TiedWeights, AParameterWithTwoNames) {
  Tied model;
  EXPECT_EQ(names_of(model.named_parameters()), (Names{"in"}));
  EXPECT_EQ(names_of(model.named_buffers()), (Names{"scale"}));
  EXPECT_EQ(names_of(model.state_dict()), (Names{"in", "out", "scale", "same"}));
  EXPECT_EQ(model.parameter_count(), 4);
  model.to(f64);
  EXPECT_EQ(model.out.dtype(), f64);
  EXPECT_EQ(model.same.dtype(), f64);
  EXPECT_EQ(model.in.impl(), model.out.impl());
  sum(model.forward(ones({1, 2}, {.dtype = f64}))).backward();
  EXPECT_TRUE(model.out.grad().defined());
  model.zero_grad();
  EXPECT_FALSE(model.in.grad().defined());
  model.requires_grad_(false);
  EXPECT_FALSE(model.out.requires_grad());
  model.requires_grad_(true);
  EXPECT_TRUE(model.in.requires_grad());
}

TEST(TiedWeights, ToTheDtypeThatItHasKeepsGradients) {
  Tied model;
  sum(model.forward(ones({1, 2}))).backward();
  model.to(f32);
  EXPECT_TRUE(model.in.grad().defined());
  model.to(f64);
  EXPECT_FALSE(model.in.grad().defined());
}

TEST(TiedWeights, ACheckpointKeepsBothNamesAndLoads) {
  const test::TempFolder folder;
  Tied trained, fresh;
  {
    const NoGrad guard;
    trained.in.copy_(tensor({{1, 2}, {3, 4}}, f32));
  }
  save_checkpoint(folder / "c", {trained.state_dict(), {}, {}});
  const Checkpoint loaded = load_checkpoint(folder / "c");
  EXPECT_EQ(names_of(loaded.model), (Names{"in", "out", "scale", "same"}));
  fresh.load_state_dict(loaded.model);
  EXPECT_EQ(fresh.out.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
}

TEST(TiedWeights, DifferentValuesForOneTensorAreRefused) {
  Tied model;
  std::vector<nn::NamedTensor> state = Tied().state_dict();
  for (auto& [name, tensor] : state) tensor = tensor.detach().clone();
  state[1].second = full({2, 2}, 7.0);
  expect_error([&] { model.load_state_dict(state); }, "load_state",
               {"\"in\" and \"out\" are one tied tensor, but have different values"});
  EXPECT_EQ(model.in.to_vector<float>(), (std::vector<float>{1, 1, 1, 1}));
  state[0].second = tensor({{7, 7}, {7, 8}}, f32);  // only the last element differs
  EXPECT_THROW(model.load_state_dict(state), Error);
  const Tensor flag = zeros({1}, {.dtype = boolean});
  EXPECT_THROW(load_state({{"a", flag}, {"b", flag}},
                          {{"a", zeros({1}, {.dtype = boolean})},
                           {"b", ones({1}, {.dtype = boolean})}},
                          "x"),
               Error);
  state[0].second = full({2, 2}, NAN);
  state[1].second = full({2, 2}, NAN);
  model.load_state_dict(state);  // the same bits
}

TEST(TiedWeights, OptimizersRefuseWhatTheyWouldUpdateTwice) {
  const Tied model;
  expect_error([&] { nn::SGD(model.state_dict(), {}); }, "optimizer",
               {"parameter out is the same tensor as in"});
  const nn::Linear a(1, 1), b(1, 1);
  std::vector<nn::NamedTensor> both = a.named_parameters();
  for (auto& entry : b.named_parameters()) both.push_back(entry);
  expect_error([&] { nn::SGD(both, {}); }, "optimizer", {"two parameters have the name weight"});
}

TEST(TiedWeights, ManyPathsToOneModuleCostNothing) {
  nn::Sequential model(nn::Linear(1, 1, {.bias = false}));
  for (int depth = 0; depth < 40; ++depth) model = nn::Sequential(model, model);
  EXPECT_EQ(model.parameter_count(), 1);  // 2^40 paths
  model.eval();
  EXPECT_FALSE(model.is_training());
  EXPECT_EQ(model.named_modules().size(), 42u);
}

TEST(TiedWeights, AModuleCannotContainItself) {
  struct Loop : nn::Module {
    void close(const nn::Module& other) { add_child("self", other); }
  } outer, inner;
  outer.close(inner);
  expect_error([&] { inner.close(outer); }, "module", {"'self'", "contains this module"});
  expect_error([&] { inner.close(inner); }, "module", {"'self'", "contains this module"});
  nn::Sequential chain(nn::ReLU{});
  expect_error([&] { chain.push_back(chain); }, "module", {"contains this module"});
}

// A training with tied weights goes on from its checkpoint bit for bit.
TEST(TiedWeights, ATrainingResumes) {
  const test::TempFolder folder;
  const auto train = [&](Tied& model, int64_t epochs, const std::string& checkpoint, bool resume) {
    nn::Adam optimizer(model.named_parameters(), {.lr = 0.1});
    data::DataLoader loader({tensor({{1, 2}, {0, 1}, {1, 1}}, f32), ones({3, 2})},
                            {.batch_size = 2});
    nn::Trainer trainer(
        model, optimizer, loader, nn::MSELoss(),
        {.epochs = epochs, .checkpoint = checkpoint, .resume = resume, .quiet = true});
    EXPECT_TRUE(trainer.run());
    return model.in.to_vector<float>();
  };
  Tied whole, half, rest;
  const std::vector<float> expected = train(whole, 4, folder / "whole", false);
  train(half, 2, folder / "c", false);
  EXPECT_EQ(train(rest, 4, folder / "c", true), expected);
}

}  // namespace
