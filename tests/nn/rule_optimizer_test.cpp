// Rules of a user: the one of docs/extending.md, one without buffers, and one whose buffer has a
// reserved name.
#include "ebb/nn/optim/rule_optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ebb/ebb.h"
#include "ebb/examples/extend/sign_descent.h"
#include "files.h"

namespace {

using namespace ebb;
using test::expect_error;

TEST(RuleOptimizer, FollowsTheFormula) {
  for (const DType dtype : {f32, f64}) {
    const int64_t n = 70'000;  // several chunks, and a tail
    Tensor p = arange(0, n, 1, {.dtype = dtype}).requires_grad_();
    std::vector<double> want = p.to_vector<double>(), m(want.size());
    nn::RuleOptimizer<SignDescent> optimizer({{"p", p}}, {.lr = 0.5, .beta = 0.75});
    for (int t = 1; t <= 4; ++t) {
      if (t == 3) optimizer.set_lr(0.25);
      std::vector<double> g(want.size());
      for (size_t i = 0; i < g.size(); ++i) {
        g[i] = static_cast<double>((static_cast<int64_t>(i) * t) % 7 - 3);
        m[i] += 0.25 * (g[i] - m[i]);
        want[i] -= (t < 3 ? 0.5 : 0.25) * ((m[i] > 0) - (m[i] < 0));
      }
      p.set_grad(from_data(g, {n}).to(dtype));
      optimizer.step();
    }
    EXPECT_EQ(p.to_vector<double>(), want);
    EXPECT_EQ(optimizer.state_dict()[1].first, "momentum.p");
    EXPECT_EQ(optimizer.state_dict()[1].second.to_vector<double>(), m);
  }
}

struct Halve {  // no buffers; the first step is left out
  double lr = 0;
  bool maximize = true;
  static constexpr std::string_view name = "Halve";
  template <class T> struct Update {
    T factor;
    EBB_HD Update(const Halve&, StepNumbers now) : factor(now.step == 1 ? T(1) : T(0.5)) {}
    EBB_HD void operator()(T& p, T g) const { p = factor * p + g; }
  };
};

TEST(RuleOptimizer, NeedsNoBuffers) {
  Tensor p = tensor({8}, f64).requires_grad_();
  nn::RuleOptimizer<Halve> optimizer(std::vector<Tensor>{p});
  for (int t = 0; t < 2; ++t) {
    p.set_grad(tensor({2}, f64));
    optimizer.step();
  }
  EXPECT_EQ(p.item(), (8 - 2) / 2.0 - 2);  // maximize negates the gradient
  EXPECT_EQ(optimizer.state_dict().size(), 1u);
}

struct Reserved {
  double lr = 0;
  static constexpr std::string_view name = "Reserved";
  static constexpr std::string_view buffers[] = {"step"};
  template <class T> struct Update {
    EBB_HD Update(const Reserved&, StepNumbers) {}
    EBB_HD void operator()(T&, T, T&) const {}
  };
};

TEST(RuleOptimizer, NamesOfOtherStateAreRefused) {
  Tensor p = tensor({8}, f64).requires_grad_();
  expect_error(
      [&] {
        nn::RuleOptimizer<Reserved> optimizer({{"p", p}});
      },
      "optimizer", {"a buffer of Reserved is called step"});
}

}  // namespace
