// Training and evaluation mode, module by module.
#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "files.h"

namespace {

using namespace ebb;

struct Throws : nn::Layer {
  Tensor forward(const Tensor& x) const override {
    EXPECT_FALSE(is_training());
    fail("forward", "expected anything but ", x.shape());
  }
};

data::Dataset classes() { return {ones({4, 3}), tensor({0, 1, 0, 1}, i64)}; }

TEST(Modes, EvaluateLeavesEachModuleInItsOwn) {
  nn::Dropout dropout(0.5);
  nn::Linear linear(3, 2);
  nn::Sequential model(linear, dropout);
  dropout.eval();
  nn::evaluate(model, classes(), 2);
  EXPECT_TRUE(model.is_training());
  EXPECT_TRUE(linear.is_training());
  EXPECT_FALSE(dropout.is_training());
  model.eval();
  dropout.train();
  nn::predict(model, classes());
  EXPECT_FALSE(model.is_training());
  EXPECT_TRUE(dropout.is_training());
}

TEST(Modes, AlsoWhenTheModelThrows) {
  nn::Dropout dropout(0.5);
  nn::Sequential model(dropout, Throws());
  dropout.eval();
  EXPECT_THROW(nn::evaluate(model, classes(), 2), Error);
  EXPECT_TRUE(model.is_training());
  EXPECT_FALSE(dropout.is_training());
}

TEST(Modes, SummaryGivesTheGeneratorBackWhenTheModelThrows) {
  nn::Sequential model(nn::Dropout(0.5), Throws());
  model.eval();
  nn::Dropout first(0.5);
  const nn::Sequential drawing(first, model);
  const uint64_t before = default_generator().offset;
  EXPECT_THROW(nn::summary(drawing, {2, 2}), Error);
  EXPECT_EQ(default_generator().offset, before);
}

TEST(Modes, AGuardSetsAndRestoresThem) {
  nn::Dropout dropout(0.5);
  nn::Sequential inner(dropout), model(inner, inner);
  inner.eval();
  {
    const nn::ModeGuard guard(model, true);
    EXPECT_TRUE(dropout.is_training());
    {
      const nn::ModeGuard again(inner, false);
      EXPECT_FALSE(inner.is_training());
      EXPECT_TRUE(model.is_training());
    }
    EXPECT_TRUE(inner.is_training());
  }
  EXPECT_TRUE(model.is_training());
  EXPECT_FALSE(inner.is_training());
  EXPECT_FALSE(dropout.is_training());
}

TEST(Modes, ATrainerTrainsWhatIsInEvaluationModeAndKeepsAPartThatWasPutThere) {
  nn::Dropout dropout(0.5);
  nn::Sequential model(nn::Linear(3, 2), dropout);
  nn::SGD optimizer(model.named_parameters(), {});
  data::DataLoader loader(classes(), {});
  const auto run = [&] {
    nn::Trainer(model, optimizer, loader, nn::CrossEntropyLoss(), {.epochs = 1, .quiet = true})
        .run();
  };
  dropout.eval();
  run();
  EXPECT_FALSE(dropout.is_training());
  model.eval();
  run();
  EXPECT_TRUE(model.is_training());
  EXPECT_TRUE(dropout.is_training());
}

}  // namespace
