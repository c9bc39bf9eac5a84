// Ops that a user defines with a formula in a separate file must work like built-in ops, for any
// order.
#include "ebb/autograd/ops/pointwise.h"

#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;
using Tensors = std::vector<Tensor>;

// log(1 + x^2) / (1 + y^2), times a scale.
struct TestCauchy {
  static constexpr std::string_view name = "test_cauchy";
  double scale;
  template <class T> EBB_HD T operator()(T x, T y) const {
    return T(scale) * log1p(x * x) / (1 + y * y);
  }
};

// Uses every scalar function, with three inputs.
struct TestVocabulary {
  static constexpr std::string_view name = "test_vocabulary";
  template <class T> EBB_HD T operator()(T x, T y, T z) const {
    const T smooth = exp(-x) + tanh(y) * erf(x) + sigmoid(z) * softplus(y) + expm1(x * T(0.1)) -
                     2 * sqrt(2 + y * y);
    const T kinked = abs(x) + relu(y) * z + clamp_min(x, T(-1)) * clamp_max(y, T(1)) +
                     hardtanh(z, T(-1), T(1)) * x;
    return where(x > y, smooth, kinked) + maximum(x, y) * minimum(y, z) + pow(2 + x * x, T(1.5)) +
           log(3 + z * z) / 2;
  }
};

// |x|^3 with an explicit gradient, whose derivative is the second order.
struct TestOwnGradient {
  static constexpr std::string_view name = "test_own_gradient";
  template <class T> EBB_HD T operator()(T x) const { return abs(x) * x * x; }
  template <class T> EBB_HD auto gradient(T x) const { return Partials<T, 1>{{3 * x * abs(x)}}; }
};

// x with a deliberately different gradient. The explicit gradient must be used.
struct TestStraightThrough {
  static constexpr std::string_view name = "test_straight_through";
  template <class T> EBB_HD T operator()(T x) const { return sign(x); }
  template <class T> EBB_HD auto gradient(T) const { return Partials<T, 1>{{T(1)}}; }
};

Tensor random_leaf(const Shape& shape, uint64_t seed) {
  Generator generator{seed, 0};
  Tensor x = randn(shape, {.dtype = f64}, &generator);
  return x.requires_grad_();
}

const auto cauchy = [](const Tensors& in) {
  return Tensors{pointwise(TestCauchy{2}, in[0], in[1])};
};
const auto vocabulary = [](const Tensors& in) {
  return Tensors{pointwise(TestVocabulary{}, in[0], in[1], in[2])};
};

// The gradient of f for fixed random upstream gradients. Its gradgradcheck is the third order of f.
TensorFunction gradient_of(TensorFunction f) {
  return [f](const Tensors& in) {
    const Tensor out = f(in)[0];
    Generator generator{99, 0};
    const Tensor upstream = randn(out.shape(), {.dtype = f64}, &generator);
    return grad(std::span(&out, 1), in, {.grad_outputs = {upstream}, .create_graph = true});
  };
}

TEST(Pointwise, ValueOfACustomFormula) {
  const Tensor x = tensor({{1, 2}, {3, 4}}, f64), y = tensor({0, 1}, f64);
  std::vector<double> want;
  for (double v : {1.0, 2.0, 3.0, 4.0})
    want.push_back(2 * std::log1p(v * v) / (want.size() % 2 ? 2 : 1));
  expect_values(pointwise(TestCauchy{2}, x, y), want, 1e-15);
  expect_values(pointwise(TestCauchy{2}, x.to(f32), y.to(f32)), want, 1e-6);
  EXPECT_EQ(pointwise(TestCauchy{2}, x.requires_grad() ? x : x.clone().requires_grad_(), y)
                .grad_node_name(),
            "test_cauchy");
}

TEST(Pointwise, GradientsOfOrderOneToThree) {
  const Tensors two{random_leaf({2, 3}, 1), random_leaf({3}, 2)};
  EXPECT_TRUE(gradcheck(cauchy, two));
  EXPECT_TRUE(gradgradcheck(cauchy, two));
  EXPECT_TRUE(gradgradcheck(gradient_of(cauchy), two));
  const Tensors three{random_leaf({3, 4}, 3), random_leaf({4}, 4), random_leaf({3, 1}, 5)};
  EXPECT_TRUE(gradcheck(vocabulary, three));
  EXPECT_TRUE(gradgradcheck(vocabulary, three));
  EXPECT_TRUE(gradgradcheck(gradient_of(vocabulary), three));
  EXPECT_TRUE(gradgradcheck(gradient_of(gradient_of(cauchy)), two)) << "order 4";
}

TEST(Pointwise, OnlyOneInputMayRequireGrad) {
  for (size_t which : {size_t{0}, size_t{1}, size_t{2}}) {
    Tensors in{random_leaf({4}, 3), random_leaf({4}, 4), random_leaf({4}, 5)};
    for (size_t k = 0; k < in.size(); ++k) in[k].requires_grad_(k == which);
    EXPECT_TRUE(gradcheck(vocabulary, in)) << which;
    EXPECT_TRUE(gradgradcheck(vocabulary, in)) << which;
  }
}

