// Best and EarlyStopping, record by record: what counts as better, when it ends, and which weights
// come back.
#include <gtest/gtest.h>

#include <cmath>

#include "files.h"
#include "training.h"

namespace {

using namespace ebb;
using test::expect_error;

nn::EpochRecord record(int64_t epoch, double value) { return {epoch, {{"figure", value}}}; }

TEST(Best, ImprovesByMoreThanMinDelta) {
  nn::Best smallest("figure", nn::Mode::Min, 0.5), largest("figure", nn::Mode::Max, 0.5);
  EXPECT_EQ(smallest.value(), INFINITY);
  EXPECT_EQ(largest.value(), -INFINITY);
  EXPECT_EQ(smallest.epoch(), 0);
  int64_t epoch = 0;
  for (const auto& [value, improves] : {std::pair{double(NAN), false},
                                        {3.0, true},
                                        {2.5, false},
                                        {2.25, true},
                                        {double(NAN), false},
                                        {2.0, false},
                                        {1.75, false},
                                        {1.5, true}}) {
    ++epoch;
    EXPECT_EQ(smallest.improves(record(epoch, value)), improves) << epoch;
    EXPECT_EQ(largest.improves(record(epoch, -value)), improves) << epoch;
    if (improves) {
      EXPECT_EQ(smallest.value(), value);
      EXPECT_EQ(largest.value(), -value);
      EXPECT_EQ(smallest.epoch(), epoch);
      EXPECT_EQ(largest.epoch(), epoch);
    }
  }
}

TEST(Best, ItsStateNamesTheFigure) {
  nn::Best smallest("figure", nn::Mode::Min, 0), other("figure", nn::Mode::Min, 0),
      largest("figure", nn::Mode::Max, 0);
  smallest.improves(record(7, 0.1));
  other.load_state_dict(smallest.state_dict(), "test");
  EXPECT_EQ(other.value(), 0.1);
  EXPECT_EQ(other.epoch(), 7);
  EXPECT_FALSE(other.improves(record(8, 0.1)));
  expect_error([&] { largest.load_state_dict(smallest.state_dict(), "test"); }, "test",
               {"no usable entry 'largest.figure'"});
  NamedTensors state = smallest.state_dict();
  state[1].second = zeros({2}, i64);
  expect_error([&] { other.load_state_dict(state, "test"); }, "test", {"'best_epoch'"});
  EXPECT_EQ(other.epoch(), 7);
  EXPECT_THROW(nn::Best("figure", nn::Mode::Min, INFINITY), Error);
}

// An early stopping, and a training whose epochs are played to it.
struct Played {
  explicit Played(nn::EarlyStoppingOptions options) : early(std::move(options)) {
    early.on_start(trainer);
  }
  // The weights of an epoch are its number.
  bool epoch(int64_t number, double value) {
    set_weight(static_cast<double>(number));
    early.on_epoch_end(trainer, record(number, value));
    return early.stopped();
  }
  void set_weight(double value) {
    const NoGrad guard;
    t.model.weight.fill_(value);
  }
  double weight() const { return t.model.weight[0][0].item(); }

