// Captured steps of small networks: the same bits as eager steps, for every optimizer and epilogue.
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CapturedNets = CudaTest;

struct Net {
  std::string name;
  std::vector<int64_t> widths;
  int64_t batch;
  std::function<void(nn::Sequential&)> activate = [](nn::Sequential& m) {
    m.push_back(nn::ReLU());
  };
  nn::CrossEntropyLossOptions loss{};
  DType classes = i64;
  std::function<void(nn::Sequential&)> between = [](nn::Sequential&) {};  // backward and step
};

using MakeOptimizer =
    std::function<std::unique_ptr<nn::Optimizer>(const std::vector<nn::NamedTensor>&)>;

// A training on data and a learning rate that change in every step.
struct Training {
  Net net;
  nn::Sequential model;
  std::unique_ptr<nn::Optimizer> optimizer;
  Tensor x, target, loss;

  Training(const Net& with, const MakeOptimizer& make) : net(with) {
    manual_seed(3);
    for (size_t i = 0; i + 1 < net.widths.size(); ++i) {
      model.push_back(nn::Linear(net.widths[i], net.widths[i + 1]));
      if (i + 2 < net.widths.size()) net.activate(model);
    }
    model.to(kCuda);
    optimizer = make(model.named_parameters());
    x = zeros({net.batch, net.widths.front()}, {.device = kCuda});
    target = zeros({net.batch}, {.dtype = net.classes, .device = kCuda});
  }
  void step() {
    optimizer->zero_grad();
    loss = nn::cross_entropy(model(x), target, net.loss);
    loss.backward();
    net.between(model);
    optimizer->step();
  }
  void feed(int i) {
    Generator g{100 + static_cast<uint64_t>(i), 0};
    x.copy_(randn({net.batch, net.widths.front()}, {}, &g));
    target.copy_(randint(net.widths.back(), {net.batch}, {.dtype = net.classes}, &g));
    optimizer->set_lr(0.05 / (1 + i / 2));
  }
};

template <class Optimizer, class Options> MakeOptimizer make(Options options) {
  return [options](const std::vector<nn::NamedTensor>& parameters) {
    return std::make_unique<Optimizer>(parameters, options);
  };
}

void expect_equal_trainings(const Net& net, const MakeOptimizer& make_optimizer) {
  SCOPED_TRACE(net.name);
  constexpr int kSteps = 5;
  Training eager(net, make_optimizer), captured(net, make_optimizer);
  manual_seed(4);
  std::vector<double> losses;
  for (int i = 0; i < kSteps; ++i) {
    eager.feed(i);
    eager.step();
    losses.push_back(eager.loss.item());
  }
  manual_seed(4);
  cuda::CapturedStep step([&] { captured.step(); });
  for (int i = 0; i < kSteps; ++i) {
    captured.feed(i);
    step();
    EXPECT_EQ(captured.loss.item(), losses[static_cast<size_t>(i)]) << "step " << i;
  }
  EXPECT_EQ(step.replays(), kSteps - 1);
  const auto want = eager.model.parameters(), got = captured.model.parameters();
  for (size_t k = 0; k < want.size(); ++k) {
    EXPECT_EQ(got[k].to_vector<float>(), want[k].to_vector<float>()) << "parameter " << k;
  }
}

const MakeOptimizer kSgd = make<nn::SGD>(nn::SGDOptions{.lr = 0.1, .momentum = 0.9});

// Tails of tiles, tiles of every size, and products whose k several blocks share.
TEST_F(CapturedNets, HaveTheBitsOfEagerSteps) {
  const std::vector<Net> nets{{"xor", {2, 16, 16, 2}, 32},
                              {"digits", {64, 32, 10}, 32},
                              {"wide input", {700, 24, 10}, 64},
                              {"one of each", {1, 1}, 1},
                              {"wide", {20, 70, 33, 7}, 50},
                              {"large", {40, 150, 10}, 129},
                              {"deep", {4, 8, 8, 8, 8, 8, 8, 8, 3}, 20},
                              {"many classes", {12, 16, 100}, 70}};
  for (const Net& net : nets) expect_equal_trainings(net, kSgd);
}

