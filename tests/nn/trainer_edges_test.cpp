// Trainer: one sample, trainings in a row, and callbacks that end it, throw, or have the same
// names.
#include <gtest/gtest.h>

#include "files.h"
#include "training.h"

namespace {

using namespace ebb;
using test::expect_error;

TEST(Validate, OneSampleIsEnough) {
  nn::Linear model(1, 2);
  data::DataLoader loader({ones({1, 1}), argmax(model(ones({1, 1})), 1)});
  const auto figures = nn::validate(model, loader, nn::CrossEntropyLoss());
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures[1].first, "val_accuracy");
  EXPECT_EQ(figures[1].second, 1);
}

TEST(Trainer, EachTrainingHasAHistoryOfItsOwn) {
  test::Training t;
  nn::Trainer trainer(t.model, t.optimizer, t.loader, t.loss, {.epochs = 3, .quiet = true});
  for (int run = 0; run < 2; ++run) {
    EXPECT_TRUE(trainer.run());
    EXPECT_EQ(trainer.history().size(), 3u);
    EXPECT_EQ(trainer.epochs_run(), 3 * (run + 1));
  }
}

TEST(Trainer, AnEarlierEndDoesNotEndTheNextTraining) {
  struct First : nn::Callback {
    std::string_view name() const override { return "first"; }
    void on_epoch_end(nn::Trainer& trainer, const nn::EpochRecord&) override {
      if (++epochs == 1) trainer.finish();
    }
    int epochs = 0;
  };
  test::Training t;
  nn::Trainer trainer(t.model, t.optimizer, t.loader, t.loss,
                      {.epochs = 3, .quiet = true, .callbacks = {std::make_shared<First>()}});
  EXPECT_TRUE(trainer.run());
  EXPECT_EQ(trainer.epochs_run(), 1);
  EXPECT_TRUE(trainer.run());
  EXPECT_EQ(trainer.epochs_run(), 1 + 3);
}

// Ends a training at its start, and remembers how on_end() was called.
struct EndsAtOnce : nn::Callback {
  std::string_view name() const override { return "ends_at_once"; }
  void on_start(nn::Trainer& trainer) override {
    if (ends) trainer.finish();
  }
  void on_end(nn::Trainer&, bool finished) override { ended = finished ? "finished" : "stopped"; }
  bool ends = true;
  std::string ended;
};

TEST(Trainer, SaysWhyThereIsNothingToTrain) {
  const test::TempFolder folder;
  const auto callback = std::make_shared<EndsAtOnce>();
  const auto output = [&](bool ends, bool resume) {
    callback->ends = ends;
    test::Training t;
    nn::Trainer trainer(
        t.model, t.optimizer, t.loader, t.loss,
        {.epochs = 1, .checkpoint = folder / "c", .resume = resume, .callbacks = {callback}});
    testing::internal::CaptureStdout();
    EXPECT_TRUE(trainer.run());
    EXPECT_EQ(callback->ended, "finished");
    return testing::internal::GetCapturedStdout();
  };
  EXPECT_EQ(output(true, false), "nothing left to train: a callback has ended this training\n");
  EXPECT_NE(output(false, false).find("epoch 1/1"), std::string::npos);
  EXPECT_EQ(output(true, true), "nothing left to train: epoch 1 of 1\n");
}

TEST(Trainer, TellsCallbacksThatATrainingThatThrowsIsNotFinished) {
  const auto callback = std::make_shared<EndsAtOnce>();
  callback->ends = false;
  test::Training t;
  t.loss = [](const Tensor&, const Tensor&) -> Tensor { fail("loss", "expected to fail"); };
  EXPECT_THROW(t.run({.epochs = 1, .callbacks = {callback}}), Error);
  EXPECT_EQ(callback->ended, "stopped");
}

TEST(Trainer, IfTheStateOfOneCallbackDoesNotFitTheOthersKeepTheirs) {
  const test::TempFolder folder;
  const auto train = [&](const std::vector<std::shared_ptr<nn::Callback>>& callbacks, bool resume) {
    test::Training t;
    t.run({.epochs = resume ? 4 : 2,
           .checkpoint = folder / "c",
           .resume = resume,
           .callbacks = callbacks});
  };
  const auto make = [] { return nn::early_stopping({.monitor = "loss"}); };
  train({make(), make(), make()}, false);
  Checkpoint checkpoint = load_checkpoint(folder / "c");
  int found = 0;
  for (auto& [name, tensor] : checkpoint.training) {
    for (const char* prefix : {"", ".2", ".3"})
      found += name == "callbacks.early_stopping" + std::string(prefix) + "/waited";
    if (name == "callbacks.early_stopping.2/waited") tensor = from_data<int64_t>({-1}, {});
  }
  EXPECT_EQ(found, 3);
  save_checkpoint(folder / "c", checkpoint);
  const auto first = make(), second = make(), third = make();
  {
    test::Training other;
    nn::Trainer trainer(other.model, other.optimizer, other.loader, other.loss, {});
    first->on_epoch_end(trainer, {9, {{"loss", 0.5}}});
  }
  expect_error([&] { train({first, second, third}, true); }, "early_stopping", {"waited -1"});
  EXPECT_EQ(first->best_epoch(), 9);
  EXPECT_EQ(third->best_epoch(), 0);
}

TEST(Trainer, TwoCallbacksMayNotShareAnEntryOfTheCheckpoint) {
  struct Named : nn::Callback {
    explicit Named(std::string name) : name_(std::move(name)) {}
    std::string_view name() const override { return name_; }
    std::string name_;
  };
  test::Training t;
  const auto make = [&](const std::vector<std::string>& names) {
    nn::TrainerOptions options{.quiet = true};
    for (const std::string& name : names)
      options.callbacks.push_back(std::make_shared<Named>(name));
    nn::Trainer(t.model, t.optimizer, t.loader, t.loss, options);
  };
  make({"a", "a", "b", "a"});
  expect_error(
      [&] {
        make({"a", "a", "a.2"});
      },
      "Trainer", {"two callbacks save their state as 'a.2/'"});
}

}  // namespace
