// Promotion of dtypes, as in torch: integer and bool tensors combined with floating ones, and with
// each other.
#include <gtest/gtest.h>

#include "ebb/autograd/check/functional.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

TEST(Promotion, AnIntegerTensorTakesTheFloatingDtype) {
  const Tensor x = tensor({1.5, -2.0, 0.25}), n = tensor({2, 3, -1}), mask = x > 0;
  for (const DType dtype : {f32, f64}) {
    const Tensor y = x.to(dtype);
    expect_values(y + n, {3.5, 1, -0.75});
    expect_values(n - y, {0.5, 5, -1.25});
    expect_values(y * mask, {1.5, 0, 0.25});
    expect_values(n / y, {2 / 1.5, -1.5, -4}, 1e-6);
    expect_values(maximum(n, y), {2, 3, 0.25});
    expect_values(pow(y, n), {2.25, -8, 4});
    expect_values((n < y).to(f64), {0, 0, 1});
    expect_values(where(mask, n, y), {2, -2, -1});
    for (const Tensor& result : {y + n, n - y, y * mask, n / y, maximum(n, y), pow(y, n)})
      EXPECT_EQ(result.dtype(), dtype);
  }
}

TEST(Promotion, BoolAndU8TakeI64) {
  const Tensor n = tensor({2, 3}), mask = tensor({true, false}), bytes = tensor({7, 9}, u8);
  EXPECT_EQ((n + mask).dtype(), i64);
  expect_values((n + mask).to(f64), {3, 3});
  EXPECT_EQ((bytes * n).dtype(), i64);
  EXPECT_EQ((bytes + mask).dtype(), u8);
  expect_values((bytes + mask).to(f64), {8, 9});
}

TEST(Promotion, GradientsOfEveryOrderPassTheInteger) {
  const Tensor v = tensor({-1, -2}, f64), n = tensor({2, 3});
  expect_values(hessian([&](const Tensor& x) { return sum(pow(x, n)); }, v), {2, 0, 0, -12});
  Tensor w = tensor({1.5, 2.0}).requires_grad_();
  sum(w * n * (w > 1.75)).backward();
  EXPECT_EQ(w.grad().dtype(), f32);
  expect_values(w.grad(), {0, 3});
}

TEST(Promotion, F32AndF64AreNotMixed) {
  expect_error([] { tensor({1.0}) + tensor({1.0}, f64); }, "add", {"dtypes differ", "f32", "f64"});
}

}  // namespace
}  // namespace ebb