TEST_F(CapturedNets, HaveTheBitsOfEveryOptimizer) {
  const Net net{"", {6, 20, 12, 4}, 24};
  expect_equal_trainings(net, make<nn::SGD>(nn::SGDOptions{.lr = 0.1}));
  expect_equal_trainings(net, make<nn::Adam>(nn::AdamOptions{.amsgrad = true}));
  expect_equal_trainings(net, make<nn::AdamW>(nn::AdamWOptions{.weight_decay = 0.1}));
  expect_equal_trainings(net,
                         make<nn::RMSprop>(nn::RMSpropOptions{.momentum = 0.5, .centered = true}));
  expect_equal_trainings(net, make<nn::Lion>(nn::LionOptions{}));
}

TEST_F(CapturedNets, ComputeEveryEpilogue) {
  Generator g{6, 0};
  const Tensor weight = (rand({40}, {}, &g) + 0.5).to(kCuda);
  const auto gelu = [](nn::Sequential& m) { m.push_back(nn::GELU(GeluApproximate::Tanh)); };
  expect_equal_trainings({"gelu", {6, 20, 12, 4}, 24, gelu}, kSgd);
  const std::vector<int64_t> few{6, 20, 12, 4}, many{6, 20, 40};
  Net net{"bytes", few, 24};
  net.classes = u8;
  expect_equal_trainings(net, kSgd);
  net = {"weights", many, 40};
  net.loss = {.weight = weight, .ignore_index = 3, .label_smoothing = 0.1};
  expect_equal_trainings(net, kSgd);
  net = {"sum", many, 20};
  net.loss = {.reduction = nn::Reduction::Sum};
  expect_equal_trainings(net, kSgd);
}

// Kernels, fills and copies between those of the network.
TEST_F(CapturedNets, MayHaveOtherOperationsBetween) {
  const std::vector<int64_t> widths{6, 20, 12, 4};
  const auto dropout = [](nn::Sequential& m) {
    m.push_back(nn::ReLU());
    m.push_back(nn::Dropout(0.3));
  };
  const auto sigmoid = [](nn::Sequential& m) { m.push_back(nn::Sigmoid()); };
  expect_equal_trainings({"dropout", widths, 24, dropout}, make<nn::Adam>(nn::AdamOptions{}));
  expect_equal_trainings({"sigmoid", widths, 24, sigmoid}, kSgd);
  Net net{"clipped", widths, 24};
  net.between = [](nn::Sequential& m) { nn::utils::clip_grad_norm_(m.parameters(), 0.1); };
  expect_equal_trainings(net, kSgd);
  net.name = "erased";
  net.between = [](nn::Sequential& m) { m.parameters()[0].grad().fill_(0); };
  expect_equal_trainings(net, kSgd);
  net.name = "replaced";
  net.between = [](nn::Sequential& m) {
    m.parameters()[1].grad().copy_(full({20}, 0.25).to(kCuda));
  };
  expect_equal_trainings(net, kSgd);
  const auto clips = [](const std::vector<nn::NamedTensor>& parameters) {
    auto made = std::make_unique<nn::Adam>(parameters, nn::AdamOptions{});
    made->set_grad_options({.max_norm = 0.1, .max_value = 0.01});
    return made;
  };
  expect_equal_trainings({"clips", widths, 24}, clips);
}

TEST_F(CapturedNets, ReportAClassThatDoesNotExist) {
  Training training({"", {6, 20, 4}, 24}, kSgd);
  cuda::CapturedStep step([&] { training.step(); });
  for (int i = 0; i < 3; ++i) {
    training.feed(i);
    step();
  }
  cuda::synchronize();
  training.target.fill_(7);
  step();
  expect_error([] { cuda::synchronize(); }, "cross_entropy", {"index 7", "expected 0 to 3"});
  EXPECT_TRUE(std::isnan(training.loss.item()));
}

}  // namespace
}  // namespace ebb::test
