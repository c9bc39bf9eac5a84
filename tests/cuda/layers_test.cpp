// Normalization and pooling on shapes whose work is divided among blocks, compared with the CPU.
// The op table has the small ones.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "ebb/backends/cuda/divisor.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

class CudaLayers : public CudaTest {};

using Layer = std::function<Tensor(const Tensor& x, const Tensor& weight, const Tensor& bias)>;

// The result and the gradients of all inputs.
std::vector<std::vector<double>> results(const Layer& layer, std::array<Tensor, 3> inputs,
                                         Device device) {
  for (Tensor& t : inputs) t = t.to(device).detach().clone().requires_grad_();
  const Tensor y = layer(inputs[0], inputs[1], inputs[2]);
  Generator g{7, 0};
  y.backward(randn(y.shape(), {.dtype = y.dtype()}, &g).to(device));
  std::vector<std::vector<double>> all{y.to_vector<double>()};
  for (const Tensor& t : inputs) {
    if (t.grad().defined()) all.push_back(t.grad().to_vector<double>());
  }
  return all;
}

void expect_same(const Layer& layer, const Tensor& x, int64_t channels) {
  Generator g{8, 0};
  const TensorOptions options{.dtype = x.dtype()};
  const std::array<Tensor, 3> inputs{x, randn({channels}, options, &g),
                                     randn({channels}, options, &g)};
  const auto want = results(layer, inputs, Device::cpu()), got = results(layer, inputs, kCuda);
  ASSERT_EQ(got.size(), want.size());
  const double tolerance = x.dtype() == f32 ? 5e-5 : 1e-11;
  for (size_t i = 0; i < want.size(); ++i) {
    SCOPED_TRACE(i);
    expect_values(got[i], want[i], tolerance, tolerance);
  }
}

// In packs, without packs, in columns; channels in one part and in many.
const std::vector<Shape> kBatches{{3, 2, 52, 60}, {5, 3, 37, 29}, {2, 70, 4, 4},
                                  {900, 40},      {3000, 3},      {7, 200}};

TEST_F(CudaLayers, BatchNormIsThatOfTheCpu) {
  Generator g{3, 0};
  for (const DType dtype : {f32, f64}) {
    for (const Shape& shape : kBatches) {
      const Tensor x = add(randn(shape, {.dtype = dtype}, &g), 100);  // a mean far from 0
      expect_same(
          [](const Tensor& x, const Tensor& w, const Tensor& b) {
            return batch_norm(x, {}, {}, {.weight = w, .bias = b, .training = true});
          },
          x, shape[1]);
    }
  }
}

TEST_F(CudaLayers, BatchNormKeepsTheRunningStatisticsOfTheCpu) {
  Generator g{4, 0};
  for (const Shape& shape : kBatches) {
    std::vector<std::vector<double>> averages;
    const Tensor x = randn(shape, {}, &g);
    for (const Device device : {Device::cpu(), kCuda}) {
      const Tensor mean = zeros({shape[1]}).to(device), variance = ones({shape[1]}).to(device);
      batch_norm(x.to(device), mean, variance, {.training = true, .momentum = 0.3});
      averages.push_back(mean.to_vector<double>());
      averages.push_back(variance.to_vector<double>());
    }
    expect_values(averages[2], averages[0], 1e-6, 1e-6);
    expect_values(averages[3], averages[1], 1e-6, 1e-6);
  }
}

// Rows of a warp, of a block, and wider than the registers of a block.
TEST_F(CudaLayers, NormsOfRowsAreThoseOfTheCpu) {
  Generator g{5, 0};
  for (const DType dtype : {f32, f64}) {
    for (const int64_t n : {5, 100, 1030, 9000}) {
      const Tensor x = randn({40, n}, {.dtype = dtype}, &g);
      expect_same([&](const Tensor& x, const Tensor& w,
                      const Tensor& b) { return layer_norm(x, {n}, w, b); },
                  x, n);
      expect_same(
          [&](const Tensor& x, const Tensor& w, const Tensor&) { return rms_norm(x, {n}, w); }, x,
          n);
    }
    for (const Shape& shape : {Shape{3, 8, 33, 31}, Shape{2, 8, 6, 6}, Shape{300, 8}}) {
      expect_same(
          [](const Tensor& x, const Tensor& w, const Tensor& b) { return group_norm(x, 4, w, b); },
          randn(shape, {.dtype = dtype}, &g), 8);
    }
  }
}

