// Optimizers compared with torch's formulas in plain doubles.
#include <gtest/gtest.h>

#include <cmath>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

constexpr int kSteps = 7;

// The gradients of each step. They are fixed, so that only the update is tested.
double gradient(int step, size_t i) { return std::sin(1.3 * step + 0.7 * static_cast<double>(i)); }

template <class Make, class Reference>
void compare(DType dtype, const Make& make, Reference reference) {
  std::vector<double> expected{0.5, -1.25, 2, 0.125};
  Tensor p = tensor({0.5, -1.25, 2, 0.125}, dtype).requires_grad_();
  auto optimizer = make(std::vector<nn::NamedTensor>{{"p", p}});
  for (int t = 1; t <= kSteps; ++t) {
    std::vector<double> g(4);
    for (size_t i = 0; i < 4; ++i) g[i] = gradient(t, i);
    p.set_grad(from_data(g, {4}).to(dtype));
    optimizer->step();
    reference(t, g, expected);
  }
  const std::vector<double> got = p.to_vector<double>();
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], expected[i], dtype == f64 ? 1e-14 : 2e-6) << i;
}

void check_sgd(nn::SGDOptions o) {
  for (DType dtype : {f32, f64}) {
    std::vector<double> buffer(4);
    compare(
        dtype, [&](auto p) { return std::make_unique<nn::SGD>(p, o); },
        [&, buffer](int t, const std::vector<double>& g, std::vector<double>& p) mutable {
          for (size_t i = 0; i < 4; ++i) {
            double d = g[i] + o.weight_decay * p[i];
            if (o.momentum != 0) {
              buffer[i] = t == 1 ? d : o.momentum * buffer[i] + (1 - o.dampening) * d;
              d = o.nesterov ? d + o.momentum * buffer[i] : buffer[i];
            }
            p[i] -= o.lr * d;
          }
        });
  }
}

TEST(SGD, Plain) { check_sgd({.lr = 0.1}); }
TEST(SGD, WeightDecay) { check_sgd({.lr = 0.1, .weight_decay = 0.05}); }
TEST(SGD, Momentum) { check_sgd({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}); }
TEST(SGD, Dampening) { check_sgd({.lr = 0.1, .momentum = 0.9, .dampening = 0.3}); }
TEST(SGD, Nesterov) {
  check_sgd({.lr = 0.1, .momentum = 0.8, .weight_decay = 0.02, .nesterov = true});
}

template <class Optimizer, class Options> void check_adam(Options o, bool decoupled) {
  for (DType dtype : {f32, f64}) {
    std::vector<double> m(4), v(4);
    compare(
        dtype, [&](auto p) { return std::make_unique<Optimizer>(p, o); },
        [&, m, v](int t, const std::vector<double>& g, std::vector<double>& p) mutable {
          for (size_t i = 0; i < 4; ++i) {
            if (decoupled) p[i] *= 1 - o.lr * o.weight_decay;
            const double d = g[i] + (decoupled ? 0 : o.weight_decay * p[i]);
            m[i] = o.beta1 * m[i] + (1 - o.beta1) * d;
            v[i] = o.beta2 * v[i] + (1 - o.beta2) * d * d;
            const double mean = m[i] / (1 - std::pow(o.beta1, t)),
                         square = v[i] / (1 - std::pow(o.beta2, t));
            p[i] -= o.lr * mean / (std::sqrt(square) + o.eps);
          }
        });
  }
}

TEST(Adam, Plain) { check_adam<nn::Adam>(nn::AdamOptions{.lr = 0.01}, false); }
TEST(Adam, WeightDecayAndBetas) {
  check_adam<nn::Adam>(
      nn::AdamOptions{.lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1},
      false);
}
TEST(AdamW, DecoupledDecay) {
  check_adam<nn::AdamW>(nn::AdamWOptions{.lr = 0.02, .weight_decay = 0.1}, true);
}
TEST(AdamW, DefaultDecayIsTorchs) {
  Tensor p = tensor({1}, f64).requires_grad_();
  nn::AdamW optimizer({{"p", p}}, {.lr = 0.1, .weight_decay = 0.01});
  nn::AdamW standard({{"p", p}});
  p.set_grad(zeros({1}, {.dtype = f64}));
  standard.step();
  EXPECT_NEAR(p.item(), 1 - 1e-3 * 0.01, 1e-15);
}

TEST(Optimizer, MissingGradientIsAnErrorAndChangesNothing) {
  Tensor a = tensor({1}, f32).requires_grad_(), b = tensor({2}, f32).requires_grad_();
  nn::SGD optimizer({{"a", a}, {"layer.b", b}}, {.lr = 1});
  a.set_grad(tensor({1}, f32));
  try {
    optimizer.step();
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("layer.b"), std::string::npos) << e.what();
  }
  EXPECT_EQ(a.item(), 1);
}

TEST(Optimizer, RefusesInvalidOptions) {
  Tensor p = tensor({1}, f32).requires_grad_();
  const std::vector<nn::NamedTensor> list{{"p", p}};
  EXPECT_THROW(nn::SGD(list, {.lr = -1}), Error);
  EXPECT_THROW(nn::SGD(list, {.lr = 1, .nesterov = true}), Error);
  EXPECT_THROW(nn::Adam(list, {.beta1 = 1}), Error);
  EXPECT_THROW(nn::SGD({{"p", tensor({1}, f32)}}), Error);
}

TEST(Optimizer, StateIsSavedAndLoaded) {
  const auto train = [](nn::Adam& optimizer, Tensor& p, int from, int to) {
    for (int t = from; t < to; ++t) {
      p.set_grad(full({3}, std::cos(t), {.dtype = f64}));
      optimizer.step();
    }
  };
  Tensor p = zeros({3}, {.dtype = f64}).requires_grad_(),
         q = zeros({3}, {.dtype = f64}).requires_grad_();
  nn::Adam whole({{"p", p}}), half({{"p", q}});
  train(whole, p, 0, 10);
  train(half, q, 0, 5);
  Tensor r = q.detach().clone().requires_grad_();
  nn::Adam resumed({{"p", r}});
  resumed.load_state_dict(half.state_dict());
  EXPECT_EQ(resumed.steps(), 5);
  train(resumed, r, 5, 10);
  EXPECT_EQ(r.to_vector<double>(), p.to_vector<double>());
}

TEST(Optimizer, UpdatesIncrementTheVersion) {
  Tensor p = tensor({1, 2}, f32).requires_grad_();
  nn::SGD optimizer({{"p", p}}, {.lr = 0.1});
  const Tensor y = sum(p * p);
  p.set_grad(ones({2}));
  optimizer.step();
  EXPECT_THROW(y.backward(), Error);
}

}  // namespace
