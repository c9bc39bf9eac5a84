// Classes of the user's own: derived from Ebb's layers, and modules that are not layers.
#include <gtest/gtest.h>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

struct DoubledLinear : nn::Linear {
  using nn::Linear::Linear;
  Tensor forward(const Tensor& x) const override { return nn::Linear::forward(x) * 2.0; }
};

struct DoubledReLU : nn::ReLU {
  Tensor forward(const Tensor& x) const override { return nn::ReLU::forward(x) * 2.0; }
};

struct DoubledGELU : nn::GELU {
  using nn::GELU::GELU;
  Tensor forward(const Tensor& x) const override { return nn::GELU::forward(x) * 2.0; }
};

// A layer y = x w of size 1 with w = 1.
template <class L> L unit() {
  L layer(1, 1, nn::LinearOptions{.bias = false});
  const NoGrad guard;
  layer.weight.fill_(1);
  return layer;
}

TEST(Sequential, RunsTheForwardOfDerivedClasses) {
  const Tensor two = tensor({{2}}, f32);
  EXPECT_EQ(nn::Sequential(unit<DoubledLinear>(), nn::ReLU())(two).item(), 4);
  EXPECT_EQ(nn::Sequential(unit<nn::Linear>(), DoubledReLU())(two).item(), 4);
  const auto tanh_form = GeluApproximate::Tanh;
  EXPECT_EQ(nn::Sequential(unit<nn::Linear>(), DoubledGELU(tanh_form))(two).item(),
            2 * gelu(two, tanh_form).item());
  EXPECT_EQ(nn::Sequential(unit<DoubledLinear>(), nn::GELU(tanh_form))(two).item(),
            gelu(two * 2.0, tanh_form).item());
}

TEST(Sequential, FusesExactlyItsOwnClasses) {
  int ops = 0;
  const OpObserver count([&](const OpEvent&) { ++ops; });
  const auto ops_of = [&](const nn::Sequential& model) {
    ops = 0;
    model(ones({1, 1}));
    return ops;
  };
  EXPECT_EQ(ops_of(nn::Sequential(unit<nn::Linear>(), nn::ReLU())), 1);
  EXPECT_EQ(ops_of(nn::Sequential(unit<nn::Linear>(), DoubledReLU())), 3);
  for (const auto approximate : {GeluApproximate::None, GeluApproximate::Tanh}) {
    const auto linear = unit<nn::Linear>();
    const Tensor x = ones({1, 1});
    EXPECT_FLOAT_EQ(nn::Sequential(linear, nn::GELU(approximate))(x).item<float>(),
                    gelu(linear(x), approximate).item<float>());
  }
}

TEST(Sequential, ACopyIsTheSameChain) {
  nn::Sequential model(unit<nn::Linear>()), copy = model;
  copy.push_back(unit<DoubledLinear>());
  EXPECT_EQ(model.size(), 2);
  EXPECT_EQ(model(tensor({{3}}, f32)).item(), 6);
  model.push_back(nn::ReLU());
  EXPECT_EQ(copy.size(), 3);
}

// As module.h shows one: not a Layer, and its forward is not const.
struct Net : nn::Module {
  nn::Linear hidden = add_module("hidden", nn::Linear(2, 3));
  nn::Dropout dropout = add_module("dropout", nn::Dropout(0.5));
  nn::Linear out = add_module("out", nn::Linear(3, 2));
  int calls = 0;
  Tensor forward(const Tensor& x) {
    ++calls;
    return out(dropout(relu(hidden(x))));
  }
};

TEST(OwnModule, CanBeTrainedPredictedAndEvaluated) {
  manual_seed(1);
  Net model;
  const data::Dataset dataset(randn({8, 2}), tensor({0, 1, 0, 1, 0, 1, 0, 1}, i64));
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  data::DataLoader loader(dataset, {.batch_size = 4});
  const std::vector<float> before = model.out.bias.to_vector<float>();
  nn::Trainer trainer(model, optimizer, loader, nn::CrossEntropyLoss(),
                      {.epochs = 2, .quiet = true});
  EXPECT_TRUE(trainer.run());
  EXPECT_EQ(model.calls, 4) << "the module itself runs, not a copy";
  EXPECT_NE(model.out.bias.to_vector<float>(), before);
  const Tensor scores = nn::predict(model, dataset, 4);
  model.eval();
  EXPECT_EQ(scores.to_vector<float>(), model.forward(dataset.inputs()).to_vector<float>());
  EXPECT_EQ(nn::evaluate(model, dataset, 2).total(), 8);
}

TEST(OwnModule, CanBeAPartOfASequential) {
  Net net;
  nn::Sequential model(net, nn::ReLU());
  EXPECT_EQ(model.named_parameters()[0].first, "0.hidden.weight");
  EXPECT_EQ(model.parameters()[0].impl(), net.hidden.weight.impl());
  model.eval();
  EXPECT_FALSE(net.dropout.is_training());
  const Tensor x = ones({1, 2});
  EXPECT_EQ(model(x).to_vector<float>(), relu(net.forward(x)).to_vector<float>());
  const nn::Summary s = nn::summary(model, {1, 2});
  EXPECT_EQ(s.rows[1].type, "Net");
  EXPECT_EQ(s.rows[1].name, "0");
  EXPECT_EQ(s.rows[2].name, "0.hidden");
}

struct NoForward : nn::Module {};
static_assert(nn::detail::HasForward<Net> && !nn::detail::HasForward<NoForward>);

}  // namespace
