// Layers that move, pad, resize and drop elements; tests/parity compares the functions with
// PyTorch.
#include <cmath>
#include <sstream>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/nn/layers/activation.h"
#include "ebb/nn/layers/bilinear.h"
#include "ebb/nn/layers/dropout.h"
#include "ebb/nn/layers/padding.h"
#include "ebb/nn/layers/upsampling.h"
#include "ebb/tests/support/check.h"

namespace ebb::nn {
namespace {

using test::expect_error;
using test::expect_values;

TEST(PaddingLayers, PadTheLastDims) {
  const Tensor x = tensor({{{1., 2.}, {3., 4.}}}, f32);  // (1, 2, 2)
  expect_values(ZeroPad1d({1, 0})(x[0]), {0, 1, 2, 0, 3, 4});
  expect_values(ConstantPad1d(1, 7.5)(x[0]), {7.5, 1, 2, 7.5, 7.5, 3, 4, 7.5});
  expect_values(ZeroPad2d({1, 0, 0, 1})(x), {0, 1, 2, 0, 3, 4, 0, 0, 0});
  expect_values(ConstantPad2d({0, -1, 1, 0}, 9)(x), {9, 1, 3});
  expect_values(ReflectionPad1d({1, 1})(x[0]), {2, 1, 2, 1, 4, 3, 4, 3});
  expect_values(ReflectionPad2d({0, 1, 0, 1})(x), {1, 2, 1, 3, 4, 3, 1, 2, 1});
  expect_values(ReplicationPad1d({2, 0})(x[0]), {1, 1, 1, 2, 3, 3, 3, 4});
  expect_values(ReplicationPad2d({0, 0, 1, 0})(x), {1, 2, 1, 2, 3, 4});
  expect_values(CircularPad1d({1, 0})(x[0]), {2, 1, 2, 4, 3, 4});
  expect_values(CircularPad2d({0, 1, 1, 0})(x), {3, 4, 3, 1, 2, 1, 3, 4, 3});
  expect_error([] { ZeroPad2d({1, 2}); }, "ZeroPad2d", {"one number or of 4, got (1, 2)"});
  expect_error([&] { ReflectionPad2d(1)(x[0]); }, "ReflectionPad2d", {"(C, H, W)", "got (2, 2)"});
  expect_error([&] { ReflectionPad1d(2)(x[0]); }, "pad", {"too short for reflection"});
}

TEST(ImageLayers, PrintTheirOptions) {
  std::ostringstream out;
  out << ZeroPad2d(1) << '\n'
      << ConstantPad1d({1, 2}, 3.5) << '\n'
      << Upsample({.scale_factor = {2}, .mode = InterpolateMode::Bilinear}) << '\n'
      << Upsample({.size = {3, 4}}) << '\n'
      << PixelShuffle(3) << PixelUnshuffle(2) << '\n'
      << Unflatten(1, {2, 3}) << '\n'
      << Bilinear(2, 3, 4, {.bias = false}) << '\n'
      << Dropout2d(0.25) << AlphaDropout(0.5);
  EXPECT_EQ(out.str(),
            "ZeroPad2d((1, 1, 1, 1))\n"
            "ConstantPad1d(padding=(1, 2), value=3.5)\n"
            "Upsample(scale_factor=2.0, mode='bilinear')\n"
            "Upsample(size=(3, 4), mode='nearest')\n"
            "PixelShuffle(upscale_factor=3)PixelUnshuffle(downscale_factor=2)\n"
            "Unflatten(dim=1, unflattened_size=(2, 3))\n"
            "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=False)\n"
            "Dropout2d(p=0.25, inplace=False)AlphaDropout(p=0.5, inplace=False)");
}

TEST(Unflatten, SplitsOneDim) {
  const Tensor x = randn({2, 12});
  EXPECT_EQ(to_text(Unflatten(1, {3, 2, 2})(x).shape()), "(2, 3, 2, 2)");
  EXPECT_EQ(to_text(Unflatten(-1, {3, -1})(x).shape()), "(2, 3, 4)");
  for (const Shape& wrong : {Shape{5, 2}, Shape{-1, -1}, Shape{5, -1}, Shape{-3, -4}, Shape{}})
    expect_error([&] { Unflatten(1, wrong)(x); }, "Unflatten", {"dim 1 of (2, 12)"});
}

TEST(Bilinear, ComputesItsForm) {
  const Bilinear layer(2, 3, 1);
  const Tensor x1 = tensor({{1., 2.}}, f32), x2 = tensor({{3., 4., 5.}}, f32);
  double want = layer.bias[0].item();
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 3; ++j)
      want += x1[0][i].item() * layer.weight[0][i][j].item() * x2[0][j].item();
  }
  expect_values(layer(x1, x2), {want}, 1e-5);
  EXPECT_LE(max(abs(layer.weight)).item(), 1 / std::sqrt(2.));
  expect_error([] { Bilinear(0, 1, 1); }, "Bilinear", {"at least 1 feature"});
}