TEST_F(CudaLayers, BatchNormOfInfinityAndNanIsThatOfTheCpu) {
  for (const double bad :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    for (const int64_t at : {0, 5}) {  // 0: what the other elements are compared with
      Tensor x = arange(24.).reshape({4, 3, 2});
      x.flatten()[at].fill_(bad);
      for (const Device device : {Device::cpu(), kCuda}) {
        const Tensor mean = zeros({3}).to(device), variance = ones({3}).to(device);
        const std::vector<double> y =
            batch_norm(x.to(device), mean, variance, {.training = true}).to_vector<double>();
        const size_t channel = static_cast<size_t>(at / 2 % 3);
        EXPECT_TRUE(std::isnan(y[static_cast<size_t>(at)]));
        EXPECT_TRUE(std::isfinite(y[2 * ((channel + 1) % 3)]));
        EXPECT_TRUE(std::isnan(variance.to_vector<double>()[channel]));
        EXPECT_FALSE(std::isfinite(mean.to_vector<double>()[channel]));
      }
    }
  }
}

TEST_F(CudaLayers, PoolingIsThatOfTheCpu) {
  Generator g{6, 0};
  const Tensor x = randn({3, 2, 23, 37}, {}, &g), none = zeros({1});
  const std::vector<std::function<Tensor(const Tensor&)>> pools{
      [](const Tensor& x) { return max_pool2d(x, 2); },
      [](const Tensor& x) {
        return max_pool2d(x, {3, 4}, {2, 3}, {1, 2});
      },
      [](const Tensor& x) {
        return max_pool2d(x, 3, 1, 0, {3, 5});
      },
      [](const Tensor& x) {
        return avg_pool2d(x, {3, 2}, {2, 1}, 1);
      },
      [](const Tensor& x) {
        return adaptive_avg_pool2d(x, {7, 11});
      },
      [](const Tensor& x) {
        return adaptive_max_pool2d(x, {5, 9});
      }};
  for (const auto& pool : pools) {
    const auto layer = [&](const Tensor& x, const Tensor&, const Tensor&) { return pool(x); };
    const auto want = results(layer, {x, none, none}, Device::cpu()),
               got = results(layer, {x, none, none}, kCuda);
    expect_values(got[0], want[0], 1e-6, 1e-6);
    expect_values(got[1], want[1], 1e-6, 1e-6);
  }
}

TEST(CudaDivisor, Divides) {
  constexpr int kMost = std::numeric_limits<int>::max();
  for (const int d : {1, 2, 3, 5, 7, 10, 641, 1000, 65535, 65536, 65537, 46341, 715827883, 1 << 30,
                      kMost - 1, kMost}) {
    const cuda::Divisor divisor(d);
    std::vector<int> numbers{0, 1, 2, 3, 6, 7, 99, 65535, 65536, kMost - 1, kMost};
    for (int64_t k : {int64_t{1}, int64_t{2}, int64_t{1000}, int64_t{kMost} / d}) {
      for (int64_t n : {k * d - 1, k * d, k * d + 1}) {
        if (n >= 0 && n <= kMost) numbers.push_back(static_cast<int>(n));
      }
    }
    for (const int n : numbers) {
      EXPECT_EQ(n / divisor, n / d) << n << " / " << d;
      EXPECT_EQ(n % divisor, n % d) << n << " % " << d;
    }
  }
}

}  // namespace
}  // namespace ebb::test
