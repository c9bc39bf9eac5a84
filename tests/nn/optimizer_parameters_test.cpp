// Optimizers and what happens to their parameters after they were made: converted, frozen,
// replaced.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "ebb/ebb.h"
#include "files.h"

namespace {

using namespace ebb;
using test::expect_error;

using MakeOptimizer = std::function<std::unique_ptr<nn::Optimizer>(std::vector<nn::NamedTensor>)>;

template <class O, class Options> MakeOptimizer make(Options options) {
  return [options](std::vector<nn::NamedTensor> p) {
    return std::make_unique<O>(std::move(p), options);
  };
}

std::vector<MakeOptimizer> all_optimizers() {
  return {make<nn::SGD>(nn::SGDOptions{.lr = 0.125}),
          make<nn::SGD>(nn::SGDOptions{.lr = 0.125, .momentum = 0.5}),
          make<nn::Adam>(nn::AdamOptions{.lr = 0.125}),
          make<nn::AdamW>(nn::AdamWOptions{.lr = 0.125}),
          make<nn::Adam>(nn::AdamOptions{.lr = 0.125, .amsgrad = true}),
          make<nn::Adamax>(nn::AdamaxOptions{.lr = 0.125}),
          make<nn::NAdam>(nn::NAdamOptions{.lr = 0.125}),
          make<nn::RAdam>(nn::RAdamOptions{.lr = 0.125}),
          make<nn::RMSprop>(nn::RMSpropOptions{.lr = 0.125, .momentum = 0.5}),
          make<nn::Adagrad>(nn::AdagradOptions{.lr = 0.125}),
          make<nn::Adadelta>(nn::AdadeltaOptions{}),
          make<nn::Rprop>(nn::RpropOptions{.lr = 0.125}),
          make<nn::ASGD>(nn::ASGDOptions{.lr = 0.125}),
          make<nn::Lion>(nn::LionOptions{.lr = 0.125}),
          make<nn::LAMB>(nn::LAMBOptions{.lr = 0.125}),
          make<nn::Adafactor>(nn::AdafactorOptions{.eps1 = 1e-7})};
}

TEST(OptimizerFollows, AdamAfterAConversion) {
  nn::Linear model(1, 1, {.bias = false});
  {
    const NoGrad guard;
    model.weight.fill_(1);
  }
  nn::Adam optimizer(model.named_parameters(), {.lr = 0.125});
  const auto step = [&] {
    model.weight.set_grad(ones({1, 1}, {.dtype = model.weight.dtype()}));
    optimizer.step();
  };
  step();
  model.to(f64);
  step();
  EXPECT_NEAR(model.weight.item(), 0.75, 1e-6);
}

// 1,000 elements, converted twice: as an optimizer that worked in f64 all the time, up to the
// rounding of f32.
TEST(OptimizerFollows, EveryOptimizerThroughConversions) {
  for (const MakeOptimizer& optimizer_of : all_optimizers()) {
    nn::Linear plain(1000, 1, {.dtype = f64}), moved(1000, 1, {.dtype = f64});
    moved.load_state_dict(plain.state_dict());
    const auto a = optimizer_of(plain.named_parameters()),
               b = optimizer_of(moved.named_parameters());
    const auto step = [](nn::Linear& model, nn::Optimizer& optimizer, int t) {
      for (const Tensor& p : model.parameters()) {
        Tensor leaf = p;
        leaf.set_grad(full(p.shape(), std::cos(t), {.dtype = p.dtype()}));
      }
      optimizer.step();
    };
    const DType dtypes[] = {f64, f32, f32, f64, f64, f32, f64};
    for (int t = 0; t < 7; ++t) {
      moved.to(dtypes[t]);
      for (const auto& [name, tensor] : b->state_dict()) {
        if (name == "step") continue;
        EXPECT_EQ(tensor.dtype(), dtypes[t]) << name;
      }
      step(plain, *a, t);
      step(moved, *b, t);
    }
    const auto expected = plain.weight.to_vector<double>(), got = moved.weight.to_vector<double>();
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-5) << i;
  }
}

TEST(OptimizerFollows, StateLoadsIntoAConvertedModel) {
  nn::Linear narrow(3, 1), wide(3, 1, {.dtype = f64});
  nn::Adam to(narrow.named_parameters()), from(wide.named_parameters());
  for (const Tensor& p : wide.parameters()) {
    Tensor leaf = p;
    leaf.set_grad(ones(p.shape(), {.dtype = f64}));
  }
  from.step();
  expect_error([&] { to.load_state_dict(from.state_dict()); }, "load_state",
               {"\"exp_avg.weight\" is f64"});
  narrow.to(f64);
  to.load_state_dict(from.state_dict());
  EXPECT_EQ(to.steps(), 1);
  EXPECT_EQ(to.state_dict()[1].second.to_vector<double>(),
            from.state_dict()[1].second.to_vector<double>());
}

