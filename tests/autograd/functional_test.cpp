// Compares jacobian, hessian, hvp, vjp and jvp with each other, with central differences, and with
// formulas.
#include "ebb/autograd/check/functional.h"

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/nn/losses/classification.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;
using Tensors = std::vector<Tensor>;

Tensor random(const Shape& shape, uint64_t seed) {
  Generator generator{seed, 0};
  return randn(shape, {.dtype = f64}, &generator);
}

// Uses ops of every kind: pointwise, with a gradient from the output, products, reductions,
// softmax, views, indexing.
Tensors mixed(const Tensors& in) {
  const Tensor &a = in[0], &b = in[1];  // (2, 3), (3, 4)
  const Tensor hidden = tanh(matmul(a, b)) + silu(slice(b, 0, 0, 2));
  const Tensor index = from_data(std::vector<int64_t>{3, 0}, {2, 1});
  return {softmax(hidden, 1) * exp(sum(a, {1}, true)),
          sum(gather(hidden, 1, index) * log_softmax(a, 1)), amax(transpose(hidden), {0})};
}
Tensors mixed_inputs() { return {random({2, 3}, 1), random({3, 4}, 2)}; }

// Returns J v by central differences.
Tensors numeric_jvp(const TensorFunction& f, const Tensors& x, const Tensors& v) {
  const double eps = 1e-6;
  Tensors above, below, slopes;
  for (size_t i = 0; i < x.size(); ++i) {
    above.push_back(x[i] + v[i] * eps);
    below.push_back(x[i] - v[i] * eps);
  }
  const Tensors up = f(above), down = f(below);
  for (size_t o = 0; o < up.size(); ++o) slopes.push_back((up[o] - down[o]) / (2 * eps));
  return slopes;
}

TEST(Functional, JvpIsTheNumericDerivative) {
  const Tensors x = mixed_inputs(), v{random({2, 3}, 3), random({3, 4}, 4)};
  const Products got = jvp(mixed, x, v);
  const Tensors want = numeric_jvp(mixed, x, v), outputs = mixed(x);
  for (size_t o = 0; o < want.size(); ++o) {
    expect_values(got.outputs[o], outputs[o].to_vector<double>());
    EXPECT_FALSE(got.outputs[o].requires_grad());
    EXPECT_EQ(to_text(got.products[o].shape()), to_text(outputs[o].shape()));
    expect_values(got.products[o], want[o].to_vector<double>(), 1e-7, 1e-8);
  }
}

TEST(Functional, ProductsAgreeWithTheJacobian) {
  const Tensors x = mixed_inputs(), v{random({2, 3}, 3), random({3, 4}, 4)};
  const std::vector<Tensors> j = jacobian(mixed, x);
  const Products forward = jvp(mixed, x, v);
  Tensors u;
  for (size_t o = 0; o < forward.outputs.size(); ++o)
    u.push_back(random(forward.outputs[o].shape(), 10 + o));
  const Products back = vjp(mixed, x, u);
  Tensors by_rows(2);
  for (size_t o = 0; o < j.size(); ++o) {
    const int64_t n = forward.outputs[o].numel();
    Tensor along = zeros({n}, {.dtype = f64});
    for (size_t i = 0; i < 2; ++i) {
      Shape shape = forward.outputs[o].shape();
      for (int64_t size : x[i].shape()) shape.push_back(size);
      EXPECT_EQ(to_text(j[o][i].shape()), to_text(shape));
      const Tensor matrix = reshape(j[o][i], {n, x[i].numel()});
      along = along + matmul(matrix, reshape(v[i], {x[i].numel()}));
      const Tensor row = matmul(reshape(u[o], {n}), matrix);
      by_rows[i] = by_rows[i].defined() ? by_rows[i] + row : row;
    }
    expect_values(forward.products[o], along.to_vector<double>(), 1e-12, 1e-13);
  }
  for (size_t i = 0; i < 2; ++i)
    expect_values(back.products[i], by_rows[i].to_vector<double>(), 1e-12, 1e-13);
}

Tensor cubic(const Tensor& x) { return sum(x * x * x) + sum(x) * x[0] * 0.5; }

TEST(Functional, HessianOfAPolynomial) {
  const Tensor x = tensor({1, -2, 3}, f64);
  const Tensor h = hessian(cubic, x);
  EXPECT_EQ(to_text(h.shape()), "(3, 3)");
  expect_values(h, {7, 0.5, 0.5, 0.5, -12, 0, 0.5, 0, 18}, 1e-14);
  const Tensor v = tensor({1, 2, 3}, f64);
  expect_values(hvp(cubic, x, v), {7 + 1 + 1.5, 0.5 - 24, 0.5 + 54}, 1e-14);
}

