// Convolutions on the GPU against the CPU, of sizes beyond the op table's: several tiles of each
// size in each direction, a gradient of the weight in pieces, groups, and a captured step.
#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaConvolution = CudaTest;

struct Case {
  Shape x, w;
  ConvOptions options = {};
};

std::vector<Tensor> results(const Case& c, Device device) {
  Generator g{5, 0};
  const auto random = [&](const Shape& shape) {
    return randn(shape, {.dtype = f64}, &g).to(device).requires_grad_();
  };
  const Tensor x = random(c.x), w = random(c.w), b = random({c.w[0]});
  const Tensor y = conv2d(x, w, b, c.options);
  const Tensor up = random(y.shape()).detach();
  std::vector<Tensor> all = grad({y}, {x, w, b}, {.grad_outputs = {up}});
  all.push_back(y.detach());
  return all;
}

TEST_F(CudaConvolution, AgreesWithTheCpuOverManyTiles) {
  const Case cases[] = {
      {{2, 9, 9, 10}, {70, 9, 3, 3}, {.padding = 1}},       // tiles of 64 in y, and of 32 in x
      {{1, 40, 7, 8}, {36, 40, 3, 2}, {.stride = {2, 1}}},  // tiles of 64 everywhere
      {{3, 2, 20, 21}, {3, 2, 3, 3}},                       // weights in pieces
      {{2, 70, 5, 6}, {140, 35, 1, 1}, {.groups = 2}},
      {{1, 33, 6, 6}, {33, 1, 3, 3}, {.padding = "same", .dilation = 2, .groups = 33}}};
  for (const Case& c : cases) {
    const std::vector<Tensor> here = results(c, kCuda), there = results(c, Device::cpu());
    for (size_t i = 0; i < here.size(); ++i) {
      expect_values(here[i], there[i].to_vector<double>(), 1e-11, 1e-11,
                    to_text(c.w) + ", result " + std::to_string(i));
    }
  }
}

}  // namespace
}  // namespace ebb::test
