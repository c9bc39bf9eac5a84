// Edges of optimizers: norms at the bound, gradients with strides, steps that throw, and numbers
// at their limits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "ebb/ebb.h"
#include "files.h"

namespace {

using namespace ebb;
using test::expect_error;
using Named = std::vector<nn::NamedTensor>;

TEST(OptimizerClipping, ANormBelowTheBoundChangesNothing) {
  Tensor p = tensor({3, 4}, f64).requires_grad_();
  nn::SGD optimizer({{"p", p}}, {.lr = 1});
  for (const double max_norm : {7.5, 5.1}) {
    optimizer.set_grad_options({.max_norm = max_norm});
    const auto before = p.to_vector<double>();
    p.set_grad(tensor({3, -4}, f64));
    optimizer.step();
    EXPECT_EQ(optimizer.grad_norm().item(), 5);
    EXPECT_EQ(p[0].item(), before[0] - 3);
    EXPECT_EQ(p[1].item(), before[1] + 4);
  }
}

TEST(OptimizerClipping, ANormNearZeroIsDividedAsInTorch) {
  Tensor p = zeros({2}, f64).requires_grad_();
  nn::SGD optimizer({{"p", p}}, {.lr = 1e6});
  optimizer.set_grad_options({.scale = -0.5, .max_norm = 1e-6});
  p.set_grad(tensor({6e-6, 8e-6}, f64));
  optimizer.step();
  EXPECT_NEAR(optimizer.grad_norm().item(), 5e-6, 1e-18);  // of the scaled gradients
  EXPECT_NEAR(p[0].item(), 3.0 / 6, 1e-12);                // 1e-6 / (5e-6 + 1e-6)
  EXPECT_NEAR(p[1].item(), 4.0 / 6, 1e-12);
  optimizer.set_grad_options({.max_norm = 0});
  optimizer.step();
  EXPECT_NEAR(p[0].item(), 3.0 / 6, 1e-12);
}

// Sizes around the lanes and chunks of the kernel.
TEST(OptimizerClipping, TheNormIsThatOfAllElements) {
  for (const DType dtype : {f32, f64}) {
    for (const int64_t n : {1, 15, 16, 17, 47, 32'768, 32'769, 70'000, 150'000}) {
      Tensor p = zeros({n}, dtype).requires_grad_(), q = zeros({5}, dtype).requires_grad_();
      std::vector<double> g;
      double squares = 5 * 9;
      for (int64_t i = 0; i < n; ++i) {
        g.push_back(static_cast<double>(i * i % 23 - 11));
        squares += g.back() * g.back();
      }
      nn::SGD optimizer(Named{{"p", p}, {"q", q}}, {.lr = 1});
      optimizer.set_grad_options({.max_norm = 1});
      p.set_grad(from_data(g, {n}).to(dtype));
      q.set_grad(full({5}, 3.0, dtype));
      optimizer.step();
      EXPECT_EQ(optimizer.grad_norm().item(), std::sqrt(squares)) << n;
    }
  }
}

TEST(OptimizerClipping, AScaleIsAppliedAndNaNStaysNaN) {
  Tensor p = tensor({8, 8}, f64).requires_grad_();
  nn::SGD optimizer(Named{{"p", p}}, {.lr = 1});
  p.set_grad(tensor({1, 2}, f64));
  optimizer.set_grad_options({.scale = 2});
  optimizer.step();
  EXPECT_EQ(p.to_vector<double>(), (std::vector<double>{6, 4}));
  p.set_grad(tensor({NAN, 5}, f64));
  optimizer.set_grad_options({.max_value = 3});
  optimizer.step();
  EXPECT_TRUE(std::isnan(p[0].item()));
  EXPECT_EQ(p[1].item(), 1);
}

TEST(OptimizerGradients, MayHaveStrides) {
  const auto trained = [](auto make, bool strided) {
    Tensor p = reshape(arange(0, 6, 1, {.dtype = f64}), {2, 3}).requires_grad_();
    const auto optimizer = make(Named{{"p", p}});
    optimizer->set_grad_options({.max_norm = 1});
    for (int t = 0; t < 3; ++t) {
      const Tensor g =
          transpose(reshape(arange(0, 6, 1, {.dtype = f64}) + double(t), {3, 2}), 0, 1);
      p.set_grad(strided ? g : g.contiguous());
      optimizer->step();
      EXPECT_EQ(p.grad().is_contiguous(), !strided);
    }
    return p.to_vector<double>();
  };
  const auto compare = [&](auto make) { EXPECT_EQ(trained(make, true), trained(make, false)); };
  compare([](Named p) { return std::make_unique<nn::Adam>(p, nn::AdamOptions{.lr = 0.1}); });
  compare([](Named p) { return std::make_unique<nn::LAMB>(p, nn::LAMBOptions{.lr = 0.1}); });
  compare([](Named p) { return std::make_unique<nn::Muon>(p, nn::MuonOptions{.lr = 0.1}); });
  compare([](Named p) { return std::make_unique<nn::Adafactor>(p, nn::AdafactorOptions{}); });
}

// Scaled and clipped gradients, buffers and averages, in tensors of several blocks and chunks.
TEST(OptimizerBlocks, LargeTensorsAreUpdatedElementByElement) {
  for (const int64_t n : {5000, 70'000}) {
    Tensor p = arange(0, n, 1, {.dtype = f64}).requires_grad_();
    nn::SGD optimizer(Named{{"p", p}}, {.lr = 0.25, .momentum = 0.5});
    optimizer.set_grad_options({.scale = 0.5, .max_value = 2});
    optimizer.average_weights(0.75);
    std::vector<double> want = p.to_vector<double>(), buffer(want.size()), average;
    for (int64_t t = 1; t <= 3; ++t) {
      std::vector<double> g(want.size());
      for (size_t i = 0; i < g.size(); ++i) {
        g[i] = static_cast<double>(static_cast<int64_t>(i) * t % 11 - 5);
        buffer[i] = (t == 1 ? 0 : 0.5 * buffer[i]) + std::clamp(0.5 * g[i], -2.0, 2.0);
        want[i] -= 0.25 * buffer[i];
      }
      if (t == 1) average = want;
      for (size_t i = 0; i < g.size(); ++i) average[i] += 0.25 * (want[i] - average[i]);
      p.set_grad(from_data(g, {n}));
      optimizer.step();
    }
    EXPECT_EQ(p.to_vector<double>(), want);
    EXPECT_EQ(optimizer.state_dict()[1].second.to_vector<double>(), buffer);
    EXPECT_EQ(optimizer.averages()[0].second.to_vector<double>(), average);
  }
}

struct FailsOnce : nn::SGD {
  using nn::SGD::SGD;
  void apply(nn::detail::Batch& batch) override {
    if (!std::exchange(failed, true)) fail("device", "out of memory");
    nn::SGD::apply(batch);
  }
  bool failed = false;
};

TEST(OptimizerStep, OneThatThrowsIsNotCounted) {
  Tensor p = tensor({8}, f64).requires_grad_();
  FailsOnce optimizer(Named{{"p", p}}, {.lr = 1, .momentum = 0.5, .dampening = 0.5});
  optimizer.set_grad_options({.max_norm = 1e9});
  p.set_grad(ones({1}, f64));
  expect_error([&] { optimizer.step(); }, "device", {"out of memory"});
  EXPECT_EQ(optimizer.steps(), 0);
  EXPECT_EQ(p.item(), 8);
  optimizer.step();
  EXPECT_EQ(optimizer.steps(), 1);
  EXPECT_EQ(p.item(), 7);  // the first step: dampening begins at the second
}

TEST(OptimizerSteps, CountThoseOfTheWholeOptimizer) {
  Tensor late = tensor({1}, f64), early = tensor({1}, f64).requires_grad_();
  nn::SGD optimizer(Named{{"late", late}, {"early", early}}, {.lr = 1, .momentum = 0.5});
  const auto step = [&] {
    for (const Tensor* p : {&late, &early})
      if (p->requires_grad()) p->set_grad(ones({1}, f64));
    optimizer.step();
  };
  for (int t = 0; t < 3; ++t) step();
  late.requires_grad_();
  optimizer.check();
  EXPECT_EQ(optimizer.steps(), 3);
  step();
  EXPECT_EQ(optimizer.steps(), 4);
  EXPECT_EQ(optimizer.state_dict()[0].second.item<int64_t>(), 4);
  EXPECT_EQ(late.item(), 0);  // its own first step
  early.requires_grad_(false);
  step();
  EXPECT_EQ(optimizer.steps(), 5);
}

TEST(OptimizerOptions, AnErrorNamesTheOptimizerAndTheOption) {
  Tensor p = zeros({1}, f64).requires_grad_();
  const Named list{{"p", p}};
  expect_error([&] { nn::SGD(list, {.lr = -1}); }, "SGD", {"expected lr of at least 0, got -1"});
  expect_error([&] { nn::AdamW(list, {.eps = -1}); }, "AdamW", {"expected eps of at least 0"});
  for (const double beta : {1.0, -0.5}) {
    expect_error([&] { nn::Lion(list, {.beta1 = beta}); }, "Lion",
                 {"expected beta1 of at least 0 and below 1"});
    expect_error([&] { nn::Lion(list, {.beta2 = beta}); }, "Lion",
                 {"expected beta2 of at least 0 and below 1"});
  }
}

TEST(OptimizerOptions, AMomentumOfOneSumsAllGradients) {
  Tensor p = zeros({1}, f64).requires_grad_(), q = zeros({1}, f64).requires_grad_(),
         r = zeros({1}, f64).requires_grad_();
  nn::SGD sgd(Named{{"p", p}}, {.lr = 1, .momentum = 1});
  nn::RMSprop rms(Named{{"q", q}}, {.lr = 1, .alpha = 0, .eps = 0, .momentum = 1}),
      centered(Named{{"r", r}}, {.lr = 1, .alpha = 0.5, .eps = 1, .momentum = 1, .centered = true});
  for (int t = 0; t < 3; ++t) {
    for (const Tensor* x : {&p, &q, &r}) x->set_grad(ones({1}, f64));
    sgd.step();
    rms.step();
    centered.step();
  }
  EXPECT_EQ(p.item(), -(1 + 2 + 3));
  EXPECT_EQ(q.item(), -(1 + 2 + 3));  // each step divides by the size of its gradient
  double sum = 0, want = 0, square = 0, mean = 0;
  for (int t = 0; t < 3; ++t) {
    square += 0.5 * (1 - square);
    mean += 0.5 * (1 - mean);
    sum += 1 / (std::sqrt(square - mean * mean) + 1);
    want -= sum;
  }
  EXPECT_NEAR(r.item(), want, 1e-12);
}

TEST(OptimizerAverages, FollowAConversion) {
  nn::Linear model(3, 1, {.bias = false});
  nn::SGD optimizer(model.named_parameters(), {.lr = 1});
  EXPECT_TRUE(optimizer.averages().empty());
  optimizer.average_weights(0.5);
  const auto step = [&] {
    model.weight.set_grad(ones({1, 3}, model.weight.dtype()));
    optimizer.step();
  };
  step();
  const auto first = model.weight.to_vector<double>();
  model.to(f64);
  step();
  const Tensor average = optimizer.averages()[0].second;
  EXPECT_EQ(average.dtype(), f64);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(average.to_vector<double>()[i], first[i] - 0.5);  // of p and p - 1
}

TEST(OptimizerAverages, BeginAtTheStepAfterTheCall) {
  Tensor p = tensor({4}, f64).requires_grad_(), q = tensor({8}, f64).requires_grad_();
  nn::SGD optimizer(Named{{"p", p}}, {.lr = 1}), other(Named{{"p", q}}, {.lr = 1});
  const auto step = [](nn::Optimizer& o, const Tensor& x) {
    x.set_grad(ones({1}, f64));
    o.step();
  };
  step(optimizer, p);
  optimizer.average_weights(0.75);
  other.average_weights(0.75);
  other.load_state_dict(optimizer.state_dict());  // nothing has been averaged
  step(optimizer, p);
  EXPECT_EQ(optimizer.averages()[0].second.item(), 2);
  step(optimizer, p);
  EXPECT_EQ(optimizer.averages()[0].second.item(), 1.75);
  step(other, q);
  EXPECT_EQ(other.averages()[0].second.item(), 7);
}

TEST(OptimizerNorm, IsUndefinedUnlessItIsAsked) {
  Tensor p = tensor({4}, f64).requires_grad_();
  nn::SGD optimizer(Named{{"p", p}}, {.lr = 1});
  optimizer.set_grad_options({.max_value = 3});
  p.set_grad(ones({1}, f64));
  optimizer.step();
  EXPECT_FALSE(optimizer.grad_norm().defined());
}

TEST(OptimizerGroups, AFrozenParameterOfAnotherShapeIsRefusedAtOnce) {
  nn::Linear model(2, 2);
  model.bias.requires_grad_(false);
  expect_error([&] { nn::Muon optimizer(model.named_parameters()); }, "Muon", {"shape (2,)"});
}

TEST(OptimizerGroups, AnErrorNamesTheParameter) {
  Tensor a = tensor({1, 2}, f64).requires_grad_();
  expect_error(
      [&] {
        nn::SGD(Named{{"layer.b", a * 2.0}});
      },
      "optimizer", {"parameter layer.b of shape (2,) is the result of an op, not a leaf"});
}

TEST(OptimizerState, AFrozenParameterWithoutBuffersKeepsItsSteps) {
  const auto make = [](Tensor& p, Tensor& q) {
    p = tensor({1}, f64).requires_grad_(), q = tensor({1}, f64).requires_grad_();
    return std::make_unique<nn::SGD>(Named{{"p", p}, {"q", q}}, nn::SGDOptions{.lr = 1});
  };
  Tensor p, q, r, s;
  const auto optimizer = make(p, q), other = make(r, s);
  for (int t = 0; t < 3; ++t) {
    for (const Tensor* x : {&p, &q})
      if (x->requires_grad()) x->set_grad(ones({1}, f64));
    optimizer->step();
    if (t == 1) q.requires_grad_(false);
  }
  s.requires_grad_(false);
  const auto steps_of_q = [](const nn::Optimizer& o) {
    for (const auto& [name, tensor] : o.state_dict())
      if (name == "step.q") return tensor.item<int64_t>();
    return int64_t{-1};
  };
  EXPECT_EQ(steps_of_q(*optimizer), 2);
  other->load_state_dict(optimizer->state_dict());
  EXPECT_EQ(steps_of_q(*other), 2);
}

TEST(OptimizerState, TheMostStepsAndACountOfZeroAreAccepted) {
  Tensor p = tensor({1, 2}, f32).requires_grad_();
  nn::Adam optimizer(Named{{"p", p}});
  for (const int64_t steps : {int64_t{0}, int64_t{1}, int64_t{1} << 53}) {
    auto state = optimizer.state_dict();
    state[0].second = from_data<int64_t>({steps}, {});
    optimizer.load_state_dict(state);
    EXPECT_EQ(optimizer.steps(), steps);
  }
  auto state = optimizer.state_dict();
  state.emplace_back("step.p", from_data<int64_t>({-1}, {}));
  expect_error([&] { optimizer.load_state_dict(state); }, "optimizer",
               {"the state's step.p is -1: expected 0 to 2^53"});
  state[0].second = from_data<int64_t>({3}, {});
  state.back().second = from_data<int64_t>({4}, {});
  expect_error([&] { optimizer.load_state_dict(state); }, "optimizer",
               {"the state's step.p is above its step, 3"});
  EXPECT_EQ(optimizer.steps(), int64_t{1} << 53);
}

// State of two groups, a frozen parameter, averages and half an accumulation, by name.
TEST(OptimizerState, HasEverythingThatTheNextStepNeeds) {
  const auto make = [](std::vector<Tensor>& p) {
    p = {tensor({1, 2}, f64).requires_grad_(), tensor({3}, f64).requires_grad_(), tensor({4}, f64)};
    auto optimizer =
        std::make_unique<nn::SGD>(Named{{"a", p[0]}}, nn::SGDOptions{.lr = 1, .momentum = 0.5});
    optimizer->add_param_group(Named{{"b", p[1]}, {"c", p[2]}},
                               nn::SGDOptions{.lr = 0.5, .momentum = 0.25});
    optimizer->average_weights(0.5);
    optimizer->set_grad_options({.accumulate = 3});
    return optimizer;
  };
  const auto step = [](const std::vector<Tensor>& p, nn::Optimizer& optimizer, double g) {
    for (const Tensor& x : p) {
      const NoGrad guard;
      const Tensor now = full(x.shape(), g, f64);
      if (x.requires_grad()) x.set_grad(x.grad().defined() ? x.grad() + now : now);
    }
    optimizer.step();
    optimizer.zero_grad();
  };
  std::vector<Tensor> p, q;
  const auto whole = make(p), resumed = make(q);
  step(p, *whole, 1);
  const Named early = whole->state_dict();
  EXPECT_EQ(early[early.size() - 3].first, "accumulated");
  for (int t = 1; t < 5; ++t) step(p, *whole, t + 1);
  const Named state = whole->state_dict();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"step", "momentum.a", "momentum.b", "averaged", "average.a",
                                      "average.b", "accumulated", "grad.a", "grad.b"}));
  EXPECT_EQ(state[0].second.item<int64_t>(), 1);
  EXPECT_EQ(state[3].second.item<int64_t>(), 1);
  EXPECT_EQ(state[6].second.item<int64_t>(), 2);
  EXPECT_EQ(state[8].second.item(), 4 + 5);
  for (size_t k = 0; k < p.size(); ++k) {
    const NoGrad guard;
    q[k].copy_(p[k]);
  }
  resumed->load_state_dict(state);
  EXPECT_EQ(resumed->accumulated(), 2);
  for (int t = 5; t < 9; ++t) {
    step(p, *whole, t + 1);
    step(q, *resumed, t + 1);
  }
  EXPECT_EQ(resumed->steps(), 3);
  for (size_t k = 0; k < p.size(); ++k)
    EXPECT_EQ(q[k].to_vector<double>(), p[k].to_vector<double>());
  for (size_t k = 0; k < 2; ++k)
    EXPECT_EQ(resumed->averages()[k].second.to_vector<double>(),
              whole->averages()[k].second.to_vector<double>());

  resumed->load_state_dict(whole->state_dict());  // nothing accumulated
  EXPECT_EQ(resumed->accumulated(), 0);
  resumed->set_grad_options({.accumulate = 2});
  expect_error([&] { resumed->load_state_dict(state); }, "optimizer",
               {"the state has accumulated 2 calls, expected fewer than 2"});
  for (const size_t count : {3, 6}) {  // averaged, accumulated
    Named wrong = state;
    wrong[count].second = from_data<int64_t>({-1}, {});
    expect_error([&] { resumed->load_state_dict(wrong); }, "optimizer",
                 {"the state's " + wrong[count].first + " is -1: expected 0 to 2^53"});
  }
  resumed->set_grad_options({});
  expect_error([&] { resumed->load_state_dict(state); }, "load_state",
               {"unexpected: \"accumulated\""});
}

}  // namespace
