// Edge cases of kernels compared with the CPU: NaNs, certain rows, values that become bools,
// products with unusual layouts.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/core/backend.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaEdges = CudaTest;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST_F(CudaEdges, ABoolIsWhatIsNotZero) {
  for (const double value : {0.0, -0.0, 0.25, 1.0, -3.0, kNaN}) {
    const bool want = value != 0;
    EXPECT_EQ(full({3}, value, {.dtype = boolean, .device = kCuda}).to_vector<double>(),
              std::vector<double>(3, want));
    EXPECT_EQ(full({3}, value, {.device = kCuda}).to(boolean).to_vector<double>(),
              std::vector<double>(3, want))
        << value;
    EXPECT_EQ(std::signbit(full({1}, value, {.device = kCuda}).item()), std::signbit(value) != 0);
  }
}

// Fills and copies that skip every other column.
TEST_F(CudaEdges, HalfOfATensorIsWritten) {
  for (const DType dtype : {f32, f64, i64, u8, boolean}) {
    Tensor x = zeros({3, 4}, {.dtype = dtype, .device = kCuda});
    slice(x, 1, 0, 4, 2).fill_(1);
    EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0}));
    slice(x, 1, 1, 4, 2).copy_(ones({3, 2}, {.dtype = dtype, .device = kCuda}));
    EXPECT_EQ(x.to_vector<double>(), std::vector<double>(12, 1));
    slice(x, 1, 0, 4, 2).fill_(0);
    EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}));
  }
}

TEST_F(CudaEdges, IntegersAreComputedWith) {
  for (const DType dtype : {i64, u8}) {
    const Tensor a = from_data(std::vector<int64_t>{1, 20, 3, 40, 5, 60}, {2, 3}).to(dtype);
    const Tensor b = from_data(std::vector<int64_t>{7, 8, 90, 10, 110, 12}, {3, 2}).to(dtype);
    const Tensor sums = a.to(kCuda) + transpose(b.to(kCuda));
    EXPECT_EQ(sums.dtype(), dtype);
    EXPECT_EQ(sums.to_vector<double>(), (a + transpose(b)).to_vector<double>());
    EXPECT_EQ(maximum(a.to(kCuda), transpose(b.to(kCuda))).to_vector<double>(),
              maximum(a, transpose(b)).to_vector<double>());
  }
}

// If one probability is nearly 1, the gradient of its score is the negated sum of the others.
TEST_F(CudaEdges, SoftmaxKeepsTheDigitsOfSureRows) {
  Generator g{12, 0};
  for (const DType dtype : {f32, f64}) {
    for (const int64_t n : {3, 40, 200, 2000, 5000}) {
      for (const int64_t d : {0, 1}) {
        for (const int64_t place : {int64_t{0}, n / 2}) {
          Tensor x = randn({3, n}, {.dtype = dtype}, &g);
          select(x, 1, place).add_(tensor({30, 60, 0}, dtype));
          if (d == 0) x = transpose(x).contiguous();
          const auto run = [&](Device device, bool log, const Tensor& upstream) {
            const Tensor v = x.to(device).detach().requires_grad_();
            (log ? log_softmax(v, d) : softmax(v, d)).backward(upstream.to(device));
            return v.grad().to_vector<double>();
          };
          Tensor at_place = zeros(x.shape(), {.dtype = dtype});
          select(at_place, d, place).fill_(1);
          const Tensor everywhere = randn(x.shape(), {.dtype = dtype}, &g);
          const double tolerance = dtype == f32 ? 1e-4 : 1e-10;
          for (const bool log : {false, true}) {
            expect_values(run(kCuda, log, at_place), run(Device::cpu(), log, at_place), tolerance,
                          1e-300);
            expect_values(run(kCuda, log, everywhere), run(Device::cpu(), log, everywhere),
                          tolerance, log ? tolerance * 1e-2 : 1e-300);
          }
        }
      }
    }
  }
}

TEST_F(CudaEdges, NaNsGoThroughMarginLosses) {
  const Tensor x =
      from_data(std::vector<double>{0.5, kNaN, 0.25, 0.1, 0.2, 0.3, kNaN, 1, 2}, {3, 3});
  const Tensor one = from_data(std::vector<int64_t>{1, 0, 2}, {3});
  const Tensor many = from_data(std::vector<int64_t>{1, -1, 0, 0, 2, -1, 2, 1, 0},
                                {3, 3});  // the last: all classes
  for (const DType dtype : {f32, f64}) {
    const Tensor y = x.to(dtype), z = y.to(kCuda);
    const nn::Reduction none = nn::Reduction::None;
    expect_values(nn::multi_margin_loss(z, one.to(kCuda), {.reduction = none}),
                  nn::multi_margin_loss(y, one, {.reduction = none}).to_vector<double>(), 1e-6);
    expect_values(nn::multilabel_margin_loss(z, many.to(kCuda), {.reduction = none}),
                  nn::multilabel_margin_loss(y, many, {.reduction = none}).to_vector<double>(),
                  1e-6);
  }
}

