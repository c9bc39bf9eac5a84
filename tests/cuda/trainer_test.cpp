// Training as users do it: loader, Trainer and checkpoints, with a model on the GPU.
#include <gtest/gtest.h>

#include <filesystem>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using TrainerOnGpu = CudaTest;

// Three classes of points that a small network separates. 70 samples in batches of 16, so the last
// batch is smaller.
data::Dataset points() {
  Generator g{3, 0};
  const Tensor x = randn({70, 5}, {}, &g);
  return data::Dataset(x, argmax(slice(x, 1, 0, 3), 1));
}

struct Training {
  nn::Sequential model{nn::Linear(5, 16), nn::ReLU(), nn::Dropout(0.1), nn::Linear(16, 3)};
  std::unique_ptr<nn::Adam> optimizer;
  bool finished = false;
  std::vector<nn::EpochRecord> history;

  // data_there: the data set is on the device of the model. stop_after: a number of batches.
  Training(Device device, nn::TrainerOptions options, bool data_there = false,
           int64_t stop_after = 0) {
    manual_seed(1);
    model = nn::Sequential{nn::Linear(5, 16), nn::ReLU(), nn::Dropout(0.1), nn::Linear(16, 3)};
    model.to(device);
    optimizer = std::make_unique<nn::Adam>(model.named_parameters(), nn::AdamOptions{.lr = 0.02});
    data::DataLoader loader(data_there ? points().to(device) : points(),
                            {.batch_size = 16, .shuffle = true, .seed = 2, .device = device});
    options.quiet = true;
    nn::Trainer* running = nullptr;
    int64_t batches = 0;
    if (stop_after > 0) {
      options.lr_schedule = [&](double) {
        if (++batches == stop_after) running->stop();
        return 1.0;
      };
    }
    nn::Trainer trainer(model, *optimizer, loader, nn::CrossEntropyLoss(), options);
    running = &trainer;
    finished = trainer.run();
    history = trainer.history();
  }
  std::vector<double> parameters() const {
    std::vector<double> all;
    for (const Tensor& p : model.parameters()) {
      for (double v : p.to_vector<double>()) all.push_back(v);
    }
    return all;
  }
};

TEST_F(TrainerOnGpu, LearnsTheSameEagerAndCapturedAndOnTheCpu) {
  nn::TrainerOptions options{.epochs = 12,
                             .lr_schedule = [](double done) { return 1 - 0.5 * done; }};
  const Training cpu(Device::cpu(), options), eager(kCuda, options);
  options.capture = true;
  Training captured(kCuda, options);
  EXPECT_TRUE(eager.finished && captured.finished);
  EXPECT_EQ(captured.parameters(), eager.parameters());
  expect_values(eager.parameters(), cpu.parameters(), 1e-3, 1e-4, "parameters on the GPU");
  EXPECT_EQ(captured.optimizer->steps(), 12 * 5);
  EXPECT_GT(nn::evaluate(captured.model, points(), 3).accuracy(), 0.9);
}

TEST_F(TrainerOnGpu, ResumesACapturedTrainingToTheBit) {
  const std::string folder = testing::TempDir() + "ebb_captured";
  std::filesystem::remove_all(folder);
  const Training whole(kCuda, {.epochs = 6, .capture = true});
  const Training half(kCuda, {.epochs = 3, .checkpoint = folder, .capture = true});
  EXPECT_NE(half.parameters(), whole.parameters());
  const Training resumed(kCuda,
                         {.epochs = 6, .checkpoint = folder, .resume = true, .capture = true});
  EXPECT_EQ(resumed.parameters(), whole.parameters());
  std::filesystem::remove_all(folder);
}

TEST_F(TrainerOnGpu, LearnsTheSameFromDataOnTheDevice) {
  nn::TrainerOptions options{.epochs = 4};
  const Training uploads(kCuda, options), eager(kCuda, options, true);
  options.capture = true;
  const Training captured(kCuda, options, true);
  for (const Training* other : {&eager, &captured}) {
    EXPECT_EQ(other->parameters(), uploads.parameters());
    ASSERT_EQ(other->history.size(), 4u);
    for (size_t k = 0; k < 4; ++k)
      EXPECT_EQ(other->history[k].values, uploads.history[k].values) << "epoch " << k;
  }
}

// Stopped after 7 of the 5 batches of each epoch, that is, in the second one.
TEST_F(TrainerOnGpu, ResumesInTheMiddleOfAnEpochOfDataOnTheDevice) {
  const std::string folder = testing::TempDir() + "ebb_on_device";
  std::filesystem::remove_all(folder);
  const Training whole(kCuda, {.epochs = 3, .capture = true}, true);
  const Training part(kCuda, {.epochs = 3, .checkpoint = folder, .capture = true}, true, 7);
  EXPECT_FALSE(part.finished);
  const Training resumed(
      kCuda, {.epochs = 3, .checkpoint = folder, .resume = true, .capture = true}, true);
  EXPECT_EQ(resumed.parameters(), whole.parameters());
  std::filesystem::remove_all(folder);
}

TEST_F(TrainerOnGpu, ALoaderUploadsWhatTheCpuHas) {
  const data::Dataset all = points();
  data::DataLoader here(all, {.batch_size = 16, .shuffle = true, .seed = 9});
  data::DataLoader there(all, {.batch_size = 16, .shuffle = true, .seed = 9, .device = kCuda});
  for (int epoch = 0; epoch < 3; ++epoch) {  // blocks are reused
    auto want = here.begin();
    for (const data::Batch& batch : there) {
      EXPECT_EQ(batch.input.device(), kCuda);
      EXPECT_EQ(batch.input.to_vector<float>(), (*want).input.to_vector<float>());
      EXPECT_EQ(batch.target.to_vector<int64_t>(), (*want).target.to_vector<int64_t>());
      ++want;
    }
  }
}

}  // namespace
}  // namespace ebb::test
