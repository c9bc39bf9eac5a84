// Signs of zeros, and derivatives of a branch that is not chosen.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

TEST(Conventions, MinusZeroStays) {
  for (const DType dtype : {f32, f64}) {
    const Tensor zero = tensor({-0.0, 0.0}, dtype);
    for (const Tensor& y : {relu(zero), clamp_min(zero, 0), clamp_max(zero, 0)}) {
      EXPECT_TRUE(std::signbit(y.to_vector<double>()[0]));
      EXPECT_FALSE(std::signbit(y.to_vector<double>()[1]));
    }
  }
}

// elu's exponential overflows far on the side where it is not chosen. It must not affect any order.
TEST(Conventions, EluFarFromItsExponential) {
  Tensor x = tensor({1000, 2, -1}, f64).requires_grad_();
  Tensor d = sum(elu(x, 1.5));
  const double e = 1.5 * std::exp(-1.0);
  for (const std::vector<double>& want :
       {std::vector<double>{1, 1, e}, {0, 0, e}, {0, 0, e}, {0, 0, e}}) {
    const Tensor g = grad(d, x, {.create_graph = true});
    test::expect_values(g, want, 1e-14);
    d = sum(g);
  }
}

TEST(Conventions, DerivativeOfAPowerByItsExponentAtZero) {
  Tensor y = tensor({-1, 0, 2}, f64).requires_grad_();
  test::expect_values(grad(sum(pow(zeros({3}, {.dtype = f64}), y)), y), {-INFINITY, 0, 0});
}

}  // namespace
}  // namespace ebb
