// The functions of nn::init: distributions by their moments, structures exactly, errors.
#include "ebb/nn/init.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

namespace init = nn::init;
using test::expect_error;

double mean_of(const Tensor& x) { return mean(x).item(); }
double deviation_of(const Tensor& x) { return std::sqrt(mean(square(x - mean_of(x))).item()); }

TEST(Init, ConstantsFillTheTensorThatOthersHold) {
  Tensor w = empty({2, 3}).requires_grad_();
  const Tensor other = w;
  EXPECT_TRUE(init::constant_(w, 2.5).requires_grad());
  EXPECT_EQ(other.to_vector<float>(), std::vector<float>(6, 2.5f));
  init::ones_(w);
  EXPECT_EQ(other.to_vector<float>(), std::vector<float>(6, 1.f));
  init::zeros_(w);
  EXPECT_EQ(other.to_vector<float>(), std::vector<float>(6, 0.f));
}

TEST(Init, EyeIsRectangular) {
  EXPECT_EQ(init::eye_(empty({2, 3}, f64)).to_vector<double>(),
            (std::vector<double>{1, 0, 0, 0, 1, 0}));
  Tensor columns = transpose(empty({3, 2}), 0, 1);  // not contiguous
  EXPECT_EQ(init::eye_(columns).to_vector<float>(), (std::vector<float>{1, 0, 0, 0, 1, 0}));
}

TEST(Init, DiracPassesChannelsOnWithinEachGroup) {
  const Tensor w = init::dirac_(empty({4, 2, 3}), 2);
  std::vector<float> expected(24, 0.f);
  for (const size_t out : {0u, 1u, 2u, 3u}) expected[out * 6 + (out % 2) * 3 + 1] = 1;
  EXPECT_EQ(w.to_vector<float>(), expected);
  const Tensor image = init::dirac_(empty({1, 2, 4, 3}));
  EXPECT_EQ(image[0][0][2][1].item(), 1);
  EXPECT_EQ(sum(image).item(), 1);
  EXPECT_EQ(init::dirac_(empty({2, 2, 1})).to_vector<float>(), (std::vector<float>{1, 0, 0, 1}));
  EXPECT_EQ(init::dirac_(empty({2, 2, 0})).numel(), 0);
}

TEST(Init, UniformAndNormalHaveTheirMoments) {
  manual_seed(3);
  const Tensor u = init::uniform_(empty({200, 300}, f64), -1, 3);
  EXPECT_NEAR(mean_of(u), 1, 0.02);
  EXPECT_NEAR(deviation_of(u), 4 / std::sqrt(12.0), 0.02);
  const Tensor n = init::normal_(empty({200, 300}, f64), 2, 0.5);
  EXPECT_NEAR(mean_of(n), 2, 0.01);
  EXPECT_NEAR(deviation_of(n), 0.5, 0.01);
}

TEST(Init, TruncatedNormalStaysWithinItsBounds) {
  manual_seed(4);
  const Tensor x = init::trunc_normal_(empty({400, 200}, f64), 0.5, 2, -1, 3);
  EXPECT_GE(min(x).item(), -1);
  EXPECT_LE(max(x).item(), 3);
  // Moments of the normal distribution N(0.5, 2) between -1 and 3: alpha = -0.75, beta = 1.25.
  const auto pdf = [](double t) { return std::exp(-t * t / 2) / std::sqrt(2 * M_PI); };
  const auto cdf = [](double t) { return 0.5 * std::erfc(-t / std::sqrt(2.0)); };
  const double mass = cdf(1.25) - cdf(-0.75), shift = (pdf(-0.75) - pdf(1.25)) / mass;
  const double spread = 1 + (-0.75 * pdf(-0.75) - 1.25 * pdf(1.25)) / mass - shift * shift;
  EXPECT_NEAR(mean_of(x), 0.5 + 2 * shift, 0.02);
  EXPECT_NEAR(deviation_of(x), 2 * std::sqrt(spread), 0.02);
}

