// The second order of formulas: it is the same with and without create_graph, an absent direction
// contributes nothing, and a formula's own second() is used wherever there is one.
#include "ebb/autograd/check/functional.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;
using Tensors = std::vector<Tensor>;

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

TEST(SecondOrder, OfAnInputThatNobodyAskedForContributesNothing) {
  // d2/dx dy of x^y is NaN at x < 0, but y is not differentiated by.
  const auto f = [](const Tensor& v) { return sum(pow(v, tensor({2, 3}, f64))); };
  const Tensor at = tensor({-1, -2}, f64);
  expect_values(hessian(f, at), {2, 0, 0, -12}, 1e-14);
  expect_values(hvp(f, at, tensor({1, 10}, f64)), {2, -120}, 1e-14);
  const Tensor x = at.clone().requires_grad_();
  const Tensor g = grad(f(x), x, {.create_graph = true});
  for (const bool create_graph : {false, true}) {
    const Tensor h = grad(sum(g), x, {.create_graph = create_graph, .retain_graph = true});
    expect_values(h, {2, -12}, 1e-14);
  }
}

TEST(SecondOrder, ADirectionOfZeroMeetsAnInfiniteSlope) {
  // sqrt'' is -infinity at 0; the second row of the Hessian does not move that element.
  const auto f = [](const Tensor& v) { return sum(sqrt(v)); };
  expect_values(hessian(f, tensor({0, 4}, f64)), {-kInf, 0, 0, -1.0 / 32}, 1e-14);
  expect_values(jvp(f, tensor({0, 4}, f64), tensor({0, 1}, f64)), {0.25}, 1e-14);
}

struct TestXLogX {  // x log x for x > 0, else 0
  static constexpr std::string_view name = "test_x_log_x";
  template <class T> EBB_HD T operator()(T x) const { return where(x > 0, x * log(x), T(0)); }
};

struct TestXLogY {
  static constexpr std::string_view name = "test_x_log_y";
  template <class T> EBB_HD T operator()(T x, T y) const { return where(x > 0, x * log(y), T(0)); }
};

TEST(SecondOrder, OfABranchThatIsNotTaken) {
  const Tensor x = leaf({0, 1, 4});
  const Tensor g = grad(sum(pointwise(TestXLogX{}, x)), x, {.create_graph = true});
  expect_values(g, {0, 1, 1 + std::log(4)}, 1e-14);
  for (const bool create_graph : {false, true}) {
    const Tensor h = grad(sum(g), x, {.create_graph = create_graph, .retain_graph = true});
    expect_values(h, {0, 1, 0.25}, 1e-14);
  }
  const Tensor a = leaf({0, 2}), b = leaf({0, 4});
  const Tensor by_a = grad(sum(pointwise(TestXLogY{}, a, b)), a, {.create_graph = true});
  for (const bool create_graph : {false, true}) {
    const Tensors h = grad(sum(by_a), {a, b}, {.create_graph = create_graph, .retain_graph = true});
    expect_values(h[0], {0, 0});
    expect_values(h[1], {0, 0.25});
  }
}

struct TestOwnSecond {  // x^2, whose second order says 5 instead of 2
  static constexpr std::string_view name = "test_own_second";
  template <class T> EBB_HD T operator()(T x) const { return x * x; }
  template <class T> EBB_HD auto second(T x, T c) const {
    return Partials<T, 2>{{5 * c * x, 2 * x * c}};
  }
};

TEST(SecondOrder, AFormulasOwnIsUsedInEveryWay) {
  const Tensor x = leaf({3});
  const auto f = [](const Tensor& v) { return sum(pointwise(TestOwnSecond{}, v)); };
  const Tensor g = grad(f(x), x, {.create_graph = true});
  expect_values(g, {6});
  expect_values(grad(g, x, {.retain_graph = true}), {15});
  const Tensor h = grad(g, x, {.create_graph = true});
  expect_values(h, {15});
  expect_values(grad(h, x), {5});  // the derivative of what second() says
  expect_values(hessian(f, x), {15});
}

TEST(SecondOrder, OfBinaryCrossEntropyIsTheSameInEveryWay) {
  const Tensor x = leaf({0, 1, 1e-9, 0.5}), t = tensor({1, 0, 0, 0.25}, f64);
  const Tensor g = grad(nn::binary_cross_entropy(x, t, {.reduction = nn::Reduction::Sum}), x,
                        {.create_graph = true});
  const std::vector<double> plain = grad(sum(g), x, {.retain_graph = true}).to_vector<double>();
  expect_values(grad(sum(g), x, {.create_graph = true}), plain, 0);
}

// Orders 2 to 5 of x^5 y^2, mixed: derivatives by y are recorded through the second order's node.
TEST(SecondOrder, HigherOrdersGoOn) {
  const Tensor x = leaf({2}), y = leaf({3});
  Tensor d = pow(x, 5) * square(y);
  d = grad(d, x, {.create_graph = true});
  d = grad(d, x, {.create_graph = true});
  expect_values(d, {20 * 8 * 9}, 1e-14);
  Tensor by_y = grad(d, y, {.create_graph = true});
  expect_values(by_y, {20 * 8 * 6}, 1e-14);
  by_y = grad(by_y, y, {.create_graph = true});
  expect_values(by_y, {20 * 8 * 2}, 1e-14);
  expect_values(grad(by_y, x), {20 * 12 * 2}, 1e-14);
}

// Both the upstream and the direction are leaves: the third order by each of them.
TEST(SecondOrder, ThirdOrderByUpstreamAndDirection) {
  const Tensor x = leaf({2}), u = leaf({5}), c = leaf({7});
  const Tensor y = exp(x) * x;  // f' = e^x (x + 1), f'' = e^x (x + 2), f''' = e^x (x + 3)
  const double e = std::exp(2);
  const Tensor g = grad(pointwise(TestXLogX{}, y), x, {.grad_outputs = {u}, .create_graph = true});
  const Tensor h = grad(g, x, {.grad_outputs = {c}, .create_graph = true});
  // log(y) = x + log x, so with F = y (x + log x): F'' by the product rule.
  const double l = 2 + std::log(2), first = e * 3 * (l + 1), second = e * 4 * (l + 1) + e * 3 * 1.5;
  expect_values(g, {5 * first}, 1e-13);
  expect_values(h, {35 * second}, 1e-13);
  const Tensors third = grad(h, {u, c, x});
  expect_values(third[0], {7 * second}, 1e-13);
  expect_values(third[1], {5 * second}, 1e-13);
  const double want = e * 5 * (l + 1) + 2 * e * 4 * 1.5 + e * 3 * -0.25;
  expect_values(third[2], {35 * want}, 1e-12);
}

TEST(SecondOrder, ErrorsNameTheUsersOp) {
  const Tensor x = leaf({2});
  const Tensor g = grad(pointwise(TestXLogX{}, x), x, {.create_graph = true});
  EXPECT_EQ(g.grad_node_name(), "test_x_log_x_backward");
  g.backward();
  expect_error([&] { g.backward(); }, "backward",
               {"test_x_log_x_backward", "second_order_test.cpp", "freed"});
}

}  // namespace
}  // namespace ebb
