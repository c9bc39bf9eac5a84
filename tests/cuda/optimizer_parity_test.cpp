// Every optimizer and option on the device against PyTorch, over 20 steps, and captured steps
// against eager ones.
#include "ebb/core/cuda.h"
#include "ebb/tests/cuda/device.h"
#include "ebb/tests/nn/optimizer_cases.h"

namespace ebb::test {
namespace {

using CudaOptimizers = CudaTest;

TEST_F(CudaOptimizers, FollowTorch) {
  for (const OptimizerCase& c : optimizer_cases()) {
    SCOPED_TRACE(c.text);
    OptimizerRun run(c, kCuda, f64);
    ASSERT_TRUE(run.optimizer);
    const double* want = c.values.data();
    size_t saved = 0;
    for (int t = 1; t <= 20; ++t) {
      run.whole_step(t);
      if (t != kSavedSteps[saved]) continue;
      const std::vector<double> got = run.values();
      expect_close(got, want, 1e-12, t);
      want += got.size();
      ++saved;
    }
    if (HasFailure()) return;
  }
}

TEST_F(CudaOptimizers, CapturedStepsEqualEagerOnes) {
  for (const OptimizerCase& c : optimizer_cases()) {
    if (c.way.contains("accumulate")) continue;  // refused, see below
    SCOPED_TRACE(c.text);
    for (const DType dtype : {f32, f64}) {
      OptimizerRun eager(c, kCuda, dtype), captured(c, kCuda, dtype);
      cuda::CapturedStep step([&] { captured.step(); });
      for (int t = 1; t <= 8; ++t) {
        if (t == 4) {
          eager.optimizer->set_lr(0.03);
          captured.optimizer->set_lr(0.03);
        }
        eager.whole_step(t);
        captured.prepare(t);
        captured.optimizer->check();  // takes note of frozen parameters
        step();
      }
      EXPECT_EQ(captured.values(), eager.values());
      EXPECT_EQ(captured.optimizer->steps(), 8);
      EXPECT_GT(step.replays(), 1);
    }
    if (HasFailure()) return;
  }
}

TEST_F(CudaOptimizers, AFrozenParameterLeavesACapturedStep) {
  OptimizerCase c{.optimizer = "Adam", .options = {{"lr", 0.1}}};
  c.way = {{"frozen.tensor", 1}, {"frozen.from", 4}, {"frozen.until", 8}};
  OptimizerRun eager(c, kCuda, f64), captured(c, kCuda, f64);
  cuda::CapturedStep step([&] { captured.step(); });
  for (int t = 1; t <= 12; ++t) {
    eager.whole_step(t);
    captured.prepare(t);
    captured.optimizer->check();
    step();
    EXPECT_EQ(captured.values(), eager.values()) << "step " << t;
  }
  const auto state = captured.optimizer->state_dict(), wanted = eager.optimizer->state_dict();
  ASSERT_EQ(state.size(), wanted.size());
  for (size_t k = 0; k < state.size(); ++k) {
    EXPECT_EQ(state[k].first, wanted[k].first);
    EXPECT_EQ(state[k].second.to_vector<double>(), wanted[k].second.to_vector<double>());
  }
}

TEST_F(CudaOptimizers, ACapturedStepCannotAccumulate) {
  const OptimizerCase c{.optimizer = "SGD", .options = {{"lr", 0.1}}, .way = {{"accumulate", 2}}};
  OptimizerRun run(c, kCuda, f64);
  run.prepare(1);
  cuda::CapturedStep step([&] { run.step(); });
  step();  // as it is
  EXPECT_THROW(step(), Error);
}

}  // namespace
}  // namespace ebb::test