TEST_F(CudaEdges, ABadClassOfAMarginLossTouchesItsRowAlone) {
  for (const int64_t bad : {-2, 3}) {
    const Tensor t = from_data(std::vector<int64_t>{0, bad, 2}, {3}).to(kCuda);
    const Tensor x = full({3, 3}, 0.5, {.device = kCuda}).requires_grad_();
    const Tensor loss = nn::multi_margin_loss(x, t, {.reduction = nn::Reduction::None});
    sum(loss).backward();
    expect_error([] { cuda::synchronize(); }, "multi_margin_loss", {"index", "at position 1"});
    const std::vector<double> values = loss.to_vector<double>(),
                              gradient = x.grad().to_vector<double>();
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(std::isnan(values[i]), i == 1);
    for (size_t i = 0; i < 9; ++i) EXPECT_EQ(std::isnan(gradient[i]), i / 3 == 1);
  }
}

// Scores are multiples of 1/4, so that hinges are open, closed, and exactly at their kink.
TEST_F(CudaEdges, MarginLossesOnBothSidesOfTheKink) {
  Generator g{14, 0};
  const Tensor x = (rand({40, 5}, {.dtype = f64}, &g) * 8).to(i64).to(f64) * 0.25;
  const Tensor one = (rand({40}, {}, &g) * 5).to(i64),
               many = (rand({40, 5}, {}, &g) * 6).to(i64) - 1;
  const Tensor weight = rand({5}, {.dtype = f64}, &g) + 0.5;
  const auto run = [&](Device device, int p, bool labels) {
    const Tensor v = x.to(device).detach().requires_grad_();
    const Tensor loss =
        labels ? nn::multilabel_margin_loss(v, many.to(device))
               : nn::multi_margin_loss(v, one.to(device),
                                       {.p = p, .margin = 0.5, .weight = weight.to(device)});
    loss.backward();
    std::vector<double> all = v.grad().to_vector<double>();
    all.push_back(loss.item());
    return all;
  };
  for (const int p : {1, 2})
    expect_values(run(kCuda, p, false), run(Device::cpu(), p, false), 1e-12, 1e-15);
  expect_values(run(kCuda, 1, true), run(Device::cpu(), 1, true), 1e-12, 1e-15);
}

// Integers have no NaN, so the result is 0. The reported position is in row-major order for any
// strides.
TEST_F(CudaEdges, ABadIndexOfIntegersGivesZero) {
  const Tensor x = ones({2, 3}, {.dtype = i64, .device = kCuda});
  // {{0, 7}, {1, 2}}
  const Tensor index = transpose(from_data(std::vector<int64_t>{0, 1, 7, 2}, {2, 2}).to(kCuda));
  const Tensor got = gather(x, 1, index);
  expect_error([] { cuda::synchronize(); }, "gather", {"index 7 at position 1", "expected 0 to 2"});
  EXPECT_EQ(got.to_vector<double>(), (std::vector<double>{1, 0, 1, 1}));
}

// Uses fewer indices than a warp and more. Those that are out of range are not added.
TEST_F(CudaEdges, BadIndicesAreLeftOutOfASum) {
  for (const int64_t n : {5, 40}) {
    Tensor index = zeros({n}, {.dtype = i64});
    index.mutable_data<int64_t>()[1] = -1;
    index.mutable_data<int64_t>()[3] = 2;
    const Tensor got = scatter_add(ones({n}, {.device = kCuda}), {2}, 0, index.to(kCuda));
    expect_error([] { cuda::synchronize(); }, "scatter_add", {"expected 0 to 1"});
    EXPECT_EQ(got.to_vector<double>(), (std::vector<double>{static_cast<double>(n - 2), 0}));
  }
}

TEST_F(CudaEdges, ARuleMayAllowNaN) {
  const Tensor x = zeros({4}, {.device = kCuda}), y = ones({4}, {.device = kCuda});
  const Tensor nan = from_data(std::vector<float>{1, 2, std::nanf(""), 1}, {4}).to(kCuda);
  EXPECT_TRUE(std::isnan(nn::gaussian_nll_loss(x, y, nan).item()));
  const Tensor negative = from_data(std::vector<float>{1, 2, 3, -1}, {4}).to(kCuda);
  nn::gaussian_nll_loss(x, y, negative);
  expect_error([] { cuda::synchronize(); }, "gaussian_nll_loss",
               {"var has negative entries, got -1 at position 3"});
  nn::binary_cross_entropy(nan * 0.5, y);
  expect_error([] { cuda::synchronize(); }, "binary_cross_entropy", {"got nan at position 2"});
}

