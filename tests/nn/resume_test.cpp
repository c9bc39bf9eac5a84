// Resuming: what a checkpoint must hold and be, and that nothing is changed when it does not fit.
#include <gtest/gtest.h>

#include "files.h"
#include "training.h"

namespace {

using namespace ebb;
using test::expect_error;
using test::Training;

const data::LoaderOptions kShuffled{.batch_size = 3, .shuffle = true, .seed = 5};

// A checkpoint of a training that stopped after `batches` of four epochs of three.
void save_stopped(const std::string& folder, int batches, data::LoaderOptions options = kShuffled) {
  Training t(options);
  nn::Trainer* running = nullptr;
  int done = 0;
  nn::Trainer trainer(t.model, t.optimizer, t.loader,
                      [&](const Tensor& scores, const Tensor& target) {
                        if (++done == batches) running->stop();
                        return nn::mse_loss(scores, target);
                      },
                      {.epochs = 4, .checkpoint = folder, .checkpoint_every = 1e9, .quiet = true});
  running = &trainer;
  trainer.run();
}

void expect_refused(const std::string& folder, Training& t, const std::string& op,
                    std::initializer_list<std::string> parts) {
  t.model.weight.set_grad(ones({1, 2}));
  t.model.bias.set_grad(ones({1}));
  t.optimizer.step();  // the optimizer has a state
  const auto weights = t.weights();
  const auto momentum = t.optimizer.state_dict()[1].second.to_vector<float>();
  const Generator generator = default_generator();
  expect_error([&] { t.run({.epochs = 4, .checkpoint = folder, .resume = true}); }, op, parts);
  EXPECT_EQ(t.weights(), weights);
  EXPECT_EQ(t.optimizer.state_dict()[1].second.to_vector<float>(), momentum);
  EXPECT_EQ(t.optimizer.steps(), 1);
  EXPECT_EQ(default_generator().offset, generator.offset);
  EXPECT_EQ(default_generator().seed, generator.seed);
}

TEST(Resume, AnotherSequenceOfBatchesIsRefused) {
  const test::TempFolder folder;
  save_stopped(folder / "c", 5);
  struct Other {
    data::LoaderOptions options;
    std::string text;
  };
  for (const auto& [options, text] : {
           Other{{.batch_size = 3, .shuffle = false, .seed = 5}, "shuffle false"},
           Other{{.batch_size = 3, .shuffle = true, .seed = 5, .drop_last = true},
                 "drop_last true"},
           Other{{.batch_size = 3, .shuffle = true, .seed = 6}, "seed 6"},
           Other{{.batch_size = 2, .shuffle = true, .seed = 5}, "batches of 2"},
       }) {
    Training t(options);
    expect_refused(
        folder / "c", t, "resume",
        {"was trained on 8 samples in batches of 3, seed 5, shuffle true, drop_last false", text,
         "another sequence of batches"});
  }
}

TEST(Resume, APictureThatIsScaledIsAnotherOne) {
  const test::TempFolder folder;
  const auto run = [&](bool unit_float, bool resume) {
    nn::Linear model(2, 1);
    nn::SGD optimizer(model.named_parameters(), {});
    data::DataLoader loader({ones({2, 2}, {.dtype = u8}), ones({2, 1})},
                            {.unit_float = unit_float, .transform = [](data::Batch b) {
                               return data::Batch{b.input.to(f32), b.target};
                             }});
    nn::Trainer(model, optimizer, loader, nn::MSELoss(),
                {.epochs = 1, .checkpoint = folder / "c", .resume = resume, .quiet = true})
        .run();
  };
  run(true, false);
  run(true, true);
  expect_error([&] { run(false, true); }, "resume", {"unit_float true", "unit_float false"});
}

// Checkpoints of before shuffle, drop_last and unit_float were noted.
TEST(Resume, AnOldCheckpointIsComparedAsFarAsItTells) {
  const test::TempFolder folder;
  save_stopped(folder / "c", 5);
  Checkpoint old = load_checkpoint(folder / "c");
  for (auto& [name, tensor] : old.training) {
    if (name == "loader") tensor = from_data(std::vector<int64_t>{8, 3, 5}, {3});
  }
  save_checkpoint(folder / "c", old);
  Training whole(kShuffled), rest(kShuffled), other({.batch_size = 2});
  EXPECT_TRUE(whole.run({.epochs = 4}));
  expect_refused(
      folder / "c", other, "resume",
      {"was trained on 8 samples in batches of 3, seed 5, now on 8 samples in batches of 2"});
  EXPECT_TRUE(rest.run({.epochs = 4, .checkpoint = folder / "c", .resume = true}));
  EXPECT_EQ(rest.weights(), whole.weights());
}

TEST(Resume, AnotherOptimizerChangesNothing) {
  const test::TempFolder folder;
  save_stopped(folder / "c", 5);
  Training t(kShuffled);
  nn::Adam adam(t.model.named_parameters());
  const auto before = t.weights();
  nn::Trainer trainer(t.model, adam, t.loader, nn::MSELoss(),
                      {.checkpoint = folder / "c", .resume = true, .quiet = true});
  expect_error([&] { trainer.run(); }, "load_state",
               {"optimizer state does not fit", "exp_avg.weight", "momentum.weight"});
  EXPECT_EQ(t.weights(), before);
}

TEST(Resume, AnotherModelChangesNothing) {
  const test::TempFolder folder;
  save_stopped(folder / "c", 5);
  Checkpoint other = load_checkpoint(folder / "c");
  other.model.emplace_back("more", ones({1}));
  save_checkpoint(folder / "c", other);
  Training t(kShuffled);
  expect_refused(folder / "c", t, "load_state", {"unexpected: \"more\""});
}

// One number of a checkpoint that is out of range at a time.
TEST(Resume, EveryNumberIsChecked) {
  const test::TempFolder folder;
  save_stopped(folder / "c", 5);
  const Checkpoint good = load_checkpoint(folder / "c");
  const std::string file = folder / "c/training.safetensors";
  const Metadata metadata = load_safetensors(file).metadata;
  using Numbers = std::vector<int64_t>;
  struct Bad {
    std::string entry;
    Tensor value;
    std::string op, text;
  };
  const auto numbers = [](const Numbers& n) {
    return from_data(n, {static_cast<int64_t>(n.size())});
  };
  const int64_t huge = int64_t{1} << 62;
  for (const Bad& bad : {
           Bad{"position", numbers({huge, 0}), "resume",
               "of epoch 4611686018427387904 is out of range"},
           Bad{"position", numbers({INT64_MAX, INT64_MAX}), "resume", "is out of range"},
           Bad{"position", numbers({1, huge}), "resume", "is out of range"},
           Bad{"position", numbers({1, 3}), "resume", "is out of range"},
           Bad{"position", numbers({2, 0}), "resume", "the optimizer has made 5 steps"},
           Bad{"position", numbers({-1, 0}), "resume", "position 0 of epoch -1 is out of range"},
           Bad{"position", numbers({0, -1}), "resume", "position -1 of epoch 0 is out of range"},
           Bad{"position", numbers({0}), "resume", "no usable entry 'position'"},
           Bad{"position", tensor({1, 1}, f32), "resume", "no usable entry 'position'"},
           Bad{"generator", numbers({1, 2, 3}), "resume", "no usable entry 'generator'"},
           Bad{"loader", numbers({8, 3, 5, 1}), "resume", "no usable entry 'loader'"},
           Bad{"counts", numbers({-1, 5}), "resume", "-1 of 5 samples"},
           Bad{"counts", numbers({6, 5}), "resume", "6 of 5 samples"},
           Bad{"counts", numbers({0, huge}), "resume", "is out of range"},
           Bad{"loss_sum", zeros({}), "resume", "no usable entry 'loss_sum'"},
           Bad{"loss_sum", zeros({2}, {.dtype = f64}), "resume", "no usable entry 'loss_sum'"},
           Bad{"optimizer.step", from_data(Numbers{-5}, {}), "optimizer", "has made -5 steps"},
           Bad{"optimizer.step", from_data(Numbers{huge}, {}), "optimizer", "expected 0 to 2^53"},
       }) {
    NamedTensors damaged = good.training;
    for (auto& [name, tensor] : damaged) {
      if (name == bad.entry) tensor = bad.value;
    }
    save_safetensors(file, damaged, metadata);
    Training t(kShuffled);
    expect_refused(folder / "c", t, bad.op, {bad.text});
  }
  for (size_t missing = 0; missing < good.training.size(); ++missing) {
    NamedTensors damaged = good.training;
    damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(missing));
    save_safetensors(file, damaged, metadata);
    Training t(kShuffled);
    EXPECT_THROW(t.run({.epochs = 4, .checkpoint = folder / "c", .resume = true}), Error)
        << good.training[missing].first;
  }
}

