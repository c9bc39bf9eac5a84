// Module, layers and initialization.
#include <gtest/gtest.h>

#include <cmath>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

std::vector<std::string> names_of(const std::vector<nn::NamedTensor>& list) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : list) names.push_back(name);
  return names;
}

struct Net : nn::Module {
  nn::Linear hidden = add_module("hidden", nn::Linear(3, 4));
  nn::Sequential tail = add_module(
      "tail", nn::Sequential(nn::ReLU(), nn::Dropout(0.5), nn::Linear(4, 2, {.bias = false})));
  Tensor scale = add_buffer("scale", ones({2}));
  Tensor forward(const Tensor& x) const { return tail(hidden(x)) * scale; }
};

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Module, NamesAreTorchs) {
  const Net net;
  EXPECT_EQ(names_of(net.named_parameters()),
            (std::vector<std::string>{"hidden.weight", "hidden.bias", "tail.2.weight"}));
  EXPECT_EQ(names_of(net.state_dict()).back(), "scale");
  EXPECT_EQ(net.parameter_count(), 3 * 4 + 4 + 4 * 2);
  for (const Tensor& p : net.parameters()) EXPECT_TRUE(p.requires_grad());
}

TEST(Module, CopiesShareParametersAndMode) {
  Net net;
  Net copy = net;
  net.eval();
  EXPECT_FALSE(copy.is_training());
  EXPECT_EQ(copy.hidden.weight.raw(), net.hidden.weight.raw());
}

TEST(Module, TrainAndEvalReachDropout) {
  manual_seed(3);
  Net net;
  const Tensor x = rand({64, 3});
  net.eval();
  const std::vector<float> a = net.forward(x).to_vector<float>(),
                           b = net.forward(x).to_vector<float>();
  EXPECT_EQ(a, b);
  net.train();
  EXPECT_NE(net.forward(x).to_vector<float>(), net.forward(x).to_vector<float>());
}

TEST(Module, ToConvertsEveryHandle) {
  Net net;
  const Tensor handle = net.hidden.weight;
  const std::vector<double> before = handle.to_vector<double>();
  net.to(f64);
  EXPECT_EQ(handle.dtype(), f64);
  EXPECT_EQ(handle.to_vector<double>(), before);
  const Tensor loss = sum(net.forward(rand({5, 3}, {.dtype = f64})));
  loss.backward();
  EXPECT_EQ(handle.grad().dtype(), f64);
}

