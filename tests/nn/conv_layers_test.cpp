// Convolution layers: parameters, initial values, printing, sizes and errors as in torch.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "ebb/ebb.h"
#include "ebb/tests/support/check.h"

namespace {

using namespace ebb;
using test::expect_error;

std::string printed(const nn::Module& module) {
  std::ostringstream out;
  out << module;
  return out.str();
}

TEST(ConvLayers, PrintAsTorchDoes) {
  EXPECT_EQ(printed(nn::Conv1d(1, 1, 2)), "Conv1d(1, 1, kernel_size=(2,), stride=(1,))");
  EXPECT_EQ(printed(nn::Conv2d(1, 32, 3, {.padding = 1})),
            "Conv2d(1, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))");
  EXPECT_EQ(
      printed(nn::Conv2d(
          1, 2, {3, 2},
          {.padding = "same", .dilation = 2, .bias = false, .padding_mode = PadMode::Reflect})),
      "Conv2d(1, 2, kernel_size=(3, 2), stride=(1, 1), padding=same, dilation=(2, 2), bias=False, "
      "padding_mode=reflect)");
  EXPECT_EQ(printed(nn::Conv2d(4, 6, 1, {.stride = {2, 1}, .padding = "valid", .groups = 2})),
            "Conv2d(4, 6, kernel_size=(1, 1), stride=(2, 1), padding=valid, groups=2)");
  EXPECT_EQ(printed(nn::ConvTranspose1d(2, 4, 3, {.stride = 2, .output_padding = 1, .groups = 2})),
            "ConvTranspose1d(2, 4, kernel_size=(3,), stride=(2,), output_padding=(1,), groups=2)");
  EXPECT_EQ(
      printed(nn::ConvTranspose2d(2, 4, 3, {.padding = {1, 0}, .bias = false, .dilation = {1, 2}})),
      "ConvTranspose2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 0), dilation=(1, 2), "
      "bias=False)");
}

TEST(ConvLayers, UnfoldAndFoldAreTransposesAndPrintAsTorchDoes) {
  const nn::Unfold unfold(3, {.padding = 1, .stride = 2});
  const nn::Fold fold({5, 6}, 3, {.padding = 1, .stride = 2});
  const Tensor x = randn({2, 3, 5, 6}, f64), columns = randn({2, 27, 9}, f64);
  EXPECT_NEAR(sum(unfold(x) * columns).item(), sum(x * fold(columns)).item(), 1e-11);
  EXPECT_EQ(printed(unfold), "Unfold(kernel_size=3, dilation=1, padding=1, stride=2)");
  EXPECT_EQ(printed(nn::Fold({4, 5}, {2, 2})),
            "Fold(output_size=(4, 5), kernel_size=(2, 2), dilation=1, padding=0, stride=1)");
}

TEST(ConvLayers, ParametersHaveTorchsNamesAndShapes) {
  const auto shapes = [](const nn::Module& module) {
    std::string text;
    for (const auto& [name, tensor] : module.state_dict())
      text += name + to_text(tensor.shape()) + " ";
    return text;
  };
  EXPECT_EQ(shapes(nn::Conv1d(4, 6, 5, {.groups = 2})), "weight(6, 2, 5) bias(6,) ");
  EXPECT_EQ(shapes(nn::Conv2d(3, 8, {3, 5}, {.bias = false})), "weight(8, 3, 3, 5) ");
  EXPECT_EQ(shapes(nn::ConvTranspose1d(4, 6, 5, {.groups = 2})), "weight(4, 3, 5) bias(6,) ");
  EXPECT_EQ(shapes(nn::ConvTranspose2d(3, 8, {3, 5})), "weight(3, 8, 3, 5) bias(8,) ");
  EXPECT_EQ(nn::Conv2d(1, 1, 3, {.dtype = f64}).weight.dtype(), f64);
}

TEST(ConvLayers, InitialValuesAreUniformWithinTorchsBound) {
  const auto check = [](const Tensor& weight, const Tensor& bias, double fan_in) {
    const double bound = 1 / std::sqrt(fan_in);
    EXPECT_LE(amax(abs(weight)).item(), bound);
    EXPECT_GT(amax(abs(weight)).item(), 0.97 * bound);
    EXPECT_NEAR(mean(weight * weight).item(), bound * bound / 3, 0.05 * bound * bound);
    EXPECT_LE(amax(abs(bias)).item(), bound);
    EXPECT_GT(amax(abs(bias)).item(), 0.8 * bound);
  };
  manual_seed(1);
  const nn::Conv2d conv(16, 32, 5, {.groups = 2});
  check(conv.weight, conv.bias, 8 * 25);
  const nn::ConvTranspose1d transposed(8, 64, 9, {.groups = 4});
  check(transposed.weight, transposed.bias, 16 * 9);
}

TEST(ConvLayers, AStateDictMovesAllOfALayer) {
  const nn::Conv2d from(3, 4, 3, {.padding = "same", .padding_mode = PadMode::Circular});
  nn::Conv2d to(3, 4, 3, {.padding = "same", .padding_mode = PadMode::Circular});
  const Tensor x = randn({2, 3, 5, 6});
  EXPECT_FALSE(equal(from(x), to(x)));
  to.load_state_dict(from.state_dict());
  EXPECT_TRUE(equal(from(x), to(x)));
}

TEST(ConvLayers, OneSampleIsABatchOfOneWithoutItsDim) {
  const Tensor x = randn({3, 9, 8}), batch = unsqueeze(x, 0);
  const nn::Conv2d conv(3, 4, 3, {.stride = 2, .padding = 1, .padding_mode = PadMode::Replicate});
  const nn::ConvTranspose2d transposed(3, 2, 3, {.stride = 2});
  EXPECT_EQ(conv(x).shape(), Shape({4, 5, 4}));
  EXPECT_TRUE(equal(conv(x), squeeze(conv(batch), 0)));
  EXPECT_TRUE(equal(transposed(x), squeeze(transposed(batch), 0)));
}

TEST(ConvLayers, ATransposedLayerReachesTheSizesThatStrideLeavesOpen) {
  const nn::ConvTranspose2d layer(2, 3, 3, {.stride = {2, 3}, .padding = 1});
  const Tensor x = randn({1, 2, 4, 4});
  EXPECT_EQ(layer(x).shape(), Shape({1, 3, 7, 10}));
  EXPECT_EQ(layer.forward(x, {8, 12}).shape(), Shape({1, 3, 8, 12}));
  EXPECT_EQ(layer.forward(x, {1, 3, 8, 11}).shape(), Shape({1, 3, 8, 11}));
  expect_error(
      [&] {
        layer.forward(x, {9, 12});
      },
      "",
      {"[ConvTranspose2d] output_size (9, 12) does not fit input (1, 2, 4, 4): expected 7 to 8 "
       "along dim -2"});
  expect_error([&] { layer.forward(x, {9}); }, "", {"expected output_size with 2 numbers"});
}

TEST(ConvLayers, OptionsThatDoNotFitAreRefusedWhenALayerIsMade) {
  expect_error([] { nn::Conv2d(3, 4, 3, {.groups = 2}); }, "",
               {"[Conv2d] expected channels that are multiples of groups, got 3 in and 4 out with "
                "groups = 2"});
  expect_error(
      [] {
        nn::Conv2d(1, 1, {3, 3, 3});
      },
      "", {"[Conv2d] expected kernel_size with 1 or 2 numbers, got (3, 3, 3)"});
  expect_error([] { nn::Conv1d(1, 1, 0); }, "",
               {"[Conv1d] expected a kernel_size of at least 1, got (0,)"});
  expect_error([] { nn::Conv1d(1, 1, 3, {.stride = 2, .padding = "same"}); }, "",
               {"[Conv1d] padding \"same\" needs stride 1, got (2,)"});
  expect_error([] { nn::ConvTranspose1d(0, 1, 3); }, "", {"[ConvTranspose1d] expected channels"});
  expect_error(
      [] {
        nn::Conv2d(1, 2, 3)(zeros({1, 1, 2, 2}));
      },
      "", {"kernel of size (3, 3) is larger than the padded input of size (2, 2)"});
}

TEST(ConvLayers, ANetTrainsWithThem) {
  manual_seed(3);
  nn::Sequential net{nn::Conv2d(1, 4, 3, {.padding = 1}), nn::ReLU(),
                     nn::ConvTranspose2d(4, 1, 2, {.stride = 2})};
  const Tensor x = randn({4, 1, 6, 6}), target = randn({4, 1, 12, 12});
  nn::Adam optimizer(net.parameters(), {.lr = 1e-2});
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    const Tensor loss = nn::mse_loss(net(x), target);
    loss.backward();
    optimizer.step();
    (step == 0 ? first : last) = loss.item();
  }
  EXPECT_LT(last, 0.9 * first);
}

TEST(ConvLayers, ASummaryCountsTheirProducts) {
  const nn::Sequential net{nn::Conv2d(3, 8, 3, {.padding = 1}),
                           nn::ConvTranspose2d(8, 4, 2, {.stride = 2, .groups = 2})};
  const nn::Summary s = nn::summary(net, {2, 3, 5, 6});
  EXPECT_EQ(s.rows[1].multiply_adds, 2 * 8 * 5 * 6 * 3 * 9);
  EXPECT_EQ(s.rows[2].multiply_adds, 2 * 8 * 5 * 6 * 2 * 4);
}

}  // namespace