TEST(Pointwise, SameTensorTwice) {
  const auto f = [](const Tensors& in) { return Tensors{pointwise(TestCauchy{1}, in[0], in[0])}; };
  const Tensors in{random_leaf({5}, 1)};
  EXPECT_TRUE(gradcheck(f, in));
  EXPECT_TRUE(gradgradcheck(f, in));
  EXPECT_TRUE(gradgradcheck(gradient_of(f), in));
}

TEST(Pointwise, AnExplicitGradientIsUsed) {
  const auto cube = [](const Tensors& in) { return Tensors{pointwise(TestOwnGradient{}, in[0])}; };
  const Tensors in{random_leaf({6}, 1)};
  EXPECT_TRUE(gradcheck(cube, in));
  EXPECT_TRUE(gradgradcheck(cube, in));
  EXPECT_TRUE(gradgradcheck(gradient_of(cube), in));
  Tensor x = tensor({-2, 0, 3}, f64).requires_grad_();
  const Tensor y = pointwise(TestStraightThrough{}, x);
  expect_values(y, {-1, 0, 1});
  y.backward(tensor({5, 6, 7}, f64));
  expect_values(x.grad(), {5, 6, 7});
  EXPECT_FALSE(
      gradcheck([](const Tensors& t) { return Tensors{pointwise(TestStraightThrough{}, t[0])}; },
                {tensor({-2, 3}, f64).requires_grad_()}, {.raise = false}));
}

TEST(Pointwise, ErrorsNameTheFormula) {
  const Tensor x = zeros({2}, {.dtype = f64});
  expect_error([&] { pointwise(TestCauchy{1}, x, zeros({3}, {.dtype = f64})); }, "test_cauchy",
               {"(2,)", "(3,)"});
  expect_error([&] { pointwise(TestCauchy{1}, x, zeros({2})); }, "test_cauchy", {"f64", "f32"});
  expect_error([&] { pointwise(TestCauchy{1}, x.to(i64), x.to(i64)); }, "test_cauchy",
               {"floating", "i64"});
  expect_error([&] { pointwise(TestCauchy{1}, x, Tensor()); }, "test_cauchy", {"undefined"});
}

// A value must not depend on the position of its element: vector body, tail, block borders,
// threads, strides.
TEST(Pointwise, ValueDoesNotDependOnPosition) {
  for (DType dtype : {f32, f64}) {
    for (int64_t n : {1, 3, 31, 511, 513, 32 * 1024 + 5, 100'003}) {
      const Tensor x = full({n}, 0.7, {.dtype = dtype}), y = full({n}, -1.3, {.dtype = dtype});
      const std::vector<double> got = pointwise(TestVocabulary{}, x, y, y).to_vector<double>();
      const double alone =
          pointwise(TestVocabulary{}, slice(x, 0, 0, 1), slice(y, 0, 0, 1), slice(y, 0, 0, 1))
              .item();
      for (double v : got) ASSERT_EQ(v, alone) << n;
    }
  }
}

// ---- the fused, weighted sum ----

TEST(PointwiseSum, ValueAndGradientsOfEveryOrder) {
  const auto f = [](const Tensors& in) {
    const Tensor* inputs[] = {&in[0], &in[1]};
    const TestCauchy formula{2};
    return Tensors{detail::pointwise_sum(detail::formula_op<TestCauchy, 2, true>(), &formula,
                                         inputs, in[2], 0.25)};
  };
  const Tensors in{random_leaf({2, 3}, 1), random_leaf({2, 3}, 2), random_leaf({3}, 3)};
  const Tensor want = sum(pointwise(TestCauchy{2}, in[0], in[1]) * in[2]) * 0.25;
  expect_values(f(in)[0], {want.item()}, 1e-14);
  EXPECT_TRUE(gradcheck(f, in));
  EXPECT_TRUE(gradgradcheck(f, in));
  EXPECT_TRUE(gradgradcheck(gradient_of(f), in));
  // With an initial gradient that is known to be 1, and with another one.
  f(in)[0].backward();
  const std::vector<Tensor> longer =
      grad(f(in)[0], {in[0], in[1], in[2]}, {.grad_outputs = {scalar(3, {.dtype = f64})}});
  for (size_t k = 0; k < in.size(); ++k) {
    std::vector<double> thrice = in[k].grad().to_vector<double>();
    for (double& v : thrice) v *= 3;
    expect_values(longer[k], thrice, 1e-14, 1e-15);
  }
}

TEST(PointwiseSum, RetainedGraphGivesTheSameTwice) {
  Tensor x = tensor({1, 2}, f64).requires_grad_(), y = tensor({0, 1}, f64);
  const Tensor* inputs[] = {&x, &y};
  const TestCauchy formula{1};
  const Tensor loss = detail::pointwise_sum(detail::formula_op<TestCauchy, 2, true>(), &formula,
                                            inputs, Tensor(), 1);
  loss.backward({}, true);
  const std::vector<double> once = x.grad().to_vector<double>();
  loss.backward({}, true);
  expect_values(x.grad(), {2 * once[0], 2 * once[1]}, 1e-15);
  loss.backward();
  expect_values(x.grad(), {3 * once[0], 3 * once[1]}, 1e-15);
}

}  // namespace
}  // namespace ebb