// A model of two parameters with gradients, of which one is then changed; nothing may be updated.
void expect_refused(const std::function<void(nn::Linear&)>& change, const std::string& text) {
  for (const MakeOptimizer& optimizer_of : all_optimizers()) {
    nn::Linear model(2, 2);
    const auto optimizer = optimizer_of(model.named_parameters());
    for (const Tensor& p : model.parameters()) {
      Tensor leaf = p;
      leaf.set_grad(ones(p.shape()));
    }
    change(model);
    const auto bias = model.bias.to_vector<float>(), weight = model.weight.to_vector<float>();
    expect_error([&] { optimizer->step(); }, "optimizer", {text});
    EXPECT_EQ(model.bias.to_vector<float>(), bias);
    EXPECT_EQ(model.weight.to_vector<float>(), weight);
    EXPECT_EQ(optimizer->steps(), 0);
    optimizer->zero_grad();
  }
}

TEST(OptimizerRefuses, AnotherShape) {
  expect_refused(
      [](nn::Linear& m) {
        m.bias.requires_grad_(false);
        m.bias.set_data(zeros({1}));
        m.bias.requires_grad_();
      },
      "parameter bias has shape (1,) now, expected (2,)");
}

TEST(OptimizerRefuses, AParameterThatIsNotContiguous) {
  expect_refused(
      [](nn::Linear& m) {
        m.weight.set_data(transpose(zeros({2, 2}), 0, 1));
      },
      "parameter weight of shape (2, 2) is not contiguous");
  expect_refused(
      [](nn::Linear& m) {
        m.weight.set_data(expand(zeros({1, 1}), {2, 2}));
      },
      "parameter weight of shape (2, 2) is not contiguous");
}

TEST(OptimizerRefuses, AGradientThatWasChangedThroughItsHandle) {
  expect_refused([](nn::Linear& m) { m.bias.grad().set_data(zeros({1})); },
                 "of parameter bias does not match");
  expect_refused([](nn::Linear& m) { m.bias.grad().set_data(zeros({2}, {.dtype = f64})); },
                 "of parameter bias does not match");
}

TEST(OptimizerRefuses, AModelThatWasFrozenAltogether) {
  expect_refused([](nn::Linear& m) { m.requires_grad_(false); },
                 "got no parameter that requires grad: all of them were frozen");
}

TEST(OptimizerRefuses, AThawedParameterWithoutGradient) {
  expect_refused(
      [](nn::Linear& m) {
        m.weight.requires_grad_(false);
        m.weight.requires_grad_();
      },
      "parameter weight of shape (2, 2) received no gradient");
}

// Freezing one of two parameters for two steps, under every optimizer: the other one goes on, the
// frozen one stays, and goes on from its own state.
TEST(OptimizerFreezing, AParameterKeepsItsStateAndItsOwnSteps) {
  for (const MakeOptimizer& optimizer_of : all_optimizers()) {
    Tensor a = tensor({1, 2, 3}, f64).requires_grad_(), b = tensor({4, 5}, f64).requires_grad_();
    Tensor alone = tensor({4, 5}, f64).requires_grad_();
    const auto both = optimizer_of({{"a", a}, {"b", b}}), one = optimizer_of({{"b", alone}});
    for (int t = 1; t <= 6; ++t) {
      const bool frozen = t == 3 || t == 4;
      b.requires_grad_(!frozen);
      both->zero_grad();
      a.set_grad(full({3}, 2 + std::cos(t), {.dtype = f64}));  // of one sign
      const Tensor g = full({2}, std::sin(t), {.dtype = f64});
      if (!frozen) {
        b.set_grad(g);
        alone.set_grad(g);
        one->step();
      }
      both->step();
      EXPECT_EQ(b.to_vector<double>(), alone.to_vector<double>()) << "step " << t;
    }
    EXPECT_NE(a[0].item(), 1);
    EXPECT_EQ(both->steps(), 6);
    EXPECT_EQ(one->steps(), 4);
  }
}