// Uses more positions, rows and columns than a grid of the smallest device covers at once.
TEST_F(CudaEdges, MoreThanAGridTakes) {
  Generator g{15, 0};
  for (const Shape& shape : {Shape{20, 50}, Shape{300, 33}, Shape{33, 300}}) {
    SCOPED_TRACE(to_text(shape));
    const Tensor x = randn(shape, {}, &g), y = x.to(kCuda),
                 index = (rand(shape, {}, &g) * 7).to(i64);
    for (int64_t d = 0; d < 2; ++d) {
      Shape narrow = shape;
      narrow[static_cast<int>(d)] = 7;
      EXPECT_EQ(scatter_add(y, narrow, d, index.to(kCuda)).to_vector<float>(),
                scatter_add(x, narrow, d, index).to_vector<float>());
      EXPECT_EQ(gather(y, d, index.to(kCuda)).to_vector<float>(),
                gather(x, d, index).to_vector<float>());
      EXPECT_EQ(argmax(y, d).to_vector<double>(), argmax(x, d).to_vector<double>());
      EXPECT_EQ(amax(y, {d}).to_vector<double>(), amax(x, {d}).to_vector<double>());
      expect_values(sum(y, {d}), sum(x, {d}).to_vector<double>(), 1e-5, 1e-5);
      expect_values(logsumexp(y, {d}), logsumexp(x, {d}).to_vector<double>(), 1e-5, 1e-5);
      expect_values(softmax(y, d), softmax(x, d).to_vector<double>(), 1e-5, 1e-7);
    }
  }
}

TEST_F(CudaEdges, OneElementIsLikeMany) {
  Generator a{7, 3}, b{7, 3};
  EXPECT_EQ(rand({1}, {.device = kCuda}, &a).item(), rand({1}, {}, &b).item());
  const Tensor x = ones({1, 3}, {.device = kCuda}),
               bad = full({1}, 3, {.dtype = i64, .device = kCuda});
  nn::cross_entropy(x, bad);
  expect_error([] { cuda::synchronize(); }, "cross_entropy", {"index 3 at position 0"});
  gather(x, 1, unsqueeze(bad, 0));
  expect_error([] { cuda::synchronize(); }, "gather", {"index 3 at position 0"});
  nn::binary_cross_entropy(full({1}, 1.5, {.device = kCuda}), ones({1}, {.device = kCuda}));
  expect_error([] { cuda::synchronize(); }, "binary_cross_entropy", {"got 1.5 at position 0"});
  EXPECT_EQ(nn::multi_margin_loss(x, zeros({1}, {.dtype = i64, .device = kCuda})).item(), 2.0F / 3);
  const Tensor zero = scatter_add(full({}, 2.0, {.device = kCuda}), {}, 0,
                                  zeros({}, {.dtype = i64, .device = kCuda}));
  EXPECT_EQ(zero.item(), 2);
}

// Bias gradients of a product without elements, of a column-major upstream gradient, and of one
// value.
TEST_F(CudaEdges, BiasGradientsOfOddProducts) {
  Generator g{13, 0};
  for (const DType dtype : {f32, f64}) {
    for (const auto& [batch, in, out] :
         std::vector<std::array<int64_t, 3>>{{5, 0, 3}, {6, 4, 3}, {1, 4, 3}, {6, 4, 1}}) {
      const Tensor x = randn({batch, in}, {.dtype = dtype}, &g),
                   weight = randn({out, in}, {.dtype = dtype}, &g);
      const Tensor bias = randn({out}, {.dtype = dtype}, &g),
                   upstream = randn({out, batch}, {.dtype = dtype}, &g);
      for (int kind = 0; kind < 3; ++kind) {
        const auto run = [&](Device device) {
          const Tensor w = weight.to(device).detach().requires_grad_(),
                       b = bias.to(device).detach().requires_grad_();
          const Tensor y = linear(x.to(device), w, b);
          if (kind == 0) sum(y).backward();
          else if (kind == 1) y.backward(transpose(upstream.to(device)));
          else y.backward(transpose(upstream).contiguous().to(device));
          return std::pair(w.grad().to_vector<double>(), b.grad().to_vector<double>());
        };
        const auto want = run(Device::cpu()), got = run(kCuda);
        const double tolerance = dtype == f32 ? 1e-5 : 1e-13;
        expect_values(got.first, want.first, tolerance, tolerance, "weight");
        expect_values(got.second, want.second, tolerance, tolerance, "bias");
      }
    }
  }
}

}  // namespace
}  // namespace ebb::test
