// Products on Ebb's own kernels, compared with those of the CPU and with cuBLASLt's.
#include "ebb/backends/cuda/small_products.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <utility>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

class CudaSmallProducts : public CudaTest {
 protected:
  void TearDown() override { cuda::use_small_products(true); }
};

// Tails of tiles and of chunks of k on both sides, and the shapes of each kind of kernel.
const std::vector<std::array<int64_t, 3>> kShapes{
    {1, 1, 1},     {3, 2, 5},     {16, 16, 16}, {17, 33, 64},  {31, 15, 65}, {5, 40, 193},
    {33, 20, 300}, {70, 300, 11}, {130, 4, 67}, {18, 35, 700}, {40, 3, 32},  {5, 6, 1024}};

Tensor turned(const Tensor& x) { return transpose(transpose(x).contiguous()); }

TEST_F(CudaSmallProducts, AreThoseOfTheCpuInEveryLayout) {
  Generator g{31, 0};
  for (const DType dtype : {f32, f64}) {
    for (const auto& [m, n, k] : kShapes) {
      ASSERT_TRUE(cuda::is_small_product(m, n, k));
      const Tensor a = randn({m, k}, {.dtype = dtype}, &g), b = randn({k, n}, {.dtype = dtype}, &g);
      const std::vector<double> want = matmul(a, b).to_vector<double>();
      const double tolerance = (dtype == f32 ? 2e-6 : 1e-14) * std::sqrt(static_cast<double>(k));
      for (const Tensor& left : {a.to(kCuda), turned(a.to(kCuda))}) {
        for (const Tensor& right : {b.to(kCuda), turned(b.to(kCuda))})
          expect_values(matmul(left, right), want, tolerance, tolerance);
      }
      const Tensor wide = randn({m, 2 * k}, {.dtype = dtype}, &g);  // strides that no library takes
      const Tensor every_second = reshape(wide, {m, k, 2}), device = every_second.to(kCuda);
      expect_values(matmul(select(device, 2, 1), b.to(kCuda)),
                    matmul(select(every_second, 2, 1), b).to_vector<double>(), tolerance,
                    tolerance);
    }
  }
}

struct Results {
  std::vector<double> out, x, weight, bias, below;
};

// Two layers with a ReLU between them: bias, activation, its mask, the sums for the gradient of the
// bias.
Results two_layers(const Tensor& x, const Tensor& w1, const Tensor& b1, const Tensor& w2,
                   Device device, Activation activation) {
  const auto leaf = [&](const Tensor& t) { return t.to(device).detach().clone().requires_grad_(); };
  const Tensor in = leaf(x), first = leaf(w1), bias = leaf(b1), second = leaf(w2);
  const Tensor y = linear(linear(in, first, bias, activation), second);
  sum(y * y).backward();
  return {y.to_vector<double>(), in.grad().to_vector<double>(), second.grad().to_vector<double>(),
          bias.grad().to_vector<double>(), first.grad().to_vector<double>()};
}

TEST_F(CudaSmallProducts, DoWhatFollowsThem) {
  Generator g{32, 0};
  for (const DType dtype : {f32, f64}) {
    for (const auto& [rows, width, in] : kShapes) {
      for (const Activation activation : {Activation::Relu, Activation::GeluTanh}) {
        Tensor x = randn({rows, in}, {.dtype = dtype}, &g);
        slice(x, 0, 0, 1).fill_(0);  // with a bias of 0: exactly at the kink
        const Tensor w1 = randn({width, in}, {.dtype = dtype}, &g) / std::sqrt(in),
                     b1 = zeros({width}, {.dtype = dtype}),
                     w2 = randn({7, width}, {.dtype = dtype}, &g) / std::sqrt(width);
        const Results want = two_layers(x, w1, b1, w2, Device::cpu(), activation);
        const Results got = two_layers(x, w1, b1, w2, kCuda, activation);
        const double tolerance = dtype == f32 ? 1e-4 : 1e-11;
        expect_values(got.out, want.out, tolerance, tolerance);
        expect_values(got.x, want.x, tolerance, tolerance, "input");
        expect_values(got.weight, want.weight, tolerance, tolerance, "weight");
        expect_values(got.bias, want.bias, tolerance, tolerance * 10, "bias");
        expect_values(got.below, want.below, tolerance, tolerance * 10, "weight below");
      }
    }
  }
}

