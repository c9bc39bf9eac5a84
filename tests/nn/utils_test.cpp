// nn::utils: clipping of gradients, and parameters as one vector.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/utils/clip_grad.h"
#include "ebb/nn/utils/convert_parameters.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using nn::utils::clip_grad_norm_;
using nn::utils::clip_grad_value_;
using nn::utils::parameters_to_vector;
using nn::utils::vector_to_parameters;
using test::expect_error;
using test::expect_values;

constexpr double kInf = std::numeric_limits<double>::infinity();

// Three parameters; the last one has no gradient. The norm of the gradients is 13.
std::vector<Tensor> parameters() {
  std::vector<Tensor> list{zeros({2}, f64).requires_grad_(), zeros({1, 1}).requires_grad_(),
                           zeros({3}).requires_grad_()};
  list[0].set_grad(tensor({3., -4.}, f64));
  list[1].set_grad(tensor({{12.}}));
  return list;
}

TEST(ClipGradNorm, ScalesAllGradientsByOneFactor) {
  const std::vector<Tensor> list = parameters();
  EXPECT_DOUBLE_EQ(clip_grad_norm_(list, 6.5).item(), 13);
  const double factor = 6.5 / (13 + 1e-6);
  expect_values(list[0].grad(), {3 * factor, -4 * factor}, 1e-15);
  expect_values(list[1].grad(), {12 * factor}, 1e-6);
  EXPECT_EQ(list[1].grad().dtype(), f32);
  EXPECT_FALSE(list[2].grad().defined());
}

TEST(ClipGradNorm, SmallGradientsStay) {
  const std::vector<Tensor> list = parameters();
  EXPECT_DOUBLE_EQ(clip_grad_norm_(list, 20).item(), 13);
  expect_values(list[0].grad(), {3, -4});
  expect_values(list[1].grad(), {12});
}

TEST(ClipGradNorm, TakesOtherNorms) {
  EXPECT_DOUBLE_EQ(clip_grad_norm_(parameters(), 1, 1).item(), 19);
  EXPECT_DOUBLE_EQ(clip_grad_norm_(parameters(), 1, kInf).item(), 12);
  EXPECT_NEAR(clip_grad_norm_(parameters(), 1, 3).item(), std::cbrt(27 + 64 + 1728), 1e-12);
  EXPECT_EQ(clip_grad_norm_({}, 1).item(), 0);
}

TEST(ClipGradNorm, ANormThatIsNotFiniteIsAnErrorOnRequest) {
  const std::vector<Tensor> list = parameters();
  list[1].set_grad(tensor({{std::nan("")}}));
  expect_error([&] { clip_grad_norm_(list, 1, 2, true); }, "clip_grad_norm_", {"nan"});
  expect_values(list[0].grad(), {3, -4});
  clip_grad_norm_(list, 1);
  expect_values(list[0].grad(), {std::nan(""), std::nan("")});
}

TEST(ClipGradNorm, AGradientThatRepeatsOneElementIsClippedToo) {
  const Tensor w = zeros({4}).requires_grad_();
  sum(w * 3.0).backward();
  clip_grad_norm_({w}, 3);
  expect_values(w.grad(), {1.5, 1.5, 1.5, 1.5}, 1e-6);
}

TEST(ClipGradNorm, WrongArgumentsChangeNothing) {
  const std::vector<Tensor> list = parameters();
  expect_error([&] { clip_grad_norm_(list, -1); }, "clip_grad_norm_", {"max_norm", "-1"});
  expect_error([&] { clip_grad_norm_(list, std::nan("")); }, "clip_grad_norm_", {"max_norm"});
  expect_error([&] { clip_grad_norm_(list, 1, 0); }, "clip_grad_norm_", {"norm_type", "0"});
  expect_error([&] { clip_grad_norm_({Tensor()}, 1); }, "clip_grad_norm_", {"undefined"});
  expect_error([&] { clip_grad_value_(list, -2); }, "clip_grad_value_", {"clip_value", "-2"});
  expect_values(list[0].grad(), {3, -4});
}

TEST(ClipGradValue, ClampsEveryElement) {
  const std::vector<Tensor> list = parameters();
  clip_grad_value_(list, 3.5);
  expect_values(list[0].grad(), {3, -3.5});
  expect_values(list[1].grad(), {3.5});
}

TEST(ConvertParameters, GoThereAndBack) {
  Tensor a = tensor({{1., 2.}, {3., 4.}}).requires_grad_(), b = tensor({5.}).requires_grad_();
  const Tensor flat = parameters_to_vector({transpose(a), b});
  expect_values(flat, {1, 3, 2, 4, 5});
  sum(flat * flat).backward();
  expect_values(a.grad(), {2, 4, 6, 8});
  vector_to_parameters(flat.detach() * 2.0, {a, b});
  expect_values(a.detach(), {2, 6, 4, 8});
  expect_values(b.detach(), {10});
}

TEST(ConvertParameters, WhatDoesNotFitChangesNothing) {
  const std::vector<Tensor> list{ones({2}), ones({1})};
  const std::string op = "vector_to_parameters";
  expect_error([&] { vector_to_parameters(zeros({4}), list); }, op, {"(3,)", "(4,)"});
  expect_error([&] { vector_to_parameters(zeros({3, 1}), list); }, op, {"(3,)", "(3, 1)"});
  expect_error([&] { vector_to_parameters(zeros({3}, f64), list); }, op, {"f32", "f64"});
  expect_error([&] { vector_to_parameters(Tensor(), list); }, op, {"undefined"});
  expect_error([&] { parameters_to_vector({}); }, "parameters_to_vector", {"no parameters"});
  expect_values(list[0], {1, 1});
}

}  // namespace
}  // namespace ebb