TEST(Module, LoadStateDictChecksFirst) {
  Net net, other;
  net.load_state_dict(other.state_dict());
  EXPECT_EQ(net.hidden.weight.to_vector<float>(), other.hidden.weight.to_vector<float>());
  auto state = Net().state_dict();
  state.pop_back();
  state[1].second = zeros({7});
  const std::vector<float> before = net.hidden.weight.to_vector<float>();
  const std::string message = error_of([&] { net.load_state_dict(state); });
  EXPECT_NE(message.find("scale"), std::string::npos) << message;
  EXPECT_NE(message.find("hidden.bias"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(net.hidden.weight.to_vector<float>(), before) << "nothing may change on an error";
}

TEST(Module, RefusesBadNames) {
  struct Twice : nn::Module {
    Twice() {
      add_parameter("w", zeros({1}));
      add_parameter("w", zeros({1}));
    }
  };
  EXPECT_NE(error_of([] { Twice t; }).find("'w' is taken"), std::string::npos);
}

TEST(Module, FrozenParametersReceiveNoGradients) {
  Net net;
  net.eval();
  net.hidden.requires_grad_(false);
  sum(net.forward(rand({2, 3}))).backward();
  EXPECT_FALSE(net.hidden.weight.requires_grad());
  EXPECT_TRUE(net.tail.parameters()[0].grad().defined());
}

TEST(Linear, DefaultInitIsUniformByFanIn) {
  manual_seed(1);
  const nn::Linear layer(400, 300);
  const double bound = 1 / std::sqrt(400.0);
  double square = 0, largest = 0;
  for (double v : layer.weight.to_vector<double>()) {
    square += v * v;
    largest = std::max(largest, std::fabs(v));
  }
  EXPECT_LE(largest, bound);
  EXPECT_GT(largest, 0.99 * bound);
  EXPECT_NEAR(square / 120000, bound * bound / 3, 0.01 * bound * bound);
  EXPECT_LT(min(layer.bias).item(), -0.9 * bound);
  EXPECT_GT(max(layer.bias).item(), 0.9 * bound);
  EXPECT_NE(error_of([] { nn::Linear(0, 3); }), "");
}

TEST(Sequential, FusedReluEqualsSeparate) {
  manual_seed(5);
  const nn::Linear linear(6, 8);
  const nn::Sequential fused{linear, nn::ReLU()};
  const Tensor x = randn({7, 6}).requires_grad_();
  const Tensor a = fused(x), b = relu(ebb::linear(x, linear.weight, linear.bias));
  EXPECT_EQ(a.to_vector<float>(), b.to_vector<float>());
  const Tensor g = randn({7, 8});
  const auto ga = grad(a, {x, linear.weight, linear.bias}, {.grad_outputs = {g}});
  const auto gb = grad(b, {x, linear.weight, linear.bias}, {.grad_outputs = {g}});
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(ga[i].to_vector<float>(), gb[i].to_vector<float>());
}

TEST(Dropout, KeepsTheMeanAndUsesTheSeed) {
  const Tensor x = ones({200, 200});
  manual_seed(9);
  const std::vector<float> a = nn::dropout(x, 0.3).to_vector<float>();
  manual_seed(9);
  EXPECT_EQ(nn::dropout(x, 0.3).to_vector<float>(), a);
  int64_t zeros = 0;
  for (float v : a) {
    EXPECT_TRUE(v == 0 || std::fabs(v - 1 / 0.7f) < 1e-6f);
    zeros += v == 0;
  }
  EXPECT_NEAR(static_cast<double>(zeros) / 40000, 0.3, 0.01);
  EXPECT_EQ(sum(nn::dropout(x, 1)).item(), 0);
  EXPECT_NE(error_of([&] { nn::dropout(x, 1.5); }).find("[dropout]"), std::string::npos);
}

TEST(Init, DeviationsAreTorchs) {
  manual_seed(2);
  const auto deviation = [](const Tensor& w) {
    double square = 0;
    for (double v : w.to_vector<double>()) square += v * v;
    return std::sqrt(square / static_cast<double>(w.numel()));
  };
  Tensor w = empty({300, 200});
  nn::init::kaiming_uniform_(w, 0, nn::init::Mode::FanIn, nn::init::Nonlinearity::ReLU);
  EXPECT_NEAR(deviation(w), std::sqrt(2.0 / 200), 0.002);
  nn::init::kaiming_normal_(w, 0, nn::init::Mode::FanOut, nn::init::Nonlinearity::ReLU);
  EXPECT_NEAR(deviation(w), std::sqrt(2.0 / 300), 0.002);
  nn::init::xavier_uniform_(w);
  EXPECT_NEAR(deviation(w), std::sqrt(2.0 / 500), 0.002);
  nn::init::xavier_normal_(w, 2);
  EXPECT_NEAR(deviation(w), 2 * std::sqrt(2.0 / 500), 0.003);
  Tensor kernels = empty({20, 30, 4, 5});  // each kernel element has fans of its own
  nn::init::xavier_uniform_(kernels, 3);
  EXPECT_NEAR(deviation(kernels), 3 * std::sqrt(2.0 / (20 * 50)), 0.003);
  nn::init::kaiming_normal_(kernels, 0, nn::init::Mode::FanIn, nn::init::Nonlinearity::ReLU);
  EXPECT_NEAR(deviation(kernels), std::sqrt(2.0 / (20 * 30)), 0.002);
  EXPECT_EQ(nn::init::xavier_uniform_(empty({0, 3})).numel(), 0);
  Tensor vector = empty({3});
  EXPECT_NE(error_of([&] { nn::init::xavier_normal_(vector); }).find("two dims"),
            std::string::npos);
}

}  // namespace
