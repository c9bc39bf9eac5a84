#include "ebb/autograd/check/expect_gradients.h"

#include <gtest/gtest-spi.h>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/views.h"

namespace ebb {
namespace {

TEST(ExpectGradients, OfOneTwoThreeInputsAndOfLists) {
  const Tensor x = tensor({0.5, 2}), y = tensor({3, 0.25}), i = zeros({2}, {.dtype = i64});
  expect_gradients([](const Tensor& t) { return exp(t); }, {x});
  expect_gradients([](const Tensor& a, const Tensor& b) { return a * b; }, {x, y});
  expect_gradients([](const Tensor& a, const Tensor& b, const Tensor& c) { return a * b + c; },
                   {x, y, y});
  expect_gradients(
      [](const std::vector<Tensor>& in) {
        return std::vector{in[0] * 2.0, exp(in[1])};
      },
      {x, y, i});
  EXPECT_FALSE(x.requires_grad());
}

struct TestHalfGradient {
  static constexpr std::string_view name = "test_half_gradient";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) { return x * 2.0; }
  static Tensor backward(const State&, const Tensor& g) { return g; }
};

TEST(ExpectGradients, AWrongOneIsAFailureOfTheTest) {
  EXPECT_NONFATAL_FAILURE(
      expect_gradients([](const Tensor& t) { return apply<TestHalfGradient>(t); },
                       {tensor({1.0, 2.0})}),
      "first order: output 0 [0] by input 0 [0]: analytic 1, numeric 2");
}

}  // namespace
}  // namespace ebb