TEST(Init, OrthogonalHasOrthonormalRowsOrColumns) {
  manual_seed(5);
  for (const Shape& shape : {Shape{4, 7}, Shape{7, 4}, Shape{5, 5}, Shape{3, 2, 4}, Shape{6, 1}}) {
    const Tensor w = reshape(init::orthogonal_(empty(shape, f64), 3), {shape[0], -1});
    const bool flat = w.size(0) <= w.size(1);
    const Tensor product = flat ? matmul(w, transpose(w)) : matmul(transpose(w), w);
    const Tensor error = product - eye(product.size(0), f64) * 9;
    EXPECT_LT(max(abs(error)).item(), 1e-12) << shape;
  }
}

// Q of a QR decomposition is unique if the diagonal of R is positive: Gram-Schmidt finds the same.
TEST(Init, OrthogonalIsTheQOfTheRandomMatrix) {
  for (const Shape& shape : {Shape{5, 3}, Shape{3, 5}, Shape{4, 4}, Shape{1, 1}, Shape{2, 3, 2}}) {
    Generator generator{7}, same{7};
    const Tensor w = init::orthogonal_(empty(shape, f64), 2, &generator);
    const int64_t rows = shape[0], columns = w.numel() / rows;
    const int64_t tall = std::max(rows, columns), thin = std::min(rows, columns);
    Tensor q = randn({tall, thin}, f64, &same);
    if (rows < columns) q = transpose(q);
    std::vector<Tensor> basis;
    for (int64_t k = 0; k < thin; ++k) {
      Tensor v = select(q, rows < columns ? 0 : 1, k);
      for (const Tensor& b : basis) v = v - b * sum(b * v);
      basis.push_back(v / sqrt(sum(square(v))));
    }
    const Tensor expected = stack(basis, rows < columns ? 0 : 1) * 2;
    EXPECT_LT(max(abs(reshape(w, {rows, columns}) - expected)).item(), 1e-13) << shape;
  }
  EXPECT_EQ(init::orthogonal_(empty({0, 3})).numel(), 0);
  EXPECT_EQ(init::orthogonal_(empty({3, 0})).numel(), 0);
}

TEST(Init, SparseColumnsHaveTheirZeros) {
  manual_seed(6);
  const Tensor w = init::sparse_(empty({10, 50}, f64), 0.25, 2);
  const std::vector<int64_t> zeros = sum(w == 0.0, {0}).to_vector<int64_t>();
  EXPECT_EQ(zeros, std::vector<int64_t>(50, 3));
  Generator generator{8}, same{8};
  EXPECT_EQ(init::sparse_(empty({4, 3}, f64), 0, 2, &generator).to_vector<double>(),
            (randn({4, 3}, f64, &same) * 2).to_vector<double>());
}

TEST(Init, WrongArgumentsAreNamed) {
  expect_error([] { init::eye_(empty({3})); }, "eye_", {"two dims", "(3,)"});
  expect_error([] { init::dirac_(empty({3, 3})); }, "dirac_", {"3 to 5 dims"});
  expect_error([] { init::dirac_(empty({3, 3, 3}), 2); }, "dirac_", {"groups", "3"});
  expect_error([] { init::orthogonal_(empty({3})); }, "orthogonal_", {"at least two dims"});
  expect_error([] { init::constant_(zeros({3}, i64), 1); }, "constant_", {"floating", "i64"});
  expect_error([] { init::constant_(Tensor(), 1); }, "constant_", {"undefined"});
  expect_error([] { init::sparse_(empty({3, 3}), 1.5); }, "sparse_", {"sparsity", "1.5"});
  expect_error([] { init::trunc_normal_(empty({3}), 0, 1, 2, 1); }, "trunc_normal_", {"a < b"});
}

TEST(Init, GainsAreThoseOfTorch) {
  using init::Nonlinearity;
  EXPECT_DOUBLE_EQ(init::calculate_gain(Nonlinearity::Tanh), 5.0 / 3);
  EXPECT_DOUBLE_EQ(init::calculate_gain(Nonlinearity::ReLU), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(init::calculate_gain(Nonlinearity::LeakyReLU, 1), 1);
  EXPECT_DOUBLE_EQ(init::calculate_gain(Nonlinearity::LeakyReLU, 3), std::sqrt(0.2));
  EXPECT_DOUBLE_EQ(init::calculate_gain(Nonlinearity::Linear), 1);
  EXPECT_DOUBLE_EQ(init::calculate_gain(Nonlinearity::SELU), 0.75);
}

}  // namespace
}  // namespace ebb
