// equal and allclose of whole tensors, and reductions where the op table does not reach: small
// dtypes, long rows.
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

TEST(Equal, ComparesShapesAndElements) {
  const Tensor x = tensor({{1, 2}, {3, 4}}, f32);
  EXPECT_TRUE(equal(x, x.clone()));
  EXPECT_TRUE(equal(x, transpose(tensor({{1, 3}, {2, 4}}, f32))));
  EXPECT_FALSE(equal(x, tensor({{1, 2}, {3, 5}}, f32)));
  EXPECT_FALSE(equal(x, tensor({1, 2}, f32)));
  EXPECT_FALSE(equal(tensor({NAN}), tensor({NAN})));
  EXPECT_TRUE(equal(zeros({0, 2}), zeros({0, 2})));
  EXPECT_FALSE(equal(zeros({0, 2}), zeros({0, 3})));
  EXPECT_TRUE(equal(tensor({1, 0}, boolean), tensor({1, 0}, boolean)));
  expect_error([&] { equal(x, x.to(f64)); }, "equal", {"f32", "f64"});
  expect_error([&] { equal(x, Tensor()); }, "equal", {"undefined"});
}

TEST(Allclose, HasTorchsTolerances) {
  const Tensor x = tensor({1, 100}, f32);
  EXPECT_TRUE(allclose(x, tensor({1, 100.0009})));
  EXPECT_FALSE(allclose(x, tensor({1, 100.01})));
  EXPECT_TRUE(allclose(x, tensor({1, 100.01}), 1e-3));
  EXPECT_TRUE(allclose(zeros({2}), tensor({1e-9, -1e-9})));
  EXPECT_FALSE(allclose(zeros({2}), tensor({1e-7, 0})));
  EXPECT_TRUE(allclose(zeros({2}), tensor({1e-7, 0}), 0, 1e-6));
  EXPECT_TRUE(allclose(x, tensor({{1, 100}, {1, 100}}, f32))) << "shapes broadcast";
  EXPECT_TRUE(allclose(tensor({INFINITY}), tensor({INFINITY})));
  EXPECT_FALSE(allclose(tensor({INFINITY}), tensor({-INFINITY})));
  EXPECT_FALSE(allclose(tensor({INFINITY}), tensor({1.0})));
  EXPECT_FALSE(allclose(tensor({1.0}), tensor({INFINITY})));
  EXPECT_FALSE(allclose(tensor({NAN}), tensor({NAN})));
  EXPECT_TRUE(allclose(tensor({NAN}), tensor({NAN}), 1e-5, 1e-8, true));
  EXPECT_TRUE(allclose(tensor({3, 4}, i64), tensor({3, 4}, i64)));
  EXPECT_FALSE(allclose(tensor({3, 4}, i64), tensor({3, 5}, i64)));
  expect_error([&] { allclose(x, zeros({3})); }, "allclose", {"(2,)", "(3,)"});
}

TEST(Extremes, OfSmallDTypes) {
  const Tensor u = tensor({{3, 250}, {7, 0}}, u8), b = tensor({{0, 1}, {0, 0}}, boolean);
  EXPECT_EQ(amax(u).item<int64_t>(), 250);
  EXPECT_EQ(amin(u, {1}).to_vector<int64_t>(), (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(amax(u, {0}).dtype(), u8);
  EXPECT_EQ(amax(b, {1}).to_vector<bool>(), (std::vector<bool>{true, false}));
  const auto [values, indices] = max(u, 1);
  EXPECT_EQ(values.to_vector<int64_t>(), (std::vector<int64_t>{250, 7}));
  EXPECT_EQ(indices.to_vector<int64_t>(), (std::vector<int64_t>{1, 0}));
  EXPECT_TRUE(any(b).item<bool>());
  EXPECT_FALSE(all(b).item<bool>());
}

// Rows of several pieces: the first of equal extremes, and the first NaN, wherever they are.
TEST(Argmax, OfLongRows) {
  const int64_t n = 200'003;
  for (const int64_t at : {int64_t{0}, int64_t{1}, int64_t{511}, int64_t{65'536}, n - 1}) {
    std::vector<float> v(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) v[static_cast<size_t>(i)] = static_cast<float>(i % 97) - 50;
    v[static_cast<size_t>(at)] = 60;
    v[static_cast<size_t>(n - 1)] = 60;
    EXPECT_EQ(argmax(from_data(v, {n})).item<int64_t>(), at);
    v[static_cast<size_t>(at)] = -70;
    v[static_cast<size_t>(n - 1)] = -70;
    EXPECT_EQ(argmin(from_data(v, {n})).item<int64_t>(), at);
    v[static_cast<size_t>(at)] = NAN;
    v[static_cast<size_t>(n - 1)] = NAN;
    EXPECT_EQ(argmax(from_data(v, {n})).item<int64_t>(), at);
    EXPECT_EQ(argmin(from_data(v, {n})).item<int64_t>(), at);
  }
}

TEST(Argmax, OfWideColumns) {
  Generator generator{3, 0};
  const Tensor x = rand({9, 1000}, {.dtype = f32}, &generator);
  const Tensor rows = argmax(transpose(x), 1), columns = argmax(x, 0);
  EXPECT_EQ(rows.to_vector<int64_t>(), columns.to_vector<int64_t>());
}

// Large numbers with a small spread, in rows of several pieces: the mean is taken off before
// squares are.
TEST(Var, KeepsItsDigits) {
  const int64_t n = 100'000;
  std::vector<double> v(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) v[static_cast<size_t>(i)] = 1e8 + static_cast<double>(i % 2);
  const Tensor x = from_data(v, {n});
  EXPECT_NEAR(var(x, {}, 0).item(), 0.25, 1e-12);
  EXPECT_NEAR(var(reshape(x, {2, n / 2}), {1}, 0).to_vector<double>()[1], 0.25, 1e-12);
  EXPECT_NEAR(var(reshape(x, {n / 2, 2}), {0}, 0).to_vector<double>()[1], 0, 1e-12);
}

}  // namespace
}  // namespace ebb