TEST(Resume, StepsThatCannotBeCountedAreRefused) {
  const test::TempFolder folder;
  save_stopped(folder / "c", 1);
  Checkpoint checkpoint = load_checkpoint(folder / "c");
  checkpoint.training.emplace_back("optimizer.accumulated", from_data<int64_t>({5}, {}));
  save_checkpoint(folder / "c", checkpoint);
  Training t(kShuffled);
  t.optimizer.set_grad_options({.accumulate = INT64_MAX});
  expect_error([&] { t.run({.epochs = 4, .checkpoint = folder / "c", .resume = true}); }, "resume",
               {"too large"});
}

TEST(Resume, NothingLeftToTrainIsSaid) {
  const test::TempFolder folder;
  Training t;
  EXPECT_TRUE(t.run({.epochs = 4, .checkpoint = folder / "c"}));
  const auto weights = t.weights();
  for (const auto& [epochs, text] :
       {std::pair<int64_t, std::string>{1, "epoch 4 of 1"}, {4, "epoch 4 of 4"}}) {
    nn::Trainer trainer(t.model, t.optimizer, t.loader, t.loss,
                        {.epochs = epochs, .checkpoint = folder / "c", .resume = true});
    testing::internal::CaptureStdout();
    EXPECT_TRUE(trainer.run());
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "nothing left to train: " + text + "\n");
    EXPECT_EQ(trainer.epochs_run(), 0);
  }
  EXPECT_EQ(t.weights(), weights);
}

