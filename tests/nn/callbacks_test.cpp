// Validation, history, callbacks and their state in checkpoints.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "ebb/ebb.h"
#include "files.h"

namespace {

using namespace ebb;
using test::expect_error;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A classifier with dropout on random data that it can only learn by heart, so that the validation
// loss has a minimum after some epochs.
struct Classifier {
  explicit Classifier(double lr = 0.02)
      : model(make_model()),
        train_loader(make_data(48, 1), {.batch_size = 8, .shuffle = true, .seed = 3}),
        validation(make_data(40, 2), {.batch_size = 16}),
        optimizer(model.named_parameters(), {.lr = lr}) {
    manual_seed(11);  // of dropout
  }

  static nn::Sequential make_model() {
    manual_seed(7);
    return nn::Sequential(nn::Linear(6, 64), nn::ReLU(), nn::Dropout(0.2), nn::Linear(64, 3));
  }
  static data::Dataset make_data(int64_t count, uint64_t seed) {
    Generator generator{seed, 0};
    const Tensor x = randn({count, 6}, {}, &generator);
    const Tensor noise = randn({count, 3}, {}, &generator);
    return {x, argmax(slice(x, 1, 0, 3) + 2 * noise, 1)};
  }
  nn::Trainer trainer(nn::TrainerOptions options) {
    options.quiet = true;
    if (!options.validation) options.validation = &validation;
    return {model, optimizer, train_loader, nn::CrossEntropyLoss(), std::move(options)};
  }
  std::vector<float> weights() const { return model.parameters()[0].to_vector<float>(); }

