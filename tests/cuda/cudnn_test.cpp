// Convolutions of f32 on cuDNN against those of the CPU: strides, paddings and groups of every
// kind, precision, determinism, captured steps. On the emulation also a cuDNN that is absent or
// that fails (EBB_EMULATION_CUDNN): the results are the same.
#include <gtest/gtest.h>

#include <iostream>

#include "ebb/backends/cuda/cudnn_convolution.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

class CudaCudnn : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    before_ = cuda::use_cudnn(cuda::CudnnUse::All);
  }
  void TearDown() override {
    cuda::use_cudnn(before_);
    if (cuda::is_available()) cuda::set_allow_tf32(false);
  }

 private:
  cuda::CudnnUse before_ = cuda::CudnnUse::Faster;
};

using Run = std::function<Tensor(const Tensor& x, const Tensor& w, const Tensor& b)>;

struct Case {
  const char* name;
  Shape x, w;
  int64_t outputs;
  Run run;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"plain",
       {3, 4, 9, 8},
       {5, 4, 3, 3},
       5,
       [](auto& x, auto& w, auto& b) { return conv2d(x, w, b); }},
      {"unused rows behind",
       {2, 3, 10, 9},
       {4, 3, 3, 4},
       4,
       [](auto& x, auto& w, auto& b) {
         return conv2d(x, w, b, {.stride = {2, 3}, .padding = {1, 0}});
       }},
      {"one more zero behind",
       {2, 3, 7, 6},
       {4, 3, 4, 2},
       4,
       [](auto& x, auto& w, auto& b) { return conv2d(x, w, b, {.padding = "same"}); }},
      {"dilation",
       {2, 3, 11, 9},
       {4, 3, 3, 3},
       4,
       [](auto& x, auto& w, auto& b) {
         return conv2d(x, w, b, {.padding = {3, 2}, .dilation = {3, 2}});
       }},
      {"groups",
       {2, 6, 7, 7},
       {4, 3, 3, 3},
       4,
       [](auto& x, auto& w, auto& b) { return conv2d(x, w, b, {.padding = 1, .groups = 2}); }},
      {"depthwise",
       {2, 5, 8, 7},
       {10, 1, 3, 3},
       10,
       [](auto& x, auto& w, auto& b) {
         return conv2d(x, w, b, {.stride = 2, .padding = 1, .groups = 5});
       }},
      {"stride beyond the kernel",
       {2, 3, 12, 12},
       {4, 3, 2, 2},
       4,
       [](auto& x, auto& w, auto& b) { return conv2d(x, w, b, {.stride = 5}); }},
      {"one dim",
       {3, 4, 21},
       {5, 4, 5},
       5,
       [](auto& x, auto& w, auto& b) { return conv1d(x, w, b, {.stride = 2, .padding = 2}); }},
      {"transposed",
       {2, 4, 5, 6},
       {4, 3, 3, 3},
       3,
       [](auto& x, auto& w, auto& b) {
         return conv_transpose2d(x, w, b, {.stride = 2, .padding = 1, .output_padding = 1});
       }},
      {"transposed, groups",
       {2, 4, 13},
       {4, 3, 4},
       6,
       [](auto& x, auto& w, auto& b) {
         return conv_transpose1d(x, w, b, {.stride = 3, .groups = 2});
       }},
  };
  return all;
}

// The result and the gradients of x, w and b, and of a second order.
std::vector<Tensor> results(const Case& c, Device device) {
  Generator g{5, 0};
  const auto random = [&](const Shape& shape) {
    return randn(shape, {}, &g).to(device).requires_grad_();
  };
  const Tensor x = random(c.x), w = random(c.w), b = random({c.outputs});
  const Tensor y = c.run(x, w, b);
  const Tensor up = random(y.shape()).detach();
  std::vector<Tensor> all = grad({y}, {x, w, b}, {.grad_outputs = {up}, .create_graph = true});
  for (const Tensor& second : grad({sum(all[0] * all[0]) + sum(all[1] * all[1])}, {x, w}))
    all.push_back(second);
  all.push_back(y);
  return all;
}

void expect_results_of_the_cpu(const Case& c, double tolerance) {
  SCOPED_TRACE(c.name);
  const std::vector<Tensor> here = results(c, kCuda), there = results(c, Device::cpu());
  for (size_t i = 0; i < here.size(); ++i) {
    const std::vector<double> want = there[i].detach().to_vector<double>();
    double scale = 1;
    for (const double v : want) scale = std::max(scale, std::abs(v));
    expect_values(here[i].detach(), want, tolerance, tolerance * scale,
                  "result " + std::to_string(i));
  }
}