  test::Training t;
  nn::Trainer trainer{t.model, t.optimizer, t.loader, t.loss, {.quiet = true}};
  nn::EarlyStopping early;
};

TEST(EarlyStopping, CountsTheEpochsSinceTheBest) {
  Played p({.monitor = "figure", .patience = 2});
  EXPECT_FALSE(p.epoch(1, 3));
  EXPECT_FALSE(p.epoch(2, 4));
  EXPECT_FALSE(p.epoch(3, 2));  // better: counts anew
  EXPECT_FALSE(p.epoch(4, 2));
  EXPECT_EQ(p.weight(), 4);
  EXPECT_TRUE(p.epoch(5, NAN));
  EXPECT_EQ(p.early.best_epoch(), 3);
  EXPECT_EQ(p.early.best_value(), 2);
  p.early.on_end(p.trainer, true);
  EXPECT_EQ(p.weight(), 3);
  p.early.on_start(p.trainer);  // the history is empty: another training
  EXPECT_EQ(p.early.best_epoch(), 0);
  EXPECT_FALSE(p.early.stopped());
  EXPECT_FALSE(p.epoch(1, NAN));
  p.early.on_end(p.trainer, true);
  EXPECT_EQ(p.weight(), 1);  // there is no best epoch
  EXPECT_FALSE(p.epoch(2, 9));
  EXPECT_EQ(p.early.best_value(), 9);
}

TEST(EarlyStopping, LeavesTheLastWeightsIfAsked) {
  Played p({.monitor = "figure", .patience = 1, .restore_best_weights = false});
  EXPECT_FALSE(p.epoch(1, 3));
  EXPECT_TRUE(p.epoch(2, 3));
  p.early.on_end(p.trainer, true);
  EXPECT_EQ(p.weight(), 2);
  EXPECT_EQ(p.early.state_dict().size(), 3u);
}

TEST(EarlyStopping, AnInterruptedTrainingGetsItsLastWeightsBack) {
  Played p({.monitor = "figure", .patience = 9, .mode = nn::Mode::Max});
  p.epoch(1, 5);
  p.epoch(2, 4);
  p.early.on_end(p.trainer, false);
  EXPECT_EQ(p.weight(), 1);
  const NamedTensors state = p.early.state_dict();
  p.early.on_start(p.trainer);
  EXPECT_EQ(p.weight(), 2);
  p.set_weight(7);
  p.early.on_start(p.trainer);  // it has them already
  EXPECT_EQ(p.weight(), 7);
  p.epoch(1, 5);
  p.epoch(2, 4);
  p.early.on_end(p.trainer, false);
  p.early.load_state_dict(state, p.trainer);  // of a checkpoint, whose model has been loaded
  p.set_weight(8);
  p.early.on_start(p.trainer);
  EXPECT_EQ(p.weight(), 8);
}

TEST(EarlyStopping, ItsStateHasTheBestWeightsAndTheCount) {
  Played p({.monitor = "figure", .patience = 2}), q({.monitor = "figure", .patience = 2});
  p.epoch(1, 3);
  p.epoch(2, 4);
  const NamedTensors state = p.early.state_dict();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"smallest.figure", "best_epoch", "waited",
                                             "weights.weight", "weights.bias"}));
  EXPECT_EQ(state[2].second.item(), 1);
  q.early.load_state_dict(state, q.trainer);
  EXPECT_TRUE(q.epoch(3, 5));
  q.early.on_end(q.trainer, true);
  EXPECT_EQ(q.weight(), 1);
  // A state without weights has none to restore.
  Played r({.monitor = "figure", .patience = 2});
  r.epoch(1, 1);
  r.early.load_state_dict({state.begin(), state.begin() + 3}, r.trainer);
  r.early.on_end(r.trainer, true);
  EXPECT_EQ(r.weight(), 1);
  EXPECT_EQ(r.early.best_value(), 3);
  expect_error(
      [&] {
        r.early.load_state_dict({state.begin(), state.begin() + 4}, r.trainer);
      },
      "load_state", {"the best weights of EarlyStopping does not fit; missing: \"bias\""});
}

TEST(BestModel, SavesTheWeightsOfEachBetterEpoch) {
  const test::TempFolder folder;
  Played p({.monitor = "figure"});
  nn::BestModel best(folder / "best.safetensors", {.monitor = "figure", .mode = nn::Mode::Max});
  const auto saved = [&] {
    return load_safetensors(folder / "best.safetensors").find("weight")->to_vector<float>()[0];
  };
  for (const auto& [number, value, want] :
       {std::tuple{1, 0.5, 1.f}, {2, 0.25, 1.f}, {3, 0.75, 3.f}, {4, 0.75, 3.f}}) {
    p.set_weight(number);
    best.on_epoch_end(p.trainer, record(number, value));
    EXPECT_EQ(saved(), want) << number;
  }
  nn::BestModel resumed(folder / "best.safetensors", {.monitor = "figure", .mode = nn::Mode::Max});
  resumed.load_state_dict(best.state_dict(), p.trainer);
  p.set_weight(5);
  resumed.on_epoch_end(p.trainer, record(5, 0.7));
  EXPECT_EQ(saved(), 3);
}

TEST(StopOnNaN, LooksAtBothLosses) {
  Played p({});
  nn::StopOnNaN stop;
  const auto end = [&](std::vector<std::pair<std::string, double>> values) {
    stop.on_epoch_end(p.trainer, {4, std::move(values)});
  };
  end({{"loss", 1}});
  end({{"loss", 1}, {"val_loss", 2}, {"val_f1", NAN}});
  expect_error([&] { end({{"loss", INFINITY}}); }, "StopOnNaN", {"loss of epoch 4 is inf"});
  expect_error(
      [&] {
        end({{"loss", 1}, {"val_loss", NAN}});
      },
      "StopOnNaN", {"val_loss of epoch 4 is nan"});
}

TEST(EpochRecord, AnErrorListsTheFigures) {
  const nn::EpochRecord two{1, {{"loss", 2}, {"lr", 3}}};
  expect_error([&] { two.at("accuracy"); }, "EpochRecord",
               {"there is no figure 'accuracy': expected one of loss, lr"});
  EXPECT_EQ(two.at("lr"), 3);
  EXPECT_TRUE(two.has("loss") && !two.has("los"));
}

}  // namespace
