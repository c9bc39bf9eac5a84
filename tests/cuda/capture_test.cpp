// Captured steps compared with eager ones, and operations that a capture refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <thread>

#include "ebb/core/backend.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using Capture = CudaTest;

// A network with dropout, Adam and a schedule, and data that changes in every step.
struct Training {
  nn::Sequential model{nn::Linear(6, 16), nn::ReLU(), nn::Dropout(0.25), nn::Linear(16, 3)};
  Tensor x = zeros({10, 6}, {.device = kCuda}), t = zeros({10}, {.dtype = i64, .device = kCuda}),
         loss;
  std::unique_ptr<nn::Optimizer> optimizer;

  explicit Training(const std::string& rule) {
    manual_seed(11);
    nn::Sequential fresh{nn::Linear(6, 16), nn::ReLU(), nn::Dropout(0.25), nn::Linear(16, 3)};
    model = fresh;
    model.to(kCuda);
    if (rule == "sgd") {
      optimizer = std::make_unique<nn::SGD>(model.named_parameters(),
                                            nn::SGDOptions{.lr = 0.1, .momentum = 0.9});
    } else {
      optimizer = std::make_unique<nn::Adam>(model.named_parameters(), nn::AdamOptions{.lr = 0.01});
    }
    manual_seed(5);
  }
  void step() {
    loss = nn::cross_entropy(model(x), t);
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
  }
  // The state before step i of a run.
  void feed(int i) {
    Generator generator{100 + static_cast<uint64_t>(i), 0};
    x.copy_(randn({10, 6}, {}, &generator));
    t.copy_(argmax(slice(x, 1, 0, 3), 1));
    optimizer->set_lr(0.02 / (1 + i / 20));
    if (i == 40) rand({7}, {.device = kCuda});  // drawing numbers shifts all later ones
  }
};

// EBB_SHORT_TESTS: ten replays, for tools under which kernels take hundreds of times as long.
TEST_F(Capture, AHundredReplaysEqualAHundredSteps) {
  const int replays = std::getenv("EBB_SHORT_TESTS") ? 10 : 100, stride = 100 / replays;
  for (const std::string rule : {"sgd", "adam"}) {
    SCOPED_TRACE(rule);
    Training eager(rule);
    std::vector<double> wanted;
    for (int i = 0; i <= replays; ++i) {
      eager.feed(i * stride);
      eager.step();
      wanted.push_back(eager.loss.item());
    }
    const Generator end = default_generator();
    Training captured(rule);
    cuda::CapturedStep step = cuda::capture([&] { captured.step(); });
    for (int i = 0; i <= replays; ++i) {
      captured.feed(i * stride);
      step();
      EXPECT_EQ(captured.loss.item(), wanted[static_cast<size_t>(i)]) << "step " << i;
    }
    EXPECT_EQ(step.replays(), replays);
    EXPECT_EQ(captured.optimizer->steps(), replays + 1);
    EXPECT_EQ(default_generator().offset, end.offset);
    const auto want = eager.model.parameters(), got = captured.model.parameters();
    for (size_t k = 0; k < want.size(); ++k) {
      EXPECT_EQ(got[k].to_vector<float>(), want[k].to_vector<float>()) << "parameter " << k;
    }
    EXPECT_TRUE(replays < 100 || wanted.back() < wanted.front());
  }
}

TEST_F(Capture, OtherWorkInBetweenDoesNotDisturbIt) {
  Training eager("adam"), captured("adam");
  manual_seed(5);
  for (int i = 0; i < 6; ++i) {
    eager.feed(i);
    eager.step();
  }
  manual_seed(5);
  cuda::CapturedStep step([&] { captured.step(); });
  for (int i = 0; i < 6; ++i) {
    captured.feed(i);
    step();
    std::vector<Tensor> clutter;  // of the sizes that the step uses
    for (int64_t n : {160, 48, 30, 10, 96}) clutter.push_back(full({n}, 1e6, {.device = kCuda}));
    EXPECT_EQ(clutter[0].to_vector<float>(), std::vector<float>(160, 1e6f));
  }
  EXPECT_EQ(captured.loss.item(), eager.loss.item());
}

// The tensor exists before the capture, and every launch writes to it again.
TEST_F(Capture, WhatItFreesIsNotGivenToOthers) {
  Tensor y = zeros({300}, {.device = kCuda});
  cuda::CapturedStep step([&] {
    y.fill_(7);
    y = y + 1.0;
  });
  step();
  step();
  const Tensor other = full({300}, 5.0, {.device = kCuda}),
               another = full({300}, 5.0, {.device = kCuda});
  step();
  EXPECT_EQ(other.to_vector<float>(), std::vector<float>(300, 5));
  EXPECT_EQ(another.to_vector<float>(), std::vector<float>(300, 5));
  EXPECT_EQ(y.to_vector<float>(), std::vector<float>(300, 8));
}

