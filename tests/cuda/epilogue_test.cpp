// Epilogues of products: ReLU's gradient in the product of the layer above, GELU in that of the
// layer below.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string>

#include "ebb/backends/cuda/small_products.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
using namespace std::string_literals;
namespace {

// Tests cuBLASLt's epilogues: small products are off.
class CudaEpilogues : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    cuda::use_small_products(false);
  }
  void TearDown() override { cuda::use_small_products(true); }
};

struct Net {
  std::vector<Tensor> weights, biases;
  Tensor input;
  std::vector<Tensor> all() const {
    std::vector<Tensor> list{input};
    list.insert(list.end(), weights.begin(), weights.end());
    for (const Tensor& b : biases) {
      if (b.defined()) list.push_back(b);
    }
    return list;
  }
};

// Layers of these widths; the second has no bias. Some sums are exactly 0, because of a row of
// zeros and zero biases.
Net make_net(const std::vector<int64_t>& widths, int64_t rows, uint64_t seed) {
  Generator g{seed, 0};
  Net net;
  net.input = randn({rows, widths[0]}, {}, &g);
  slice(net.input, 0, 0, 1).fill_(0);
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    net.weights.push_back(randn({widths[i + 1], widths[i]}, {}, &g) /
                          std::sqrt(static_cast<double>(widths[i])));
    net.biases.push_back(i == 1   ? Tensor()
                         : i == 0 ? zeros({widths[1]})
                                  : randn({widths[i + 1]}, {}, &g));
  }
  return net;
}

Net on(const Net& net, Device device) {
  Net moved;
  const auto leaf = [&](const Tensor& x) {
    return x.defined() ? x.to(device).detach().clone().requires_grad_() : x;
  };
  moved.input = leaf(net.input);
  for (const Tensor& w : net.weights) moved.weights.push_back(leaf(w));
  for (const Tensor& b : net.biases) moved.biases.push_back(leaf(b));
  return moved;
}

using Forward = std::function<Tensor(const Net&)>;

Tensor layer(const Net& net, size_t i, const Tensor& x, Activation activation = Activation::Relu) {
  return linear(x, net.weights[i], net.biases[i],
                i + 1 < net.weights.size() ? activation : Activation::None);
}

Tensor mlp(const Net& net) {
  Tensor x = net.input;
  for (size_t i = 0; i < net.weights.size(); ++i) x = layer(net, i, x);
  return sum(x * x);
}

// Counts ReLU gradients that a backward computes in a separate pass.
int relu_passes(const std::function<void()>& backward) {
  int count = 0;
  const OpObserver watch([&](const OpEvent& event) { count += event.op == "relu_backward"; });
  backward();
  return count;
}

void expect_gradients_of_the_cpu(const Net& net, const Forward& forward, double tolerance = 2e-5) {
  const Net host = on(net, Device::cpu()), device = on(net, kCuda);
  forward(host).backward();
  forward(device).backward();
  const std::vector<Tensor> want = host.all(), got = device.all();
  for (size_t i = 0; i < want.size(); ++i) {
    expect_values(got[i].grad(), want[i].grad().to_vector<double>(), tolerance, tolerance,
                  "gradient of tensor " + std::to_string(i));
  }
}

// Only for the emulation it is known which products have an epilogue with a mask. A card may have
// it for some shapes.
TEST_F(CudaEpilogues, AProductMasksTheGradientThatItMakes) {
  const char* library = std::getenv("EBB_EMULATION_EPILOGUES");
  // If RELU_AUX writes a different mask, Ebb computes its own. Without any epilogue there is no
  // mask.
  const bool masks = !library || (library != "none"s && library != "refuses"s);
  for (const auto& [widths, rows] :
       std::vector<std::pair<std::vector<int64_t>, int64_t>>{{{4, 8, 3}, 2},
                                                             {{3, 5, 4, 2}, 7},
                                                             {{1, 1, 1, 1}, 1},
                                                             {{20, 128, 130, 64, 10}, 33},
                                                             {{64, 257, 16, 300, 3}, 129}}) {
    SCOPED_TRACE(widths[1]);
    expect_gradients_of_the_cpu(make_net(widths, rows, 2), mlp);
    const Net net = on(make_net(widths, rows, 3), kCuda);
    const Tensor loss = mlp(net);
    const int passes = relu_passes([&] { loss.backward(); }),
              layers = static_cast<int>(widths.size()) - 2;
    if (cuda::device_name() == "emulated") EXPECT_EQ(passes, masks ? 0 : layers);
    else
      std::cout << "of " << layers << " ReLUs' gradients " << passes
                << " are a pass of their own\n";
  }
}