TEST(Resume, EveryBatchCanBeTheLastBeforeAResume) {
  Training whole(kShuffled);
  EXPECT_TRUE(whole.run({.epochs = 4}));
  for (int batches : {1, 3, 4, 11}) {  // within an epoch, at its end, in the last one
    const test::TempFolder folder;
    save_stopped(folder / "c", batches);
    Training rest(kShuffled);
    EXPECT_TRUE(rest.run(
        {.epochs = 4, .checkpoint = folder / "c", .checkpoint_every = 1e9, .resume = true}));
    EXPECT_EQ(rest.weights(), whole.weights()) << batches;
  }
}

// The means of an epoch include the batches before the resume.
TEST(Resume, TheLossAndAccuracyAreThoseOfTheWholeEpoch) {
  const test::TempFolder folder;
  const auto train = [&](int stop_after, bool resume) {
    nn::Linear model(1, 2, {.bias = false});
    nn::SGD optimizer(model.named_parameters(), {.lr = 0});
    data::DataLoader loader({ones({4, 1}), tensor({0, 1, 1, 1}, i64)},
                            {.batch_size = 1, .shuffle = false});
    int batches = 0;
    nn::Trainer* running = nullptr;
    nn::Trainer trainer(model, optimizer, loader,
                        [&](const Tensor& scores, const Tensor& target) {
                          if (++batches == stop_after) running->stop();
                          return sum(scores) * 0 + sum(target.to(f32)) + 1;
                        },
                        {.epochs = 1, .checkpoint = folder / "c", .resume = resume});
    {
      const NoGrad guard;
      model.weight.fill_(0);
    }
    running = &trainer;
    testing::internal::CaptureStdout();
    EXPECT_EQ(trainer.run(), stop_after == 0);
    return testing::internal::GetCapturedStdout();
  };
  train(3, false);
  EXPECT_NE(train(0, true).find("loss 1.7500  accuracy 25.00 %"), std::string::npos);
}

// ---- what is noticed before the first batch ----