TEST(Functional, HessianIsTheJacobianOfTheGradient) {
  const Tensor x = random({4, 3}, 5);
  const Tensor target = from_data(std::vector<int64_t>{0, 2, 1, 1}, {4});
  const auto loss = [&](const Tensor& at) { return nn::cross_entropy(at * at, target); };
  const auto gradient = [&](const Tensor& at) {
    const Tensor leaf = at.requires_grad() ? alias(at) : at.detach().requires_grad_();
    return grad(loss(leaf), leaf, {.create_graph = true});
  };
  const Tensor h = hessian(loss, x), j = jacobian(gradient, x);
  expect_values(h, j.to_vector<double>(), 1e-13, 1e-15);
  const Tensor flat = reshape(h, {12, 12});
  expect_values(flat, transpose(flat).to_vector<double>(), 1e-12, 1e-15, "symmetry");
  const Tensor v = random({4, 3}, 6);
  expect_values(hvp(loss, x, v), matmul(flat, reshape(v, {12})).to_vector<double>(), 1e-12, 1e-14);
  const double eps = 1e-6;
  const Tensor slope = (gradient(x + v * eps) - gradient(x - v * eps)) / (2 * eps);
  expect_values(hvp(loss, x, v), slope.to_vector<double>(), 1e-7, 1e-8, "numeric");
}

TEST(Functional, HessianOfSeveralInputs) {
  const Tensors x{tensor({2, 3}, f64), tensor({5, 7}, f64)};
  const TensorFunction f = [](const Tensors& in) { return Tensors{sum(in[0] * in[0] * in[1])}; };
  const auto h = hessian(f, x);
  expect_values(h[0][0], {10, 0, 0, 14});
  expect_values(h[0][1], {4, 0, 0, 6});
  expect_values(h[1][0], {4, 0, 0, 6});
  expect_values(h[1][1], {0, 0, 0, 0});
  const Products p = hvp(f, x, {tensor({1, 0}, f64), tensor({0, 1}, f64)});
  expect_values(p.outputs[0], {83});
  expect_values(p.products[0], {10, 6});
  expect_values(p.products[1], {4, 0});
}

TEST(Functional, ResultsCanBeDifferentiated) {
  Tensor x = tensor({2, 3}, f64).requires_grad_();
  const Tensor v = tensor({1, 1}, f64);
  const auto cube = [](const Tensor& t) { return t * t * t; };
  for (const auto product : {+[](const UnaryFunction&f, const Tensor&at, const Tensor&d) {
                               return jvp(f, at, d, {.create_graph = true});
                             },
                             +[](const UnaryFunction&f, const Tensor&at, const Tensor&d) {
                               return vjp(f, at, d, {.create_graph = true});
                             }}) {
    expect_values(grad(sum(product(cube, x, v)), x), {12, 18}, 1e-15);
  }
  const auto summed = [&](const Tensor& t) { return sum(cube(t)); };
  expect_values(grad(sum(hvp(summed, x, v, {.create_graph = true})), x), {6, 6}, 1e-15);
  expect_values(grad(sum(hessian(summed, x, {.create_graph = true})), x), {6, 6}, 1e-15);
  expect_values(grad(sum(jacobian(cube, x, {.create_graph = true})), x), {12, 18}, 1e-15);
  EXPECT_FALSE(jvp(cube, x, v).requires_grad());
  EXPECT_FALSE(x.grad().defined());
}

TEST(Functional, IntegersPassAndHaveNoDerivative) {
  const Tensors x{tensor({1, 2, 3}, f64), from_data(std::vector<int64_t>{2, 0}, {2})};
  const TensorFunction f = [](const Tensors& in) {
    return Tensors{square(index_select(in[0], 0, in[1]))};
  };
  const auto j = jacobian(f, x);
  expect_values(j[0][0], {0, 0, 6, 2, 0, 0});
  EXPECT_FALSE(j[0][1].defined());
  expect_values(jvp(f, x, {tensor({1, 1, 1}, f64), Tensor()}).products[0], {6, 2});
}

TEST(Functional, WorksUnderNoGradAndInF32) {
  const NoGrad guard;
  expect_values(jacobian([](const Tensor& t) { return t * t; }, tensor({1, 2}, f32)), {2, 0, 0, 4});
  expect_values(hessian([](const Tensor& t) { return sum(t * 3.0); }, tensor({1, 2}, f32)),
                {0, 0, 0, 0});
}