TEST_F(CudaEpilogues, MaskedAndOtherGradientsAddUp) {
  const Net net = make_net({6, 24, 24, 24, 3}, 9, 4);
  expect_gradients_of_the_cpu(net, [](const Net& n) {  // h is used by a product and a sum
    const Tensor h = layer(n, 0, n.input), further = layer(n, 2, layer(n, 1, h));
    const Tensor y = layer(n, 3, h + further);
    return sum(y * y);
  });
  expect_gradients_of_the_cpu(net, [](const Net& n) {  // the product is deeper and comes first
    const Tensor h = layer(n, 0, n.input);
    const Tensor deep = linear(h, n.weights[1] * 1.0 * 1.0 * 1.0 * 1.0, {}, Activation::Relu);
    const Tensor y = layer(n, 3, layer(n, 2, deep));
    return sum(y * y) + sum(h);
  });
  expect_gradients_of_the_cpu(net, [](const Net& n) {  // two products
    const Tensor h = layer(n, 0, n.input), y = layer(n, 3, layer(n, 1, h) + layer(n, 2, h));
    return sum(y * y);
  });
  expect_gradients_of_the_cpu(net, [](const Net& n) {  // a product, and the loss itself
    const Tensor h = layer(n, 0, n.input), y = layer(n, 3, layer(n, 2, layer(n, 1, h)));
    return sum(y * y) + sum(h * h * h);
  });
}

TEST_F(CudaEpilogues, WhoLooksSeesTheGradientItself) {
  const Net net = make_net({6, 40, 24, 3}, 9, 5);
  const auto look = [&](Device device, int way) {
    const Net n = on(net, device);
    Tensor h = layer(n, 0, n.input), seen;
    HookHandle handle;
    if (way == 0)
      handle = h.register_hook([&](const Tensor& g) { return seen = g.clone(), Tensor(); });
    if (way == 1) h.retain_grad();
    const Tensor second = layer(n, 1, h);
    if (way == 2) {
      handle = second.node()->register_hook(
          [&](std::span<const Tensor> inputs, std::span<const Tensor>) {
            seen = inputs[0].clone();
            return std::vector<Tensor>();
          });
    }
    if (way == 3) {
      handle = h.node()->register_prehook([&](std::span<const Tensor> outputs) {
        seen = outputs[0].clone();
        return std::vector<Tensor>();
      });
    }
    const Tensor y = layer(n, 2, second), loss = sum(y * y);
    if (way == 4) return std::pair(grad(loss, h), Tensor());
    loss.backward();
    return std::pair(way == 1 ? h.grad() : seen, n.weights[0].grad());
  };
  for (int way = 0; way < 5; ++way) {
    SCOPED_TRACE(way);
    const auto [want, want_weight] = look(Device::cpu(), way);
    const auto [got, got_weight] = look(kCuda, way);
    expect_values(got, want.to_vector<double>(), 2e-5, 2e-5);
    if (want_weight.defined())
      expect_values(got_weight, want_weight.to_vector<double>(), 2e-5, 2e-5);
  }
}

TEST_F(CudaEpilogues, NanGoesWhereItGoesOnTheCpu) {
  Net net = make_net({6, 16, 16, 3}, 9, 6);
  net.input.mutable_data<float>()[8] = std::nanf("");
  net.weights[1].mutable_data<float>()[3] = std::nanf("");
  expect_gradients_of_the_cpu(net, mlp);
}

TEST_F(CudaEpilogues, ASecondWalkAndASecondOrder) {
  const Net net = make_net({6, 16, 16, 3}, 9, 7);
  std::vector<std::vector<double>> twice, second;
  for (const Device device : {Device::cpu(), kCuda}) {
    const Net n = on(net, device);
    const Tensor loss = mlp(n);
    loss.backward({}, true);
    loss.backward({}, true);
    twice.push_back(n.weights[0].grad().to_vector<double>());
    const Tensor g = grad(loss, n.weights[0], {.create_graph = true});
    second.push_back(grad(sum(g * g), n.weights[1]).to_vector<double>());
  }
  expect_values(twice[1], twice[0], 2e-5, 2e-5);
  expect_values(second[1], second[0], 1e-4, 1e-3);
}