TEST(OptimizerFreezing, AParameterThatWasFrozenFromTheStartBeginsWhenItIsThawed) {
  nn::Linear model(1, 1);
  model.bias.requires_grad_(false);
  nn::Adam optimizer(model.named_parameters(), {.lr = 0.125});
  EXPECT_EQ(optimizer.state_dict().size(), 3u);
  const auto step = [&] {
    for (const Tensor& p : model.parameters()) {
      if (p.requires_grad()) p.set_grad(ones(p.shape()));
    }
    optimizer.step();
  };
  step();
  step();
  model.bias.requires_grad_();
  const float before = model.bias.item<float>();
  step();
  EXPECT_NEAR(model.bias.item(), before - 0.125, 1e-6);  // the first step of Adam is lr
  nn::Adam other(model.named_parameters(), {.lr = 0.125});
  other.load_state_dict(optimizer.state_dict());
  const auto a = optimizer.state_dict(), b = other.state_dict();
  ASSERT_EQ(a.size(), 6u);
  EXPECT_EQ(a[5].first, "step.bias");
  for (size_t k = 0; k < a.size(); ++k)
    EXPECT_EQ(a[k].second.to_vector<double>(), b[k].second.to_vector<double>()) << a[k].first;
}

TEST(OptimizerGroups, HaveRatesAndOptionsOfTheirOwn) {
  Tensor a = tensor({1}, f64).requires_grad_(), b = tensor({1}, f64).requires_grad_();
  nn::SGD optimizer({{"a", a}}, {.lr = 0.5});
  optimizer.add_param_group({{"b", b}}, {.lr = 0.25, .weight_decay = 1});
  EXPECT_EQ(optimizer.groups(), 2u);
  const auto step = [&] {
    for (const Tensor* p : {&a, &b}) p->set_grad(ones({1}, {.dtype = f64}));
    optimizer.step();
  };
  step();
  EXPECT_EQ(a.item(), 0.5);
  EXPECT_EQ(b.item(), 0.5);
  optimizer.set_lr_factor(0.5);
  EXPECT_EQ(optimizer.lr(), 0.25);
  EXPECT_EQ(optimizer.lr(1), 0.125);
  optimizer.set_lr(1, 1);
  EXPECT_EQ(optimizer.lr(0), 0.5);
  step();
  EXPECT_EQ(a.item(), 0);
  EXPECT_EQ(b.item(), -1);
  EXPECT_THROW(optimizer.lr(2), Error);
  EXPECT_THROW(optimizer.set_lr(1, 2), Error);
}

TEST(OptimizerGroups, AGroupThatIsRefusedChangesNothing) {
  Tensor a = tensor({1}, f64).requires_grad_(), b = tensor({1}, f64).requires_grad_();
  nn::SGD optimizer({{"a", a}}, {.lr = 0.5});
  expect_error([&] { optimizer.add_param_group({{"a", b}}); }, "optimizer", {"have the name a"});
  expect_error(
      [&] {
        optimizer.add_param_group({{"b", a}});
      },
      "optimizer", {"is the same tensor as a"});
  expect_error([&] { optimizer.add_param_group({{"b", b * 2.0}}); }, "optimizer", {"not a leaf"});
  expect_error([&] { optimizer.add_param_group({{"b", b}}, {.lr = -1}); }, "SGD", {"lr"});
  EXPECT_EQ(optimizer.groups(), 1u);
  EXPECT_EQ(optimizer.state_dict().size(), 1u);
  a.set_grad(ones({1}, {.dtype = f64}));
  optimizer.step();
  optimizer.add_param_group({{"b", b}}, {.lr = 0.25});  // begins at its own step 1
  EXPECT_EQ(optimizer.state_dict().back().first, "step.b");
}

TEST(OptimizerAverages, AreInTheModelForAScope) {
  nn::Linear model(2, 1, {.bias = false});
  nn::SGD optimizer(model.named_parameters(), {.lr = 1});
  optimizer.average_weights(0.75);
  std::vector<float> want;
  for (int t = 0; t < 5; ++t) {
    model.weight.set_grad(ones({1, 2}));
    optimizer.step();
    const auto now = model.weight.to_vector<float>();
    if (t == 0) want = now;
    for (size_t i = 0; i < want.size(); ++i) want[i] += 0.25f * (now[i] - want[i]);
  }
  const auto trained = model.weight.to_vector<float>();
  {
    const nn::AveragedWeights averaged(optimizer);
    const auto got = model.weight.to_vector<float>();
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
  }
  EXPECT_EQ(model.weight.to_vector<float>(), trained);
  EXPECT_THROW(optimizer.average_weights(1), Error);
  nn::SGD other(model.named_parameters(), {.lr = 1});
  expect_error([&] { other.load_state_dict(optimizer.state_dict()); }, "load_state", {"average"});
}

