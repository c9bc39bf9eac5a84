// No gradient is lost silently: each way to lose one is an error that names the op, the shapes and
// the call site.
#include <source_location>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }
// This line, or one above it.
std::string here(unsigned above = 0, std::source_location where = std::source_location::current()) {
  return "lost_gradient_test.cpp:" + std::to_string(where.line() - above);
}

struct TestRound {  // structural, without backward
  static constexpr std::string_view name = "test_round";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) { return x.to(i64).to(x.dtype()); }
};
struct TestStep {  // pointwise, without gradient
  static constexpr std::string_view name = "test_step";
  static constexpr bool no_gradient = true;
  template <class T> EBB_HD T operator()(T x) const { return where(x > 0, T(1), T(0)); }
};
Tensor round_down(const TensorArg& x) { return apply<TestRound>(*x); }

TEST(LostGradient, OpsWithoutDerivativeAreNamed) {
  const Tensor x = leaf({1.5, 2});
  const Tensor a = round_down(x);
  const std::string at = here(1);
  EXPECT_TRUE(a.requires_grad());
  expect_error([&] { sum(a * x).backward(); }, "backward",
               {"test_round (2,) f64", at, "no derivative", "detach()"});
  const Tensor b = pointwise(TestStep{}, x);
  const std::string there = here(1);
  expect_error([&] { sum(b * x).backward(); }, "backward",
               {"test_step (2,) f64", there, "no derivative"});
  EXPECT_FALSE(x.grad().defined());
  test::expect_values(grad(sum(round_down(x).detach() * x), x), {1, 2});
}

TEST(LostGradient, BackwardInsideNoGrad) {
  const Tensor x = leaf({1});
  const Tensor y = x * x;
  const NoGrad guard;
  expect_error([&] { y.backward(); }, "backward", {"called inside no_grad", "(1,)"});
  expect_error([&] { grad(y, x); }, "grad", {"called inside no_grad"});
  expect_error([&] { (x * x).backward(); }, "backward", {"no_grad"});
}

TEST(LostGradient, AResultComputedInsideNoGrad) {
  const Tensor x = leaf({1});
  Tensor y;
  {
    const NoGrad guard;
    y = x * x;
  }
  expect_error([&] { y.backward(); }, "backward", {"does not require grad", "no_grad", "(1,)"});
}

TEST(LostGradient, AFreedGraph) {
  const Tensor x = leaf({1, 2});
  const Tensor y = x * x;
  const std::string at = here(1);
  const Tensor z = sum(y);
  z.backward();
  expect_error([&] { sum(y * y).backward(); }, "backward",
               {"mul (2,) f64", at, "freed by an earlier backward"});
}

TEST(LostGradient, AChangedTensor) {
  const Tensor x = leaf({1, 2});
  Tensor w = tensor({3, 4}, f64);
  const Tensor y = sum(x * w);
  const std::string at = here(1);
  w.zero_();
  expect_error([&] { y.backward(); }, "backward",
               {"mul (2,) f64", at, "shape=(2,)", "changed in place", "saved at"});
}

TEST(LostGradient, CallSitesOfMembersAndLists) {
  const Tensor x = leaf({1, 2});
  const auto location_of = [](const Tensor& t) {
    const std::source_location& at = t.node()->made_at();
    if (at.line() == 0) return std::string("nowhere");
    const std::string file = at.file_name();
    return file.substr(file.rfind('/') + 1) + ":" + std::to_string(at.line());
  };
  EXPECT_EQ(location_of(cat({x, x})), here());
  EXPECT_EQ(location_of(stack({x, x})), here());
  EXPECT_EQ(location_of(x.to(f32)), here());
  EXPECT_EQ(location_of(x.clone()), here());
  EXPECT_EQ(location_of(expand(x, {2, 2}).contiguous()), here());
  EXPECT_EQ(location_of(x[1]), here());
  EXPECT_EQ(location_of(add(x, exp(x))), here());
  const std::vector<Tensor> list{x, x};
  EXPECT_EQ(location_of(cat(list)), here());
  // An op that does not note its call site has none. It must not have that of another op.
  EXPECT_EQ(location_of(apply<TestRound>(x)), "nowhere");
  EXPECT_EQ(location_of(x * x), here());
  EXPECT_EQ(location_of(apply<TestRound>(x)), "nowhere");
}

}  // namespace
}  // namespace ebb
