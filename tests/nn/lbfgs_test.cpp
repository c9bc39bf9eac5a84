// L-BFGS against PyTorch, its state, and what it refuses.
#include "files.h"
#include "optimizer_cases.h"

namespace ebb::test {
namespace {

nn::LBFGSOptions options_of(const OptimizerCase& c) {
  nn::LBFGSOptions o;
  for (const auto& [name, value] : c.options) {
    if (name == "lr") o.lr = value;
    if (name == "max_iter") o.max_iter = static_cast<int64_t>(value);
    if (name == "max_eval") o.max_eval = static_cast<int64_t>(value);
    if (name == "history_size") o.history_size = static_cast<int64_t>(value);
    if (name == "tolerance_change") o.tolerance_change = value;
    if (name == "tolerance_grad") o.tolerance_grad = value;
    if (name == "line_search_fn") o.line_search_fn = nn::LineSearch::StrongWolfe;
    if (name == "maximize") o.maximize = value != 0;
  }
  return o;
}

struct Rosenbrock {
  explicit Rosenbrock(nn::LBFGSOptions o, DType dtype = f64)
      : x(tensor({0.5, 0.8, 1.2}, dtype).requires_grad_()),
        y(tensor({0.3, -0.1}, dtype).requires_grad_()),
        sign(o.maximize ? -1 : 1),
        optimizer({{"x", x}, {"y", y}}, o) {}

  Tensor step() {
    return optimizer.step([&] {
      optimizer.zero_grad();
      const Tensor z = cat({x, y}, 0), next = slice(z, 0, 1, 5), here = slice(z, 0, 0, 4);
      const Tensor loss = sum(square(next - square(here)) * 100.0 + square(1.0 - here)) * sign;
      loss.backward();
      return loss;
    });
  }
  std::vector<double> values() const {
    return cat({x.detach(), y.detach()}, 0).to_vector<double>();
  }

  Tensor x, y;
  double sign;
  nn::LBFGS optimizer;
};

TEST(LBFGS, FollowsTorch) {
  const std::vector<OptimizerCase> cases = optimizer_cases("lbfgs.txt");
  ASSERT_EQ(cases.size(), 6u);
  for (const OptimizerCase& c : cases) {
    SCOPED_TRACE(c.text);
    Rosenbrock run(options_of(c));
    const double* want = c.values.data();
    for (int step = 1; step <= 8; ++step, want += 6) {
      run.step();
      EXPECT_EQ(static_cast<double>(run.optimizer.func_evals()), want[0]) << "step " << step;
      expect_close(run.values(), want + 1, 1e-9, step);
    }
  }
}

TEST(LBFGS, FindsTheMinimum) {
  for (const DType dtype : {f32, f64}) {
    Rosenbrock run({.line_search_fn = nn::LineSearch::StrongWolfe}, dtype);
    for (int step = 0; step < 8; ++step) run.step();
    for (double value : run.values()) EXPECT_NEAR(value, 1, dtype == f64 ? 1e-5 : 1e-3);
  }
}

TEST(LBFGS, GoesOnFromItsState) {
  const nn::LBFGSOptions o{
      .max_iter = 3, .history_size = 2, .line_search_fn = nn::LineSearch::StrongWolfe};
  Rosenbrock whole(o), resumed(o);
  for (int step = 0; step < 3; ++step) whole.step();
  {
    const NoGrad guard;
    resumed.x.copy_(whole.x);
    resumed.y.copy_(whole.y);
  }
  resumed.optimizer.load_state_dict(whole.optimizer.state_dict());
  for (int step = 0; step < 3; ++step) {
    whole.step();
    resumed.step();
  }
  EXPECT_EQ(resumed.values(), whole.values());
  EXPECT_EQ(resumed.optimizer.func_evals(), whole.optimizer.func_evals());

  auto state = whole.optimizer.state_dict();
  state[0].second = from_data(std::vector<int64_t>{1, -1, 2}, {3});
  expect_error([&] { resumed.optimizer.load_state_dict(state); }, "LBFGS", {"out of range"});
  state = whole.optimizer.state_dict();
  state[2].second = zeros({4}, {.dtype = f64});
  EXPECT_THROW(resumed.optimizer.load_state_dict(state), Error);
}

TEST(LBFGS, RefusesWhatItCannotUpdate) {
  const Tensor p = tensor({1, 2}, f64).requires_grad_();
  EXPECT_THROW(nn::LBFGS({{"p", p}, {"q", p}}), Error);
  EXPECT_THROW(nn::LBFGS({{"p", p}}, {.max_iter = 0}), Error);
  EXPECT_THROW(nn::LBFGS({{"p", p.detach()}}), Error);
  nn::LBFGS optimizer({{"p", p}});
  expect_error([&] { optimizer.step([&] { return sum(p.detach()); }); }, "LBFGS",
               {"parameter p of shape (2,) received no gradient"});
  expect_error([&] { optimizer.step([&] { return p * 2.0; }); }, "LBFGS",
               {"a loss of one element"});
  Tensor handle = p;
  handle.requires_grad_(false);
  expect_error([&] { optimizer.step([&] { return sum(p); }); }, "LBFGS",
               {"parameter p was frozen"});
}

}  // namespace
// A loss that is NaN with a finite slope ends the search of the step.
TEST(LBFGS, ALossOfNaNIsTakenAsItIs) {
  Tensor p = ones({4}).requires_grad_();
  nn::LBFGS optimizer({p}, {.line_search_fn = nn::LineSearch::StrongWolfe});
  int calls = 0;
  const auto closure = [&] {
    optimizer.zero_grad();
    Tensor loss = sum(square(p));
    loss.backward();
    return ++calls == 2 ? loss * std::nan("") : loss;
  };
  EXPECT_NO_THROW(optimizer.step(closure));
}

}  // namespace ebb::test