// The gradients of weight and bias alone, whose k is the batch.
TEST_F(CudaSmallProducts, SumTheRowsOfLongBatches) {
  Generator g{36, 0};
  for (const int64_t rows : {300, 700, 1000}) {
    const Tensor x = randn({rows, 20}, {}, &g), w = randn({18, 20}, {}, &g),
                 b = randn({18}, {}, &g);
    const auto gradients = [&](Device device) {
      const Tensor weight = w.to(device).detach().clone().requires_grad_(),
                   bias = b.to(device).detach().clone().requires_grad_();
      const Tensor y = linear(x.to(device), weight, bias);
      sum(y * y).backward();
      return std::pair(weight.grad().to_vector<double>(), bias.grad().to_vector<double>());
    };
    const auto want = gradients(Device::cpu()), got = gradients(kCuda), again = gradients(kCuda);
    EXPECT_EQ(got, again) << rows << " rows";
    expect_values(from_data(got.first, {18, 20}), want.first, 1e-2, 1e-4);
    expect_values(from_data(got.second, {18}), want.second, 1e-2, 1e-4);
  }
}

// One kind of product writes the mask and the other kind reads it.
TEST_F(CudaSmallProducts, AndOthersUnderstandEachOthersMasks) {
  Generator g{33, 0};
  const Tensor x = randn({80, 24}, {}, &g), w1 = randn({600, 24}, {}, &g) / 5.0,
               b1 = randn({600}, {}, &g), w2 = randn({7, 600}, {}, &g) / 25.0;
  const Results want = two_layers(x, w1, b1, w2, Device::cpu(), Activation::Relu);
  for (const bool small_first : {true, false}) {
    const auto leaf = [&](const Tensor& t) {
      return t.to(kCuda).detach().clone().requires_grad_();
    };
    const Tensor in = leaf(x), first = leaf(w1), bias = leaf(b1), second = leaf(w2);
    cuda::use_small_products(small_first);
    const Tensor h = linear(in, first, bias, Activation::Relu);
    cuda::use_small_products(!small_first);
    const Tensor y = linear(h, second);
    sum(y * y).backward();
    expect_values(y, want.out, 1e-4, 1e-4);
    expect_values(in.grad(), want.x, 1e-4, 1e-4);
    expect_values(first.grad(), want.below, 1e-4, 1e-3);
    expect_values(bias.grad(), want.bias, 1e-4, 1e-3);
  }
}

TEST_F(CudaSmallProducts, ANaNStays) {
  Generator g{34, 0};
  for (const int64_t n : {3, 16, 64, 90}) {
    Tensor x = randn({n, n}, {}, &g), weight = randn({n, n}, {}, &g);
    x.mutable_data<float>()[0] = std::nanf("");
    const Tensor w = weight.to(kCuda).requires_grad_();
    const Tensor y = linear(x.to(kCuda), w, Tensor(), Activation::Relu);
    const std::vector<float> values = y.to_vector<float>();
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(std::isnan(values[i]), i < static_cast<size_t>(n)) << n << " wide, element " << i;
    const Tensor z = linear(y, w.detach());
    sum(z).backward();
    EXPECT_TRUE(std::isnan(w.grad().to_vector<float>()[0]));
  }
}

// They may start before the previous operation ends: a copy, a fill or a kernel, eager and in a
// captured step.
TEST_F(CudaSmallProducts, WaitForWhatComesBefore) {
  Generator g{35, 0};
  const Tensor a = randn({30, 20}, {}, &g), b = randn({20, 40}, {}, &g);
  const Tensor right = b.to(kCuda);
  Tensor to = zeros({30, 20}, {.device = kCuda});
  const std::vector<double> once = matmul(a, b).to_vector<double>();
  Tensor after_copy, after_fill, after_kernel, after_product;
  const auto step = [&] {
    to.copy_(a);
    after_copy = matmul(to, right);
    to.fill_(0);
    after_fill = matmul(to, right);
    after_kernel = matmul(a.to(kCuda) * 2.0, right);
    after_product = matmul(matmul(transpose(right), right) * 0.0 + 1.0, transpose(right));
  };
  cuda::CapturedStep captured(step);
  for (int i = 0; i < 6; ++i) {
    if (i < 3) step();
    else captured();
    expect_values(after_copy, once, 1e-5, 1e-5);
    expect_values(after_fill, std::vector<double>(30 * 40, 0));
    std::vector<double> twice = once;
    for (double& x : twice) x *= 2;
    expect_values(after_kernel, twice, 1e-5, 1e-5);
    expect_values(after_product, matmul(ones({40, 40}), transpose(b)).to_vector<double>(), 1e-5,
                  1e-5);
  }
}

// The limits were measured.
TEST_F(CudaSmallProducts, AreSmall) {
  EXPECT_TRUE(cuda::is_small_product(64, 10, 128));
  EXPECT_TRUE(cuda::is_small_product(128, 784, 64));
  EXPECT_FALSE(cuda::is_small_product(128, 512, 784));
  EXPECT_FALSE(cuda::is_small_product(1024, 4096, 10));
  EXPECT_FALSE(cuda::is_small_product(int64_t{1} << 40, 1, 1));
}

}  // namespace
}  // namespace ebb::test