TEST(DropoutLayers, DropWholeChannels) {
  manual_seed(3);
  for (const Tensor& y : {Dropout2d(0.5)(ones({40, 5, 3, 2})), Dropout1d(0.5)(ones({40, 5, 6}))}) {
    const std::vector<double> v = y.to_vector<double>();
    int dropped = 0;
    for (size_t c = 0; c < 200; ++c) {
      for (size_t i = 0; i < 6; ++i) EXPECT_EQ(v[6 * c + i], v[6 * c]);
      dropped += v[6 * c] == 0;
      EXPECT_TRUE(v[6 * c] == 0 || v[6 * c] == 2);
    }
    EXPECT_NEAR(dropped, 100, 30);
  }
  EXPECT_EQ(to_text(Dropout2d(0.5)(ones({5, 3, 2})).shape()), "(5, 3, 2)");
  Dropout2d off(0.5);
  off.eval();
  expect_values(off(ones({2, 2, 1, 1})), {1, 1, 1, 1});
  expect_error([] { dropout2d(ones({2}), 0.5); }, "dropout2d", {"got (2,)"});
  EXPECT_EQ(to_text(Dropout1d(0.5)(ones({3, 2})).shape()), "(3, 2)");
  expect_error([] { dropout1d(ones({2, 2, 2, 2})); }, "dropout1d", {"(C, L)", "(2, 2, 2, 2)"});
  expect_error([] { dropout1d(ones({2, 2}), 1.5); }, "dropout1d", {"[0, 1], got 1.5"});
}

// Mean 0 and variance 1 are kept, and gradients are those of the elements that are kept.
TEST(DropoutLayers, AlphaDropoutKeepsMeanAndVariance) {
  manual_seed(4);
  const Tensor x = randn({400, 50}, f64).requires_grad_();
  for (const double p : {0.1, 0.5}) {
    const Tensor y = alpha_dropout(x, p);
    EXPECT_NEAR(mean(y).item(), 0, 0.03);
    EXPECT_NEAR(std::sqrt(mean(square(y)).item()), 1, 0.03);
    const double alpha = 1.7580993408473766, a = 1 / std::sqrt((alpha * alpha * p + 1) * (1 - p));
    const std::vector<double> g = grad(sum(y), x).to_vector<double>(), v = y.to_vector<double>();
    for (size_t i = 0; i < 500; ++i) {
      EXPECT_TRUE(g[i] == 0 || std::fabs(g[i] - a) < 1e-12);
      if (g[i] != 0) continue;
      EXPECT_NEAR(v[i], alpha * a * (p - 1), 1e-12);
    }
  }
  expect_values(sum(abs(alpha_dropout(x, 1))), {0});
  const Tensor channels = feature_alpha_dropout(zeros({30, 4, 5}), 0.5);
  expect_values(std(channels, {2}), std::vector<double>(120, 0), 0, 1e-6);
}

}  // namespace
}  // namespace ebb::nn