TEST_F(CudaCudnn, AgreesWithTheCpu) {
  if (cuda::device_name() != "emulated")
    std::cout << (cuda::has_cudnn() ? "with cuDNN\n" : "without cuDNN\n");
  for (const Case& c : cases()) expect_results_of_the_cpu(c, 1e-5);
}

TEST_F(CudaCudnn, IsOnlyAsInexactAsTf32IfThatIsAllowed) {
  cuda::set_allow_tf32(true);
  for (const Case& c : cases()) expect_results_of_the_cpu(c, 2e-2);
}

TEST_F(CudaCudnn, GivesTheSameBitsInEveryRun) {
  for (const Case& c : cases()) {
    const std::vector<Tensor> first = results(c, kCuda), second = results(c, kCuda);
    for (size_t i = 0; i < first.size(); ++i)
      EXPECT_EQ(first[i].detach().to_vector<float>(), second[i].detach().to_vector<float>());
  }
}

// A view that starts at any element is aligned to 4 bytes only.
TEST_F(CudaCudnn, ReadsTensorsOfAnyAlignment) {
  const NoGrad guard;
  Generator g{6, 0};
  const Tensor storage = randn({1000}, {}, &g), w = randn({2, 3, 3, 3}, {}, &g);
  for (const int64_t start : {0, 1, 2, 3, 4}) {
    SCOPED_TRACE(start);
    const auto view = [&](Device device) {
      return reshape(slice(storage.to(device), 0, start, start + 3 * 5 * 7), {1, 3, 5, 7});
    };
    expect_values(conv2d(view(kCuda), w.to(kCuda)),
                  conv2d(view(Device::cpu()), w).to_vector<double>(), 1e-5, 1e-5);
  }
}

TEST_F(CudaCudnn, TakesNoMemoryThatItDoesNotGiveBack) {
  const NoGrad guard;
  const Tensor x = ones({2, 3, 8, 8}).to(kCuda), w = ones({4, 3, 3, 3}).to(kCuda);
  conv2d(x, w);
  const int64_t before = cuda::memory_stats().current_bytes;
  conv2d(x, w, ones({4}).to(kCuda));
  EXPECT_EQ(cuda::memory_stats().current_bytes, before);
}

// The captured steps must have the bits of eager ones, so both use the same engines.
TEST_F(CudaCudnn, ATrainStepCanBeCaptured) {
  const auto run = [](bool captured) {
    manual_seed(2);
    nn::Sequential net{nn::Conv2d(1, 4, 3, {.padding = 1}), nn::ReLU(),
                       nn::Conv2d(4, 4, 3, {.padding = 1, .groups = 4}),
                       nn::ConvTranspose2d(4, 2, 2, {.stride = 2})};
    net.to(kCuda);
    nn::SGD optimizer(net.named_parameters(), {.lr = 0.05});
    const Tensor x = randn({3, 1, 6, 5}).to(kCuda), target = randn({3, 2, 12, 10}).to(kCuda);
    const auto step = [&] {
      optimizer.zero_grad();
      nn::mse_loss(net(x), target).backward();
      optimizer.step();
    };
    cuda::CapturedStep replayed(step);
    for (int i = 0; i < 4; ++i) captured ? replayed() : step();
    std::vector<double> all;
    for (const Tensor& p : net.parameters()) {
      const std::vector<double> values = p.to_vector<double>();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  EXPECT_EQ(run(true), run(false));
}

// Which problems are faster on cuDNN does not depend on the device.
TEST_F(CudaCudnn, IsPreferredForLargeAndForGroupedProblems) {
  const auto is_faster = [](ConvolutionKind kind, const Shape& x, const Shape& w, int64_t groups) {
    const Tensor in = empty(x), weight = empty(w), out = empty({x[0], w[0], x[2], x[3]});
    return cuda::is_faster_on_cudnn({.kind = kind,
                                     .x = &in,
                                     .w = &weight,
                                     .y = &out,
                                     .geometry = {.padding = {1, 1}, .groups = groups}});
  };
  using enum ConvolutionKind;
  const Shape small{8, 6, 14, 14}, small_w{16, 6, 3, 3}, large{64, 64, 32, 32},
      large_w{64, 64, 3, 3}, depthwise_w{64, 1, 3, 3};
  for (const ConvolutionKind kind : {Forward, InputGradient, WeightGradient}) {
    EXPECT_FALSE(is_faster(kind, small, small_w, 1));
    EXPECT_TRUE(is_faster(kind, large, depthwise_w, 64));
    EXPECT_EQ(is_faster(kind, large, large_w, 1), kind != WeightGradient);
  }
  cuda::set_allow_tf32(true);
  EXPECT_TRUE(is_faster(WeightGradient, large, large_w, 1));
  EXPECT_FALSE(is_faster(WeightGradient, small, small_w, 1));
}

}  // namespace
}  // namespace ebb::test
