// Expr: compares each scalar function of tensors, of constants and of both with the same function
// of plain numbers.
#include "ebb/autograd/ops/expr.h"

#include <cmath>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_values;

double value_of(const Expr& e) { return e.is_constant() ? e.constant() : e.tensor().item(); }
Expr constant(double x) { return Expr(x); }
Expr element(double x) { return Expr(scalar(x, {.dtype = f64})); }

// Checks that every combination of constant and tensor gives the result of plain numbers, and that
// constants stay constants.
template <class Function, class Plain>
void check_binary(const char* what, Function function, Plain plain) {
  for (double a : {-1.5, 0.0, 0.5, 2.0}) {
    for (double b : {-1.5, 0.0, 0.5, 1.0, 2.0}) {
      const double want = static_cast<double>(plain(a, b));
      const Expr mixes[] = {function(element(a), element(b)), function(element(a), constant(b)),
                            function(constant(a), element(b)), function(constant(a), constant(b))};
      for (const Expr& got : mixes) {
        EXPECT_TRUE(test::is_near(value_of(got), want, 1e-15, 1e-15))
            << what << " of " << a << " and " << b << ": " << value_of(got) << ", expected "
            << want;
      }
      EXPECT_TRUE(mixes[3].is_constant()) << what;
    }
  }
}
template <class Function, class Plain>
void check_unary(const char* what, Function function, Plain plain) {
  for (double x : {-0.5, 0.0, 0.75, 2.0}) {
    const double want = plain(x);
    EXPECT_TRUE(test::is_near(value_of(function(element(x))), want, 1e-15, 1e-15))
        << what << " of " << x;
    EXPECT_TRUE(test::is_near(value_of(function(constant(x))), want, 1e-15, 1e-15))
        << what << " of constant " << x;
    EXPECT_TRUE(function(constant(x)).is_constant());
  }
}
#define EBB_BINARY(expression)                                              \
  check_binary(                                                             \
      #expression, [](const auto& a, const auto& b) { return expression; }, \
      [](double a, double b) { return expression; })
#define EBB_UNARY(expression) \
  check_unary(                \
      #expression, [](const auto& x) { return expression; }, [](double x) { return expression; })

TEST(Expr, BinaryFunctions) {
  EBB_BINARY(a + b);
  EBB_BINARY(a - b);
  EBB_BINARY(a * b);
  EBB_BINARY(a / b);
  EBB_BINARY(a < b);
  EBB_BINARY(a <= b);
  EBB_BINARY(a > b);
  EBB_BINARY(a >= b);
  EBB_BINARY(a == b);
  EBB_BINARY(a != b);
  EBB_BINARY(maximum(a, b));
  EBB_BINARY(minimum(a, b));
  EBB_BINARY(clamp_min(a, b));
  EBB_BINARY(clamp_max(a, b));
  EBB_BINARY(pow(a, b));
  EBB_BINARY(atan2(a, b));
  EBB_BINARY(fmod(a, b));
}

TEST(Expr, UnaryFunctions) {
  EBB_UNARY(-x);
  EBB_UNARY(exp(x));
  EBB_UNARY(log(x));
  EBB_UNARY(log1p(x));
  EBB_UNARY(expm1(x));
  EBB_UNARY(tanh(x));
  EBB_UNARY(erf(x));
  EBB_UNARY(sqrt(x));
  EBB_UNARY(sin(x));
  EBB_UNARY(cos(x));
  EBB_UNARY(tan(x));
  EBB_UNARY(erfinv(x));
  EBB_UNARY(floor(x));
  EBB_UNARY(ceil(x));
  EBB_UNARY(round(x));
  EBB_UNARY(trunc(x));
  EBB_UNARY(sign(x));
  EBB_UNARY(abs(x));
  EBB_UNARY(relu(x));
  EBB_UNARY(sigmoid(x));
  EBB_UNARY(softplus(x));
  EBB_UNARY(clamp_min_through(x, decltype(x + x)(1)));
  EBB_UNARY(hardtanh(x, decltype(x + x)(-0.25), decltype(x + x)(1)));
}
#undef EBB_BINARY
#undef EBB_UNARY

TEST(Expr, Where) {
  for (double c : {0.0, 1.0}) {
    const double want = c != 0 ? 3 : 4;
    for (const Expr& condition : {constant(c), element(c)}) {
      EXPECT_EQ(value_of(where(condition, element(3), element(4))), want);
      EXPECT_EQ(value_of(where(condition, constant(3), element(4))), want);
      EXPECT_EQ(value_of(where(condition, element(3), constant(4))), want);
      EXPECT_EQ(value_of(where(condition, constant(3), constant(4))), want);
    }
    EXPECT_TRUE(where(element(c), constant(5), constant(5)).is_constant()) << "no matter which";
  }
}

// The zeros and ones that dual numbers add become no ops.
TEST(Expr, FoldsNeutralElements) {
  const Tensor x = scalar(3, {.dtype = f64}).requires_grad_();
  const Expr e(x);
  for (const Expr& same : {e + Expr(0), Expr(0) + e, e - Expr(0), e * Expr(1), Expr(1) * e}) {
    EXPECT_EQ(same.tensor().impl(), x.impl());
  }
}

// x + y^2 has a constant partial by x. Higher orders that pass through it must not be lost.
struct TestHalfConstant {
  static constexpr std::string_view name = "test_half_constant";
  template <class T> EBB_HD T operator()(T x, T y) const { return x * 3 + y * y; }
};
TEST(Expr, PartialsThatAreConstants) {
  const Tensor x = tensor({1, 2}, f64).requires_grad_(), y = tensor({5, 7}, f64).requires_grad_();
  const Tensor u = tensor({1, 10}, f64).requires_grad_();
  const auto first = grad(std::vector<Tensor>{pointwise(TestHalfConstant{}, x, y)},
                          std::vector<Tensor>{x, y}, {.grad_outputs = {u}, .create_graph = true});
  expect_values(first[0], {3, 30});
  expect_values(first[1], {10, 140});
  for (const bool record : {false, true}) {
    const auto by_u = grad(sum(first[0] * first[0]) + sum(first[1]), {u, y},
                           {.create_graph = record, .retain_graph = true});
    expect_values(by_u[0], {2 * 9 * 1 + 10, 2 * 9 * 10 + 14}, 1e-14);
    expect_values(by_u[1], {2, 20}, 1e-14);
  }
}

// At a tie the gradient passes to x, also if the bound is a tensor. NaN is kept.
TEST(Expr, ClampsAtTheirBounds) {
  const Tensor x = tensor({2}, f64).requires_grad_(), bound = tensor({2}, f64).requires_grad_();
  for (const auto function : {+[](const Expr&a, const Expr&b) { return clamp_min(a, b); },
                              +[](const Expr&a, const Expr&b) { return clamp_max(a, b); }}) {
    const std::vector<Tensor> g =
        grad(function(Expr(x), Expr(bound)).tensor(), {x, bound}, {.allow_unused = true});
    expect_values(g[0], {1});
    expect_values(g[1], {0});
  }
  EXPECT_TRUE(std::isnan(value_of(hardtanh(constant(NAN), constant(-1), constant(1)))));
}

}  // namespace
}  // namespace ebb
