// What only the emulated device shows: how much is launched, memory that ends, a capture that fails at its end.
#include <gtest/gtest.h>

#include "cuda_runtime.h"
#include "ebb/core/backend.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"
#include "emulation.h"

namespace ebb::test {
namespace {

class OnEmulation : public testing::Test {
 protected:
  void TearDown() override { emulation::limit_memory(size_t{1} << 30); }
};

TEST_F(OnEmulation, CachedUploadsMakeRoomForOtherTensors) {
  backend(kCuda);  // takes its own memory
  const int64_t live = emulation::counters().bytes_live;
  emulation::limit_memory(static_cast<size_t>(live) + (5 << 20));
  backend(kCuda).upload(zeros({1 << 20}));  // 4 MiB
  EXPECT_EQ(emulation::counters().bytes_live, live + (4 << 20));
  const Tensor other = zeros({1 << 19}, {.device = kCuda});
  EXPECT_EQ(emulation::counters().bytes_live, live + (2 << 20));
}

TEST_F(OnEmulation, ACaptureThatFailsAtItsEndIsUndone) {
  nn::Linear model(3, 2);
  model.to(kCuda);
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  const Tensor x = ones({4, 3}, {.device = kCuda});
  cudaStream_t other = nullptr;
  cudaEvent_t fork = nullptr;
  cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&fork, cudaEventDisableTiming);
  bool forks = false;
  cuda::CapturedStep step([&] {
    optimizer.zero_grad();
    sum(model(nn::dropout(x, 0.5))).backward();
    optimizer.step();
    if (!forks) return;
    const auto stream = static_cast<cudaStream_t>(cuda::stream());
    cudaEventRecord(fork, stream);
    cudaStreamWaitEvent(other, fork);  // and nobody waits for the other stream
  });
  step();
  const Generator before = default_generator();
  forks = true;
  expect_error([&] { step(); }, "cuda", {"end capture", "unjoined"});
  EXPECT_EQ(optimizer.steps(), 1);
  EXPECT_EQ(default_generator().offset, before.offset);
  forks = false;
  step();
  EXPECT_EQ(optimizer.steps(), 2);
  EXPECT_EQ(step.replays(), 1);
  EXPECT_GT(default_generator().offset, before.offset);
  cudaEventDestroy(fork);
  cudaStreamDestroy(other);
}

}  // namespace
}  // namespace ebb::test
