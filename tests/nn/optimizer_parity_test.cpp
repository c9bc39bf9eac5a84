// Every optimizer and option against PyTorch, over 200 steps; and interrupted runs against whole
// ones.
#include "optimizer_cases.h"

namespace ebb::test {
namespace {

class OptimizerParity : public testing::TestWithParam<OptimizerCase> {};

TEST_P(OptimizerParity, FollowsTorch) {
  OptimizerRun run(GetParam(), Device::cpu(), f64);
  ASSERT_TRUE(run.optimizer) << "missing";
  const double* want = GetParam().values.data();
  size_t saved = 0;
  for (int t = 1; t <= kOptimizerSteps; ++t) {
    run.whole_step(t);
    if (t != kSavedSteps[saved]) continue;
    const std::vector<double> got = run.values();
    expect_close(got, want, 1e-12, t);
    if (HasFailure()) return;
    want += got.size();
    ++saved;
  }
  EXPECT_EQ(want, GetParam().values.data() + GetParam().values.size());
}

// The state goes into another program at step 37, in the middle of an accumulation where there is
// one; bit for bit.
TEST_P(OptimizerParity, GoesOnFromItsState) {
  for (const DType dtype : {f32, f64}) {
    OptimizerRun whole(GetParam(), Device::cpu(), dtype);
    ASSERT_TRUE(whole.optimizer) << "missing";
    const auto parts = static_cast<int>(GetParam().of_way("accumulate", 1));
    std::unique_ptr<OptimizerRun> resumed;
    for (int t = 1; t <= 100; ++t) {
      for (int part = 0; part < parts; ++part) {
        whole.prepare(t, part);
        whole.step();
        if (resumed) {
          resumed->prepare(t, part);
          resumed->step();
        }
        if (t != 37 || part != parts / 2) continue;
        resumed = std::make_unique<OptimizerRun>(GetParam(), Device::cpu(), dtype);
        const NoGrad guard;
        for (size_t k = 0; k < whole.parameters.size(); ++k) {
          resumed->parameters[k].second.copy_(whole.parameters[k].second);
          resumed->parameters[k].second.requires_grad_(whole.parameters[k].second.requires_grad());
        }
        resumed->optimizer->load_state_dict(whole.optimizer->state_dict());
        resumed->optimizer->set_lr_factor(whole.optimizer->lr() / whole.optimizer->base_lr());
        EXPECT_EQ(resumed->optimizer->steps(), whole.optimizer->steps());
      }
    }
    EXPECT_EQ(resumed->values(), whole.values());
  }
}

// In f32 the formulas are the same.
TEST_P(OptimizerParity, FloatIsNear) {
  if (GetParam().optimizer == "Lion" || GetParam().optimizer == "Rprop") return;  // jumps by signs
  OptimizerRun narrow(GetParam(), Device::cpu(), f32), wide(GetParam(), Device::cpu(), f64);
  ASSERT_TRUE(wide.optimizer) << "missing";
  for (int t = 1; t <= 50; ++t) {
    narrow.whole_step(t);
    wide.whole_step(t);
  }
  expect_close(narrow.values(), wide.values().data(), 1e-3, 50);
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerParity, testing::ValuesIn(optimizer_cases()),
                         [](const auto& info) {
                           return info.param.optimizer + "_" + std::to_string(info.index);
                         });

}  // namespace
}  // namespace ebb::test