TEST(Trainer, AFolderThatCannotBeWrittenIsNoticedBeforeTheFirstBatch) {
  const test::TempFolder folder;
  test::write_bytes(folder / "file", "text");
  for (const std::string& name :
       {folder / "file/run/checkpoint", folder / "file", std::string("/proc/ebb/checkpoint")}) {
    Training t;
    int batches = 0;
    t.loss = [&](const Tensor& scores, const Tensor& target) {
      ++batches;
      return nn::mse_loss(scores, target);
    };
    expect_error([&] { t.run({.epochs = 2, .checkpoint = name}); }, "save_checkpoint", {});
    EXPECT_EQ(batches, 0) << name;
  }
  Training t;
  EXPECT_TRUE(t.run({.epochs = 1, .checkpoint = folder / "a/b/c"}));
  const std::filesystem::directory_iterator left(folder / "a/b");
  EXPECT_EQ(std::distance(begin(left), end(left)), 1) << "nothing but the checkpoint";
}

TEST(Trainer, ALoaderThatWasMovedFromIsNoticed) {
  Training t;
  nn::Trainer trainer(t.model, t.optimizer, t.loader, t.loss, {.quiet = true});
  const data::DataLoader elsewhere = std::move(t.loader);
  expect_error([&] { trainer.run(); }, "Trainer", {"the loader has no samples: it was moved from"});
  expect_error([&] { t.run({}); }, "Trainer", {"it was moved from"});
}

TEST(Trainer, RefusesMoreEpochsThanCanBeCounted) {
  Training t;
  const auto make = [&](int64_t epochs) {
    nn::Trainer(t.model, t.optimizer, t.loader, t.loss, {.epochs = epochs, .quiet = true});
  };
  make(int64_t{1} << 50);  // of eight samples
  for (const int64_t epochs : {(int64_t{1} << 50) + 1, INT64_MAX})
    expect_error([&] { make(epochs); }, "Trainer", {"more than 2^53 samples"});
  expect_error([&] { t.run({.epochs = 0}); }, "Trainer", {"at least 1 epoch"});
}

TEST(Trainer, AnEpochMayHaveOneSample) {
  const test::TempFolder folder;
  for (const int64_t epochs : {2, 5}) {
    Training t({.batch_size = 4, .shuffle = true});
    t.loader = data::DataLoader({ones({1, 2}), zeros({1, 1})}, t.loader.options());
    nn::Trainer trainer(t.model, t.optimizer, t.loader, t.loss,
                        {.epochs = epochs,
                         .checkpoint = folder / "c",
                         .resume = epochs > 2,
                         .quiet = true,
                         .validation = &t.loader});
    EXPECT_TRUE(trainer.run());
    EXPECT_EQ(trainer.epochs_run(), epochs > 2 ? 3 : 2);
    EXPECT_EQ(t.optimizer.steps(), epochs);
    ASSERT_EQ(trainer.history().size(), static_cast<size_t>(epochs));
    EXPECT_EQ(trainer.history()[0].at("loss"), 0.25);
    EXPECT_LT(trainer.history()[0].at("val_loss"), 0.25);
  }
}

TEST(Trainer, ALossMustHaveOneElement) {
  Training t;
  const auto before = t.weights();
  t.loss = [](const Tensor& scores, const Tensor&) { return scores; };
  expect_error([&] { t.run({}); }, "Trainer", {"expected a loss of one element", "(2, 1)"});
  t.loss = [](const Tensor&, const Tensor&) { return Tensor(); };
  expect_error([&] { t.run({}); }, "Trainer", {"undefined"});
  EXPECT_EQ(t.weights(), before);
  t.loss = [](const Tensor& scores, const Tensor&) { return reshape(sum(scores), {1, 1}); };
  EXPECT_TRUE(t.run({.epochs = 1}));
}

TEST(Trainer, AModelMayBeConvertedBetweenRuns) {
  Training plain, converted;
  converted.loader = data::DataLoader(plain.loader.dataset(),
                                      {.batch_size = 2, .transform = [&](data::Batch b) {
                                         const DType dtype = converted.model.weight.dtype();
                                         return data::Batch{b.input.to(dtype), b.target.to(dtype)};
                                       }});
  nn::Trainer trainer(converted.model, converted.optimizer, converted.loader, converted.loss,
                      {.epochs = 1, .quiet = true});
  for (DType dtype : {f32, f64, f32}) {
    converted.model.to(dtype);
    EXPECT_TRUE(trainer.run());
    EXPECT_TRUE(plain.run({.epochs = 1}));
  }
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(converted.weights()[i], plain.weights()[i], 1e-5);
}

}  // namespace