// The learning rate and the step count are in memory next to tensors that the step allocates and
// frees.
TEST_F(Capture, TensorsThatComeAndGoLeaveTheOptimizersStateAlone) {
  Tensor p = zeros({2}, {.device = kCuda}).requires_grad_();
  nn::SGD optimizer({{"p", p}}, {.lr = 0.5});
  cuda::CapturedStep step([&] {
    optimizer.zero_grad();
    sum(p).backward();
    for (int64_t n = 1; n < 5; ++n) full({n}, 1e30, {.device = kCuda});
    optimizer.step();
  });
  for (int i = 1; i <= 4; ++i) {
    step();
    EXPECT_EQ(p.to_vector<float>(), std::vector<float>(2, -0.5f * static_cast<float>(i)));
  }
}

TEST_F(Capture, ALossOutlivesItsStep) {
  Training training("sgd");
  {
    cuda::CapturedStep step([&] { training.step(); });
    for (int i = 0; i < 3; ++i) {
      training.feed(i);
      step();
    }
  }
  EXPECT_TRUE(std::isfinite(training.loss.item()));
}

TEST_F(Capture, WaitingForTheDeviceIsRefusedAndUndone) {
  Training training("adam");
  bool wait = false;
  double seen = 0;
  cuda::CapturedStep step([&] {
    training.step();
    if (wait) seen = training.loss.item();
  });
  step();
  const Generator before = default_generator();
  const int64_t steps = training.optimizer->steps();
  wait = true;
  expect_error([&] { step(); }, "copy to the cpu", {"captured", "wait"});
  EXPECT_EQ(training.optimizer->steps(), steps);
  EXPECT_EQ(default_generator().offset, before.offset);
  wait = false;
  step();  // works afterwards
  EXPECT_TRUE(std::isfinite(training.loss.item()));
  EXPECT_EQ(training.optimizer->steps(), steps + 1);
}

// Every launch reads the host data again that the step has copied to the device.
TEST_F(Capture, ConstantsOfTheStepLiveAsLongAsIt) {
  Tensor x = zeros({3}, {.device = kCuda}), y;
  cuda::CapturedStep step([&] { y = x + tensor({1, 2, 3}, f32).to(kCuda); });
  for (int i = 0; i < 4; ++i) {
    x.fill_(i);
    step();
    EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{1.0f + i, 2.0f + i, 3.0f + i}));
  }
}

// The event that marks the end of their use must not belong to the graph. An upload that waits for
// it would fail after the capture, and would become part of it before its end.
TEST_F(Capture, UploadsThatAreFreedInItAreUsedAgain) {
  Backend& device = backend(kCuda);
  const Tensor host = tensor({1, 2, 3}, f32);
  Tensor batch, meanwhile;
  const Tensor y = zeros({3}, {.device = kCuda});
  cuda::CapturedStep step([&] {
    batch = {};
    std::thread([&] { meanwhile = device.upload(host); }).join();
    Tensor(y).add_(ones({3}, {.device = kCuda}));
  });
  for (int i = 1; i < 4; ++i) {
    batch = device.upload(host);
    device.receive(batch);
    step();
    const Tensor after = device.upload(host * i);
    device.receive(after);
    EXPECT_EQ(after.to_vector<float>(), (std::vector<float>{1.0f * i, 2.0f * i, 3.0f * i}));
    EXPECT_EQ(y.to_vector<float>(), std::vector<float>(3, static_cast<float>(i)));
  }
}

TEST_F(Capture, ALoadersBatchIsRefused) {
  const data::Dataset dataset(randn({8, 3}), zeros({8}, {.dtype = i64}));
  for (const int prefetch : {0, 2}) {
    data::DataLoader loader(dataset, {.batch_size = 4, .prefetch = prefetch, .device = kCuda});
    Tensor total = zeros({}, {.device = kCuda});
    cuda::CapturedStep step([&] {
      for (const data::Batch& batch : loader) total.add_(sum(batch.input));
    });
    step();
    expect_error([&] { step(); }, prefetch == 0 ? "upload" : "receive",
                 {"captured", "loader's batch"});
  }
}