TEST(Functional, LostInputsAreErrors) {
  const Tensor x = tensor({1, 2}, f64), one = tensor({1, 1}, f64);
  const auto lost = [](const Tensor& t) { return (t * t).detach(); };
  expect_error([&] { jacobian(lost, x); }, "jacobian",
               {"no output depends on the inputs", "allow_unused"});
  expect_error([&] { jvp(lost, x, one); }, "jvp", {"no output depends"});
  expect_values(jacobian(lost, x, {.materialize_grads = true}), {0, 0, 0, 0});
  expect_values(jvp(lost, x, one, {.allow_unused = true}), {0, 0});
  const TensorFunction first = [](const Tensors& in) { return Tensors{in[0] * in[0]}; };
  expect_error([&] { vjp(first, {x, one}, {one}); }, "vjp", {"input 1", "no influence"});
  expect_error([&] { jacobian(first, {x, one}); }, "jacobian", {"input 1", "no influence"});
  expect_values(vjp(first, {x, one}, {one}, {.materialize_grads = true}).products[1], {0, 0});
}

// allow_unused means undefined, and materialize_grads zeros, in grad() and in all functions here.
TEST(Functional, UnusedInputsAreThoseOfGrad) {
  Tensor x = tensor({1, 2}, f64).requires_grad_(), one = tensor({1, 1}, f64).requires_grad_();
  const std::vector<Tensor> unused = grad(sum(x * x), {x, one}, {.allow_unused = true});
  const std::vector<Tensor> zeros = grad(sum(x * x), {x, one}, {.materialize_grads = true});
  EXPECT_FALSE(unused[1].defined());
  expect_values(zeros[1], {0, 0});

  const TensorFunction square = [](const Tensors& in) { return Tensors{in[0] * in[0]}; };
  const TensorFunction total = [](const Tensors& in) { return Tensors{sum(in[0] * in[0])}; };
  const FunctionalOptions allow{.allow_unused = true}, fill{.materialize_grads = true};
  EXPECT_FALSE(vjp(square, {x, one}, {one}, allow).products[1].defined());
  expect_values(vjp(square, {x, one}, {one}, allow).products[0], {2, 4});
  EXPECT_FALSE(hvp(total, {x, one}, {one, one}, allow).products[1].defined());
  expect_values(hvp(total, {x, one}, {one, one}, allow).products[0], {2, 2});
  expect_values(hvp(total, {x, one}, {one, one}, fill).products[1], {0, 0});
  expect_values(jvp(square, {x, one}, {one, one}, allow).products[0], {2, 4});
  EXPECT_FALSE(jacobian(square, {x, one}, allow)[0][1].defined());
  expect_values(jacobian(square, {x, one}, allow)[0][0], {2, 0, 0, 4});
  expect_values(jacobian(square, {x, one}, fill)[0][1], {0, 0, 0, 0});
  const auto matrix = hessian(total, {x, one}, allow), full = hessian(total, {x, one}, fill);
  expect_values(matrix[0][0], {2, 0, 0, 2});
  for (const Tensor& entry : {matrix[0][1], matrix[1][0], matrix[1][1]})
    EXPECT_FALSE(entry.defined());
  for (const Tensor& entry : {full[0][1], full[1][0], full[1][1]})
    expect_values(entry, {0, 0, 0, 0});
}

TEST(Functional, BadArgumentsAreNamed) {
  const Tensor x = tensor({1, 2}, f64);
  const auto f = [](const Tensor& t) { return t * t; };
  expect_error([&] { jvp(f, x, tensor({1}, f64)); }, "jvp", {"tangent 0", "(1,)", "(2,)"});
  expect_error([&] { vjp(f, x, tensor({1, 2}, f32)); }, "vjp", {"upstream 0", "f32", "f64"});
  expect_error([&] { hessian(f, x); }, "hessian", {"one tensor of one element", "(2,)"});
  expect_error([&] { hvp(f, x, x); }, "hvp", {"one tensor of one element"});
  expect_error([&] { jacobian(f, tensor({1}, i64)); }, "jacobian", {"no input is floating"});
  expect_error([&] { jacobian([](const Tensors&) { return Tensors(); }, Tensors{x}); }, "jacobian",
               {"no outputs"});
}

}  // namespace
}  // namespace ebb