  nn::Sequential model;
  data::DataLoader train_loader, validation;
  nn::Adam optimizer;
};

// Calls a function after each epoch.
struct AfterEpoch : nn::Callback {
  explicit AfterEpoch(std::function<void(nn::Trainer&, const nn::EpochRecord&)> f)
      : f(std::move(f)) {}
  std::string_view name() const override { return "after_epoch"; }
  void on_epoch_end(nn::Trainer& trainer, const nn::EpochRecord& record) override {
    f(trainer, record);
  }
  std::function<void(nn::Trainer&, const nn::EpochRecord&)> f;
};
std::shared_ptr<nn::Callback> after_epoch(
    std::function<void(nn::Trainer&, const nn::EpochRecord&)> f) {
  return std::make_shared<AfterEpoch>(std::move(f));
}

TEST(Validation, HasTheFiguresOfTheModelInEvaluationMode) {
  Classifier c;
  double loss = 0, accuracy = 0;
  const auto check = after_epoch([&](nn::Trainer&, const nn::EpochRecord&) {
    EXPECT_TRUE(c.model.is_training());
    const data::Dataset& data = c.validation.dataset();
    const Tensor scores = nn::predict(c.model, data);
    loss = nn::cross_entropy(scores, data.targets()).item();
    accuracy = nn::evaluate(c.model, data, 3).accuracy();
  });
  const nn::Metric sum{"sum", [](const Tensor& scores, const Tensor& target) {
                         EXPECT_EQ(scores.shape(), (Shape{40, 3}));
                         return static_cast<double>(target.size(0));
                       }};
  nn::Trainer trainer = c.trainer({.epochs = 3, .metrics = {sum}, .callbacks = {check}});
  EXPECT_TRUE(trainer.run());
  ASSERT_EQ(trainer.history().size(), 3u);
  const nn::EpochRecord& last = trainer.history().back();
  EXPECT_EQ(last.epoch, 3);
  EXPECT_NEAR(last.at("val_loss"), loss, 1e-6);
  EXPECT_NEAR(last.at("val_accuracy"), accuracy, 1e-12);
  EXPECT_EQ(last.at("val_sum"), 40);
  EXPECT_EQ(last.at("lr"), 0.02);
  EXPECT_LT(last.at("loss"), trainer.history()[0].at("loss"));
  expect_error([&] { last.at("val_f1"); }, "EpochRecord", {"'val_f1'", "loss, accuracy, lr"});
}

TEST(Validation, DoesNotChangeTheTraining) {
  Classifier with;
  with.trainer({.epochs = 3}).run();
  Classifier without;
  nn::Trainer plain(without.model, without.optimizer, without.train_loader, nn::CrossEntropyLoss(),
                    {.epochs = 3, .quiet = true});
  plain.run();
  EXPECT_EQ(with.weights(), without.weights());
}

TEST(EarlyStopping, StopsAndRestoresTheBestWeights) {
  Classifier c;
  std::vector<std::vector<float>> weights;
  const auto note =
      after_epoch([&](nn::Trainer&, const nn::EpochRecord&) { weights.push_back(c.weights()); });
  const auto early = nn::early_stopping({.patience = 4});
  nn::Trainer trainer = c.trainer({.epochs = 200, .callbacks = {note, early}});
  EXPECT_TRUE(trainer.run());
  EXPECT_TRUE(early->stopped());
  const auto& history = trainer.history();
  ASSERT_LT(history.size(), 200u);
  size_t best = 0;
  for (size_t i = 0; i < history.size(); ++i)
    if (history[i].at("val_loss") < history[best].at("val_loss")) best = i;
  EXPECT_EQ(best + 1 + 4, history.size());
  EXPECT_EQ(early->best_epoch(), static_cast<int64_t>(best + 1));
  EXPECT_EQ(early->best_value(), history[best].at("val_loss"));
  EXPECT_EQ(c.weights(), weights[best]);
  EXPECT_NE(c.weights(), weights.back());
}

TEST(EarlyStopping, RestoresTheBestWeightsHoweverTheTrainingEnds) {
  for (const bool throws : {true, false}) {
    Classifier c(0.3);  // diverges
    std::vector<float> first;
    const auto early = nn::early_stopping({.patience = 100});
    const auto end = after_epoch([&](nn::Trainer& trainer, const nn::EpochRecord& record) {
      if (record.epoch == early->best_epoch()) first = c.weights();
      if (record.epoch == 12 && throws) fail("test", "the end");
      if (record.epoch == 12) trainer.finish();
    });
    nn::Trainer trainer = c.trainer({.epochs = 50, .callbacks = {early, end}});
    if (throws) expect_error([&] { trainer.run(); }, "test", {"the end"});
    else EXPECT_TRUE(trainer.run());
    EXPECT_LT(early->best_epoch(), 12);
    EXPECT_EQ(c.weights(), first);
  }
}

// Two trainings, of which one is stopped after each number of steps and goes on in a new process'
// objects, end with the same weights, history and files.
TEST(Callbacks, AResumedTrainingGoesOnBitForBit) {
  const test::TempFolder folder;
  const auto options = [&](const std::string& name, bool resume) {
    return nn::TrainerOptions{
        .epochs = 60,
        .checkpoint = folder / name,
        .resume = resume,
        .callbacks = {nn::early_stopping({.patience = 5}), nn::csv_log(folder / (name + ".csv")),
                      nn::best_model(folder / (name + "-best.safetensors")),
                      nn::early_stopping(
                          {.monitor = "val_accuracy", .patience = 40, .mode = nn::Mode::Max})}};
  };
  Classifier whole;
  ASSERT_TRUE(whole.trainer(options("whole", false)).run());

  bool finished = false;
  int64_t parts = 0;
  std::vector<float> weights;
  for (; !finished && parts < 100; ++parts) {
    Classifier c;
    nn::TrainerOptions part = options("parts", parts > 0);
    nn::Trainer* running = nullptr;
    int64_t steps = 0;
    nn::Trainer trainer(
        c.model, c.optimizer, c.train_loader,
        [&](const Tensor& scores, const Tensor& target) {
          if (scores.requires_grad() && ++steps == 10 + parts)
            running->stop();  // not in validation
          return nn::cross_entropy(scores, target);
        },
        [&] {
          part.quiet = true;
          part.validation = &c.validation;
          return part;
        }());
    running = &trainer;
    finished = trainer.run();
    weights = c.weights();
  }
  EXPECT_GT(parts, 2);
  EXPECT_EQ(weights, whole.weights());
  for (const char* file :
       {"/model.safetensors", "/training.safetensors", ".csv", "-best.safetensors"}) {
    EXPECT_EQ(text_of(folder / ("parts" + std::string(file))),
              text_of(folder / ("whole" + std::string(file))))
        << file;
  }

  // It has ended: a resume trains no further.
  Classifier again;
  nn::Trainer trainer = again.trainer(options("whole", true));
  EXPECT_TRUE(trainer.run());
  EXPECT_EQ(trainer.epochs_run(), 0);
  EXPECT_EQ(again.weights(), whole.weights());
}

// Trains for eight epochs with the callbacks; if stop is not 0, stopped after that epoch and run
// again. Returns the validation loss of each epoch, before the best weights are restored at the
// end.
std::vector<double> losses_of(std::vector<std::shared_ptr<nn::Callback>> callbacks, int64_t stop) {
  Classifier c(0.3);  // diverges, so the last weights are not the best ones
  callbacks.push_back(after_epoch([=](nn::Trainer& trainer, const nn::EpochRecord& record) {
    if (record.epoch == stop) trainer.stop();
  }));
  nn::Trainer trainer = c.trainer({.epochs = 8, .callbacks = std::move(callbacks)});
  if (stop > 0) {
    EXPECT_FALSE(trainer.run());
  }
  EXPECT_TRUE(trainer.run());
  std::vector<double> losses;
  for (const nn::EpochRecord& record : trainer.history()) losses.push_back(record.at("val_loss"));
  return losses;
}

TEST(Callbacks, StoppedAndRunAgainItContinuesFromTheLastWeights) {
  const std::vector<double> whole = losses_of({nn::early_stopping({.patience = 50})}, 0);
  EXPECT_EQ(whole.size(), 8u);
  EXPECT_EQ(losses_of({nn::early_stopping({.patience = 50})}, 5), whole);
}

// Each of two callbacks gives the model its best weights at the end.
TEST(Callbacks, TwoThatRestoreWeightsDoNotDisturbTheTraining) {
  const auto both = [] {
    return std::vector<std::shared_ptr<nn::Callback>>{
        nn::early_stopping({.patience = 50}),
        nn::early_stopping({.monitor = "val_accuracy", .patience = 50, .mode = nn::Mode::Max})};
  };
  EXPECT_EQ(losses_of(both(), 6), losses_of(both(), 0));
}

TEST(Callbacks, EachOneGetsItsEnd) {
  struct End : nn::Callback {
    explicit End(int& count) : count(count) {}
    std::string_view name() const override { return "end"; }
    void on_end(nn::Trainer&, bool) override {
      ++count;
      fail("end", "number ", count);
    }
    int& count;
  };
  int count = 0;
  Classifier c;
  nn::Trainer trainer = c.trainer(
      {.epochs = 1, .callbacks = {std::make_shared<End>(count), std::make_shared<End>(count)}});
  expect_error([&] { trainer.run(); }, "end", {"number 1"});
  EXPECT_EQ(count, 2);
}

TEST(Callbacks, AnotherFigureIsNotComparedWithTheSavedOne) {
  const test::TempFolder folder;
  Classifier c;
  c.trainer({.epochs = 2, .checkpoint = folder / "c", .callbacks = {nn::early_stopping()}}).run();
  Classifier other;
  nn::Trainer trainer = other.trainer(
      {.epochs = 4,
       .checkpoint = folder / "c",
       .resume = true,
       .callbacks = {nn::early_stopping({.monitor = "val_accuracy", .mode = nn::Mode::Max})}});
  expect_error([&] { trainer.run(); }, "early_stopping", {"largest.val_accuracy"});
}

TEST(Callbacks, AFigureThatEpochsLackIsMissingAfterAResumeToo) {
  const test::TempFolder folder;
  for (const int64_t epochs : {2, 3, 4}) {
    Classifier c;
    nn::Trainer trainer(c.model, c.optimizer, c.train_loader, nn::CrossEntropyLoss(),
                        {.epochs = epochs,
                         .checkpoint = folder / "c",
                         .resume = epochs > 2,
                         .quiet = true,
                         .validation = epochs > 2 ? &c.validation : nullptr});
    ASSERT_TRUE(trainer.run());
    ASSERT_EQ(trainer.history().size(), static_cast<size_t>(epochs));
    for (const nn::EpochRecord& record : trainer.history())
      EXPECT_EQ(record.has("val_loss"), record.epoch > 2);
  }
}

TEST(Callbacks, AStateThatDoesNotFitChangesNothing) {
  const test::TempFolder folder;
  Classifier c;
  c.trainer({.epochs = 2, .checkpoint = folder / "c", .callbacks = {nn::early_stopping()}}).run();
  for (auto [entry, value, message] :
       {std::tuple{"callbacks.early_stopping/waited", scalar(-1, {.dtype = i64}), "waited -1"},
        std::tuple{"callbacks.early_stopping/waited", from_data<int64_t>({INT64_MAX}, {}),
                   "waited 9223372036854775807"},
        std::tuple{"callbacks.early_stopping/best_epoch", from_data<int64_t>({INT64_MIN}, {}),
                   "best_epoch -9223372036854775808"},
        std::tuple{"callbacks.early_stopping/smallest.val_loss", scalar(1, {.dtype = f32}),
                   "'smallest.val_loss'"},
        std::tuple{"callbacks.early_stopping/weights.0.bias", zeros({3}), "0.bias"},
        std::tuple{"history.loss", zeros({3}, {.dtype = f64}), "history of \"loss\""},
        std::tuple{"history.loss", tensor({{0, 0.5}, {1, 1}}, f64), "no epoch 0.5"},
        std::tuple{"history.loss", tensor({{0, 0}, {1, 1}}, f64), "no epoch 0"},
        std::tuple{"history.loss", tensor({{0, 2}, {1, 1}}, f64), "no epoch 2"},
        std::tuple{"history.loss", tensor({{-1, 1}, {1, 1}}, f64), "no epoch -1"},
        std::tuple{"history.lr", tensor({{0}, {1}}, f64), "has no lr of epoch 2"},
        std::tuple{"epochs", from_data<int64_t>({2, 2}, {2}), "epoch 2 after epoch 2"},
        std::tuple{"epochs", from_data<int64_t>({0, 1}, {2}), "epoch 0 after epoch 0"}}) {
    Checkpoint checkpoint = load_checkpoint(folder / "c");
    for (auto& [name, tensor] : checkpoint.training)
      if (name == entry) tensor = value;
    save_checkpoint(folder / "broken", checkpoint);
    Classifier other;
    const auto before = other.weights();
    const auto early = nn::early_stopping();
    nn::Trainer trainer = other.trainer(
        {.epochs = 4, .checkpoint = folder / "broken", .resume = true, .callbacks = {early}});
    EXPECT_THROW(
        {
          try {
            trainer.run();
          } catch (const Error& error) {
            EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
            throw;
          }
        },
        Error);
    EXPECT_EQ(other.weights(), before) << entry;
    EXPECT_EQ(early->best_epoch(), 0);
  }
}

TEST(Callbacks, ALossThatIsNotANumberEndsTheTraining) {
  Classifier c(1e30);
  const test::TempFolder folder;
  nn::Trainer trainer =
      c.trainer({.epochs = 5, .checkpoint = folder / "c", .callbacks = {nn::stop_on_nan()}});
  expect_error([&] { trainer.run(); }, "StopOnNaN", {"of epoch", "DetectAnomaly"});
  EXPECT_FALSE(checkpoint_exists(folder / "c"));
}

TEST(Callbacks, WrongOptionsAreErrors) {
  Classifier c;
  expect_error([] { nn::early_stopping({.patience = 0}); }, "EarlyStopping", {"patience"});
  expect_error([] { nn::early_stopping({.min_delta = -1}); }, "Best", {"min_delta", "-1"});
  expect_error([&] { c.trainer({.callbacks = {nullptr}}); }, "Trainer", {"callback is null"});
  const auto twice = nn::early_stopping();
  expect_error([&] { c.trainer({.callbacks = {twice, twice}}); }, "Trainer", {"given twice"});
  const nn::Metric one{"m", [](const Tensor&, const Tensor&) { return 1.0; }};
  expect_error([&] { c.trainer({.metrics = {one, one}}); }, "Trainer", {"'m'"});
  expect_error([&] { c.trainer({.metrics = {{"loss", one.compute}}}); }, "Trainer", {"'loss'"});
  expect_error([&] { c.trainer({.metrics = {{"m", {}}}}); }, "Trainer", {"no function"});
  expect_error([&] { c.trainer({.checkpoint_every = std::nan("")}); }, "Trainer", {"nan"});
  expect_error([&] { nn::Trainer(c.model, c.optimizer, c.train_loader, nullptr, {}); }, "Trainer",
               {"loss has no function"});
  const auto unknown = nn::early_stopping({.monitor = "val_f1"});
  expect_error([&] { c.trainer({.epochs = 2, .callbacks = {unknown}}).run(); }, "EpochRecord",
               {"'val_f1'", "val_loss"});
  expect_error(
      [&] {
        nn::Trainer(c.model, c.optimizer, c.train_loader, nn::CrossEntropyLoss(),
                    {.metrics = {one}});
      },
      "Trainer", {"metrics", "validation"});
  expect_error([&] { c.trainer({.callbacks = {nn::csv_log("/nowhere/a.csv")}}).run(); },
               "write_csv", {"/nowhere"});
}

TEST(WriteCsv, QuotesNamesAndLeavesMissingFiguresEmpty) {
  const test::TempFolder folder;
  nn::write_csv(folder / "h.csv", {{1, {{"loss", 0.1}}}, {2, {{"loss", 2}, {"a,\"b\"", -1e-9}}}});
  EXPECT_EQ(text_of(folder / "h.csv"), "epoch,loss,\"a,\"\"b\"\"\"\n1,0.1,\n2,2,-1e-09\n");
}

}  // namespace