// Has targets of every kind: of the head and of each cluster, in any order; and at the end one
// cluster without targets.
TEST_F(Capture, AdaptiveSoftmaxIsThatOfTheCpuAndWaitsForNothing) {
  for (const DType dtype : {f32, f64}) {
    manual_seed(12);
    const nn::AdaptiveLogSoftmaxWithLoss here(16, 30, {4, 10, 20}, {.div_value = 2}, dtype),
        there(16, 30, {4, 10, 20}, {.div_value = 2}, dtype);
    const auto mine = here.parameters(), theirs = there.parameters();
    {
      const NoGrad guard;
      for (size_t k = 0; k < mine.size(); ++k) Tensor(theirs[k]).copy_(mine[k]);
    }
    nn::Module(there).to(kCuda);
    Tensor x = empty({7, 16}, {.dtype = dtype, .device = kCuda}).requires_grad_();
    Tensor t = empty({7}, {.dtype = i64, .device = kCuda});
    nn::AdaptiveLogSoftmaxWithLoss::Output got;
    cuda::CapturedStep step([&] {
      x.set_grad({});
      for (Tensor p : there.parameters()) p.set_grad({});
      got = there(x, t);
      (got.loss + sum(got.output)).backward();
    });
    for (const std::vector<int64_t>& classes : {std::vector<int64_t>{0, 29, 4, 9, 10, 19, 20},
                                                {3, 5, 5, 25, 1, 2, 6},
                                                {21, 22, 23, 4, 5, 0, 1},
                                                {0, 1, 2, 3, 0, 1, 2}}) {
      const Tensor input = randn({7, 16}, {.dtype = dtype}).requires_grad_(),
                   target = from_data(classes, {7});
      for (Tensor p : mine) p.set_grad({});
      const auto want = here(input, target);
      (want.loss + sum(want.output)).backward();
      {
        const NoGrad guard;
        x.copy_(input);
      }
      t.copy_(target);
      const int64_t waits = cuda::synchronizations();
      step();
      EXPECT_EQ(cuda::synchronizations(), waits);
      const double tolerance = dtype == f32 ? 1e-6 : 1e-12;
      expect_values(got.output, want.output.to_vector<double>(), tolerance, tolerance);
      expect_values(got.loss, {want.loss.item()}, tolerance);
      expect_values(x.grad(), input.grad().to_vector<double>(), tolerance, tolerance);
      for (size_t k = 0; k < mine.size(); ++k) {
        expect_values(theirs[k].grad(), mine[k].grad().to_vector<double>(), tolerance, tolerance);
      }
    }
    EXPECT_EQ(step.replays(), 3);
    for (const int64_t wrong : {-100, -1, 30, 31}) {
      const auto bad =
          there(x.detach(), full({7}, static_cast<double>(wrong), {.dtype = i64, .device = kCuda}));
      expect_error([] { cuda::synchronize(); }, "adaptive_log_softmax_with_loss",
                   {"index " + std::to_string(wrong), "expected 0 to 29"});
      EXPECT_TRUE(std::isnan(bad.loss.item()));
    }
  }
}

TEST_F(Capture, AllowingTf32IsRefused) {
  const Tensor a = randn({8, 8}).to(kCuda);
  cuda::CapturedStep step([&] {
    cuda::set_allow_tf32(true);
    matmul(a, a);
  });
  step();
  expect_error([&] { step(); }, "set_allow_tf32", {"captured"});
  cuda::set_allow_tf32(false);
}

TEST_F(Capture, OtherGeneratorsAreRefused) {
  Tensor x = zeros({4}, {.device = kCuda});
  Generator own{3, 0};
  cuda::CapturedStep step([&] { normal_(x, 0, 1, &own); });
  step();
  expect_error([&] { step(); }, "capture", {"default generator"});
}

// The running statistics of batch norm, the cumulative ones too, are part of the step.
TEST_F(Capture, RunningStatisticsAreUpdatedByEveryReplay) {
  for (const std::optional<double> momentum : {std::optional(0.3), std::optional<double>()}) {
    nn::BatchNorm2d eager(3, {.momentum = momentum}), captured(3, {.momentum = momentum});
    eager.to(kCuda);
    captured.to(kCuda);
    Tensor x = zeros({2, 3, 4, 5}, {.device = kCuda}), y;
    cuda::CapturedStep step([&] { y = captured(x); });
    for (uint64_t i = 0; i < 4; ++i) {
      Generator generator{i, 0};
      x.copy_(randn({2, 3, 4, 5}, {}, &generator));
      step();
      EXPECT_EQ(y.to_vector<float>(), eager(x).to_vector<float>());
    }
    EXPECT_EQ(captured.num_batches_tracked.item<int64_t>(), 4);
    EXPECT_EQ(captured.running_mean.to_vector<float>(), eager.running_mean.to_vector<float>());
    EXPECT_EQ(captured.running_var.to_vector<float>(), eager.running_var.to_vector<float>());
  }
}

}  // namespace
}  // namespace ebb::test