// Frozen weights, and a graph without the layer below.
TEST_F(CudaEpilogues, OnlyWhatIsWantedIsMade) {
  Net n = on(make_net({6, 16, 16, 3}, 9, 8), kCuda),
      host = on(make_net({6, 16, 16, 3}, 9, 8), Device::cpu());
  for (Net* net : {&n, &host}) {
    for (Tensor& w : net->weights) w = w.detach();
    mlp(*net).backward();
  }
  expect_values(n.input.grad(), host.input.grad().to_vector<double>(), 2e-5, 2e-5);
  EXPECT_FALSE(n.weights[1].grad().defined());
}

// Asks the backend itself which epilogues it uses. Known only for the emulation, as above.
TEST_F(CudaEpilogues, GeluComesWithItsProduct) {
  Generator g{10, 0};
  for (const int64_t width : {64, 65}) {
    const Tensor a = randn({1, 33, 16}, {}, &g).to(kCuda),
                 b = randn({1, 16, width}, {}, &g).to(kCuda);
    const Tensor bias = randn({width}, {}, &g).to(kCuda);
    Tensor out = empty({33, width}, {.device = kCuda}), made;
    backend(kCuda).matmul({.a = &a, .b = &b, .bias = &bias, .out = &out, .gelu = &made});
    const Tensor sums = matmul(a, b)[0] + bias;
    expect_values(out, sums.to_vector<double>(), 2e-6, 2e-6);
    if (made.defined())
      expect_values(made, gelu(sums, GeluApproximate::Tanh).to_vector<double>(), 2e-6, 2e-6);
    if (cuda::device_name() == "emulated") {
      const char* library = std::getenv("EBB_EMULATION_EPILOGUES");
      EXPECT_EQ(made.defined(),
                width == 64 && (!library || (library == "max"s || library == "forward"s ||
                                             library == "turned"s)));
    } else {
      std::cout << "GELU of width " << width << (made.defined() ? " comes" : " does not come")
                << " with its product\n";
    }
  }
}

TEST_F(CudaEpilogues, GeluIsThatOfTheCpu) {
  Generator g{9, 0};
  for (const int64_t width : {8, 7, 64, 200, 130}) {
    for (const bool biased : {true, false}) {
      SCOPED_TRACE(width);
      nn::Sequential model{nn::Linear(12, width, {.bias = biased}), nn::GELU(GeluApproximate::Tanh),
                           nn::Linear(width, 3, {.bias = biased})};
      const Tensor x = randn({21, 12}, {}, &g) * 3;
      std::vector<std::vector<double>> values, inferred, first, second, watched;
      for (const Device device : {Device::cpu(), kCuda}) {
        model.to(device);
        model.zero_grad();
        const Tensor input = x.to(device).detach().clone().requires_grad_();
        const Tensor y = model(input);
        values.push_back(y.to_vector<double>());
        {
          const NoGrad guard;
          inferred.push_back(model(input).to_vector<double>());
        }
        {  // an observer may change the input of GELU
          const NoGrad guard;
          const OpObserver watch([](const OpEvent& event) {
            if (event.op == "linear") Tensor(event.result).mul_(2);
          });
          watched.push_back(model(input).to_vector<double>());
        }
        const Tensor dx = grad(sum(y * y), input, {.create_graph = true});
        first.push_back(dx.to_vector<double>());
        second.push_back(grad(sum(dx * dx), input).to_vector<double>());
      }
      EXPECT_NE(watched[0], inferred[0]);
      expect_values(values[1], values[0], 2e-5, 2e-5);
      expect_values(inferred[1], values[0], 2e-5, 2e-5);
      expect_values(watched[1], watched[0], 2e-5, 2e-5);
      expect_values(first[1], first[0], 5e-5, 5e-5);
      expect_values(second[1], second[0], 2e-4, 2e-4 * width);
    }
  }
}

}  // namespace
}  // namespace ebb::test