TEST(OptimizerGradients, OptionsOutOfRangeAreRefused) {
  Tensor p = tensor({3, 4}, f64).requires_grad_();
  nn::SGD optimizer({{"p", p}}, {.lr = 1});
  EXPECT_THROW(optimizer.set_grad_options({.scale = NAN}), Error);
  EXPECT_THROW(optimizer.set_grad_options({.max_norm = -1}), Error);
  EXPECT_THROW(optimizer.set_grad_options({.max_value = -1}), Error);
  EXPECT_THROW(optimizer.set_grad_options({.accumulate = 0}), Error);
  optimizer.set_grad_options({.scale = 0.5, .max_norm = 1, .accumulate = 2});
  p.set_grad(tensor({12, 16}, f64));
  optimizer.step();
  EXPECT_EQ(optimizer.steps(), 0);
  EXPECT_EQ(optimizer.accumulated(), 1);
  expect_error([&] { optimizer.set_grad_options({}); }, "optimizer", {"1 of 2 calls"});
  optimizer.zero_grad();
  EXPECT_TRUE(p.grad().defined());
  optimizer.step();
  EXPECT_EQ(optimizer.steps(), 1);
  EXPECT_NEAR(optimizer.grad_norm().item(), 5, 1e-12);  // of 0.5 (12, 16) / 2
  EXPECT_NEAR(p[0].item(), 3 - 0.6, 1e-6);
  optimizer.zero_grad();
  EXPECT_FALSE(p.grad().defined());
}

TEST(OptimizerMuon, TakesMatricesAlone) {
  nn::Linear model(2, 2);
  expect_error([&] { nn::Muon optimizer(model.named_parameters()); }, "Muon",
               {"got a parameter of shape (2,)"});
}

TEST(OptimizerDefaults, WeightDecayOfAdamWDoesNotDependOnTheOptionsGiven) {
  Tensor p = tensor({2}, f64).requires_grad_();
  nn::AdamW optimizer({{"p", p}}, {.lr = 0.1});
  p.set_grad(tensor({0.5}, f64));
  optimizer.step();
  EXPECT_NEAR(p.item(), 1.898000002, 1e-12);
  static_assert(nn::AdamOptions{}.weight_decay == 0 && nn::AdamWOptions{}.weight_decay == 0.01);
}

TEST(OptimizerState, NumbersOutOfRangeAreRefused) {
  Tensor p = tensor({1, 2}, f32).requires_grad_();
  nn::Adam optimizer({{"p", p}});
  const auto with = [&](size_t entry, const Tensor& value) {
    auto state = optimizer.state_dict();
    state[entry].second = value;
    return state;
  };
  const auto steps = [](int64_t n) { return from_data(std::vector<int64_t>{n}, {}); };
  for (int64_t n : {int64_t{-1}, INT64_MIN, (int64_t{1} << 53) + 1, INT64_MAX}) {
    expect_error([&] { optimizer.load_state_dict(with(0, steps(n))); }, "optimizer",
                 {"the state has made " + std::to_string(n) + " steps: expected 0 to 2^53"});
  }
  expect_error(
      [&] {
        optimizer.load_state_dict(with(2, tensor({1, -1}, f32)));
      },
      "optimizer", {"exp_avg_sq.p is a mean of squares, but holds -1"});
  EXPECT_EQ(optimizer.steps(), 0);
  optimizer.load_state_dict(with(0, steps(7)));
  optimizer.load_state_dict(with(1, tensor({-1, NAN})));
  EXPECT_EQ(optimizer.steps(), 7);
}

TEST(OptimizerRate, TheFactorMultipliesWhatTheUserSet) {
  Tensor p = tensor({1}, f64).requires_grad_();
  nn::SGD optimizer({{"p", p}}, {.lr = 0.5});
  optimizer.set_lr_factor(0.25);
  EXPECT_EQ(optimizer.lr(), 0.125);
  EXPECT_EQ(optimizer.base_lr(), 0.5);
  p.set_grad(ones({1}, {.dtype = f64}));
  optimizer.step();
  EXPECT_EQ(p.item(), 0.875);
  optimizer.set_lr(0.25);
  EXPECT_EQ(optimizer.lr(), 0.25);
  for (double bad : {-1.0, double(NAN), double(INFINITY)}) {
    EXPECT_THROW(optimizer.set_lr(bad), Error);
    EXPECT_THROW(optimizer.set_lr_factor(bad), Error);
  }
  EXPECT_EQ(optimizer.lr(), 0.25);
}

}  // namespace
