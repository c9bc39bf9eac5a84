// Arithmetic on bool tensors: the table in autograd/ops/arithmetic.h, row by row.
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;

void expect(const Tensor& got, DType dtype, const std::vector<double>& want) {
  EXPECT_EQ(got.dtype(), dtype);
  test::expect_values(got, want);
}

const Tensor b = tensor({true, true, false, false}), c = tensor({true, false, true, false});

TEST(BoolArithmetic, SumsAndProductsOfBoolsAreLogical) {
  expect(b + c, boolean, {1, 1, 1, 0});
  expect(b * c, boolean, {1, 0, 0, 0});
  expect(b + true, boolean, {1, 1, 1, 1});
  expect(b + false, boolean, {1, 1, 0, 0});
  expect(true * b, boolean, {1, 1, 0, 0});
  expect(maximum(b, c), boolean, {1, 1, 1, 0});
  expect(minimum(b, c), boolean, {1, 0, 0, 0});
  expect(where(b, c, logical_not(c)), boolean, {1, 0, 0, 1});
  expect(sign(b), boolean, {1, 1, 0, 0});
}

TEST(BoolArithmetic, NumbersSayWhatTheResultIs) {
  const Tensor x = tensor({5, 7, 9});
  expect((x > 6) * 6, i64, {0, 6, 6});
  expect(6 * (x > 6), i64, {0, 6, 6});
  expect((x > 6) + 2, i64, {2, 3, 3});
  expect(2 + (x > 6), i64, {2, 3, 3});
  expect((x > 6) * 2.5, f32, {0, 2.5, 2.5});
  expect((x > 6) * 2.0, f32, {0, 2, 2});
  expect(0.5 + (x > 6), f32, {0.5, 1.5, 1.5});
}

TEST(BoolArithmetic, Comparisons) {
  expect(b < c, boolean, {0, 0, 1, 0});
  expect(b == c, boolean, {1, 0, 0, 1});
  expect(b < 1, boolean, {0, 0, 1, 1});
  expect(b >= 0.5, boolean, {1, 1, 0, 0});
  expect(b == true, boolean, {1, 1, 0, 0});
  expect(b == 2, boolean, {0, 0, 0, 0});
  expect(b != 0.0, boolean, {1, 1, 0, 0});
}

TEST(BoolArithmetic, WhatHasNoMeaningIsRefused) {
  for (const auto& wrong : {+[] { return b - c; }, +[] { return b - 1; }, +[] { return 1 - b; },
                            +[] { return b - 0.5; }, +[] { return b - true; }, +[] { return -b; },
                            +[] { return abs(b); }, +[] { return sub(b, c); }})
    expect_error(wrong, "", {"expected numbers, got bool of shape (4,)", "logical_not()"});
  for (const auto& wrong : {+[] { return exp(b); }, +[] { return pow(b, 3); },
                            +[] { return clamp(b, 0, 1); }, +[] { return relu(b); }})
    expect_error(wrong, "", {"expected floating tensors, got bool"});
}

TEST(BoolArithmetic, IntegersKeepTheirDtypeBesideIntegersAndFloatBesideFloats) {
  const Tensor x = tensor({1, 2});
  expect(x * 6, i64, {6, 12});
  expect(x + true, i64, {2, 3});
  expect(tensor({255}, u8) + 2, u8, {1});
  expect(x * 6.0, f32, {6, 12});
  expect(x * 2.5, f32, {2.5, 5});
  expect(x - 2.5, f32, {-1.5, -0.5});
  expect(0.5 - x, f32, {-0.5, -1.5});
  expect(tensor({255}, u8) + 0.5, f32, {255.5});
  expect(x < 1.5, boolean, {1, 0});
  expect(tensor({(int64_t{1} << 53) - 1, int64_t{5}}) == 9007199254740991.0, boolean, {1, 0});
}

TEST(BoolArithmetic, DivisionIsOfFloats) {
  const Tensor x = tensor({1, 2});
  expect(x / tensor({4, 4}), f32, {0.25, 0.5});
  expect(x / 4, f32, {0.25, 0.5});
  expect(1 / x, f32, {1, 0.5});
  expect(b / 2, f32, {0.5, 0.5, 0, 0});
  expect(x / tensor({4.0, 4.0}, f64), f64, {0.25, 0.5});
}

}  // namespace
}  // namespace ebb
