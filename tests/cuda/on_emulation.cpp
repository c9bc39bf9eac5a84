// Tests that need the emulated device: numbers of launches, exhausted memory, a capture that fails
// at its end.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <ostream>

#include "cuda_runtime.h"
#include "ebb/backends/cuda/small_products.h"
#include "ebb/core/backend.h"
#include "ebb/core/convolution.h"
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
  backend(kCuda);  // allocates its own memory
  const int64_t live = emulation::counters().bytes_live;
  emulation::limit_memory(static_cast<size_t>(live) + (5 << 20));
  backend(kCuda).upload(zeros({1 << 20}));  // 4 MiB
  EXPECT_EQ(emulation::counters().bytes_live, live + (4 << 20));
  const Tensor other = zeros({1 << 19}, {.device = kCuda});
  EXPECT_EQ(emulation::counters().bytes_live, live + (2 << 20));
}

TEST_F(OnEmulation, WhatIsKeptIsGivenBackAndMakesRoom) {
  backend(kCuda);
  cuda::empty_cache();
  const int64_t live = emulation::counters().bytes_live;
  emulation::limit_memory(static_cast<size_t>(live) + (5 << 20));
  zeros({1 << 20}, {.device = kCuda});  // 4 MiB that may be kept
  zeros({1 << 19}, {.device = kCuda});  // another size, so the kept memory must be freed
  cuda::empty_cache();
  EXPECT_EQ(emulation::counters().bytes_live, live);
  EXPECT_EQ(cuda::memory_stats().cached_bytes, 0);
}

TEST_F(OnEmulation, PinnedMemoryIsGivenBack) {
  backend(kCuda);
  cuda::empty_cache();
  const int64_t pinned = emulation::counters().pinned_live;
  backend(kCuda).upload(zeros({1000}));
  EXPECT_GE(emulation::counters().pinned_live, pinned + 4000);
  cuda::empty_cache();
  EXPECT_EQ(emulation::counters().pinned_live, pinned);
  {
    Tensor y;
    cuda::CapturedStep step([&] { y = tensor({1, 2, 3}, f32).to(kCuda) * 2; });
    for (int i = 0; i < 3; ++i) step();
    EXPECT_GT(emulation::counters().pinned_live, pinned);
  }
  EXPECT_EQ(emulation::counters().pinned_live, pinned);
}

TEST_F(OnEmulation, OutOfMemoryStatesWhatTheDeviceHas) {
  backend(kCuda);
  cuda::empty_cache();
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  expect_error([] { empty({int64_t{1} << 45}, {.device = kCuda}); }, "cuda",
               {std::to_string(free) + " of " + std::to_string(total) + " bytes free"});
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
    cudaStreamWaitEvent(other, fork);  // and nothing waits for the other stream
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

// Returns the work that body submits to the device.
struct Work {
  int64_t kernels, products, copies;
  bool operator==(const Work&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Work& w) {
    return out << w.kernels << " kernels, " << w.products << " products, " << w.copies << " copies";
  }
};
template <class Body> Work work_of(const Body& body) {
  const int64_t waits = cuda::synchronizations();
  emulation::reset();
  body();
  const emulation::Counters seen = emulation::counters();
  EXPECT_EQ(cuda::synchronizations(), waits);
  return {seen.launches, seen.matmuls, seen.copies};
}

// The capture fails, not the algorithm of cuBLAS. Later products of this shape must work as before.
TEST_F(OnEmulation, AProductInALostCaptureDoesNotCountAgainstItsAlgorithm) {
  cuda::use_small_products(false);
  const Tensor x = randn({4, 3}).to(kCuda), weight = randn({5, 3}).to(kCuda),
               bias = randn({5}).to(kCuda);
  for (const Activation activation : {Activation::None, Activation::Relu}) {
    for (const Tensor& b : {Tensor(), bias}) {
      const auto run = [&] { return linear(x, weight, b, activation); };
      const auto want = run().to_vector<float>();
      const Work before = work_of(run);
      bool loses = false;
      cuda::CapturedStep step([&] {
        if (loses) cudaStreamQuery(static_cast<cudaStream_t>(cuda::stream()));
        run();
      });
      step();
      loses = true;
      expect_error([&] { step(); }, "cuda", {"cublasLtMatmul"});
      EXPECT_EQ(run().to_vector<float>(), want);
      EXPECT_EQ(work_of(run), before);
    }
  }
  cuda::use_small_products(true);
}

// EBB_EMULATION_CUDNN selects a library that does not work.
std::string emulated_cudnn() {
  const char* value = std::getenv("EBB_EMULATION_CUDNN");
  return value ? value : "";
}

TEST_F(OnEmulation, ConvolutionsRunOnCudnnIfItWorks) {
  const std::string library = emulated_cudnn();
  EXPECT_EQ(cuda::has_cudnn(), library != "absent" && library != "broken");
  const Tensor x = ones({2, 3, 5, 5}).to(kCuda).requires_grad_(),
               w = ones({4, 3, 3, 3}).to(kCuda).requires_grad_();
  emulation::reset();
  sum(conv2d(x, w)).backward();
  EXPECT_EQ(emulation::counters().convolutions, library.empty() ? 3 : 0);
  emulation::reset();
  conv2d(x.detach().to(f64), w.detach().to(f64));
  EXPECT_EQ(emulation::counters().convolutions, 0);
}

TEST_F(OnEmulation, CudnnTakesConvolutionsOfEveryShape) {
  const NoGrad guard;
  const Tensor storage = ones({1000}).to(kCuda);
  const auto make = [&](const Shape& shape, int64_t start = 0) {
    return reshape(slice(storage, 0, start, start + shape.numel()), shape);
  };
  const std::vector<std::function<Tensor()>> all{
      [&] {
        return conv2d(make({1, 2, 5, 5}, 1), make({3, 2, 3, 3}, 2));
      },  // aligned to 4 bytes
      [&] {
        return conv2d(make({1, 2, 5, 5}), make({3, 2, 4, 2}), {}, {.padding = "same"});
      },
      [&] {
        return conv2d(make({1, 2, 8, 9}), make({3, 2, 3, 3}), {}, {.stride = {2, 3}});
      },
      [&] {
        return conv2d(make({1, 4, 7, 7}), make({4, 1, 3, 3}), {}, {.dilation = 2, .groups = 4});
      },
      [&] {
        return conv1d(make({1, 2, 9}), make({3, 2, 3}), {}, {.padding = 1});
      },
      [&] {
        return conv_transpose2d(make({1, 2, 4, 4}), make({2, 3, 3, 3}), {},
                                {.stride = 3, .output_padding = 2});
      }};
  for (size_t i = 0; i < all.size(); ++i) {
    emulation::reset();
    all[i]();
    EXPECT_EQ(emulation::counters().convolutions, emulated_cudnn().empty() ? 1 : 0) << i;
  }
}

// cuDNN computes y of all windows that fit, which are 7 x 7 here.
TEST_F(OnEmulation, AConvolutionOfFewerWindowsThanFitGetsNoEngine) {
  const Tensor x = ones({1, 1, 9, 9}).to(kCuda), w = ones({1, 1, 3, 3}).to(kCuda),
               y = empty({1, 1, 2, 3}, {.device = kCuda});
  emulation::reset();
  backend(kCuda).convolution().run({.x = &x, .w = &w, .y = &y});
  EXPECT_EQ(emulation::counters().convolutions, 0);
  expect_values(y, std::vector<double>(6, 9.0));
}

// The step runs on Ebb's kernels, because a capture must not load a library or choose an engine.
TEST_F(OnEmulation, AConvolutionThatFirstOccursInACaptureGetsNoEngineThere) {
  const NoGrad guard;
  const Tensor small = ones({1, 1, 4, 4}).to(kCuda), large = ones({1, 1, 9, 8}).to(kCuda),
               w = ones({1, 1, 3, 3}).to(kCuda);
  Tensor y;
  bool captured = false;
  cuda::CapturedStep step([&] { y = conv2d(captured ? large : small, w); });
  step();
  captured = true;
  emulation::reset();
  step();
  EXPECT_EQ(emulation::counters().convolutions, 0);
  expect_values(y, std::vector<double>(42, 9.0));
}

TEST_F(OnEmulation, AConvolutionInALostCaptureDoesNotCountAgainstItsEngine) {
  const NoGrad guard;
  const Tensor x = ones({1, 2, 4, 4}).to(kCuda), w = ones({3, 2, 3, 3}).to(kCuda);
  bool loses = false;
  cuda::CapturedStep step([&] {
    if (loses) cudaStreamQuery(static_cast<cudaStream_t>(cuda::stream()));
    conv2d(x, w);
  });
  step();
  loses = true;
  expect_error([&] { step(); }, "cuda", {"kernel launch"});
  emulation::reset();
  expect_values(conv2d(x, w), std::vector<double>(12, 18.0));
  EXPECT_EQ(emulation::counters().convolutions, emulated_cudnn().empty() ? 1 : 0);
}

TEST_F(OnEmulation, ATrainingStepLaunchesNoMoreThanItNeeds) {
  nn::Sequential model{nn::Linear(8, 16), nn::ReLU(), nn::Linear(16, 16), nn::ReLU(),
                       nn::Linear(16, 3)};
  model.to(kCuda);
  nn::Adam optimizer(model.named_parameters());
  const Tensor x = randn({32, 8}).to(kCuda), t = zeros({32}, {.dtype = i64, .device = kCuda});
  Tensor loss;
  const auto once = [&] {
    optimizer.zero_grad();
    loss = nn::cross_entropy(model(x), t);
    loss.backward();
    optimizer.step();
  };
  once();  // creates the optimizer's moments
  // The loss with its gradient, and Adam. Three products forward, a pair of products for each of
  // two layers and one for the first layer; everything else is in the same kernels.
  const Work step{8, 0, 0};
  EXPECT_EQ(work_of(once), step);
  cuda::CapturedStep captured(once);
  captured();
  Work recorded = step;
  ++recorded.kernels;  // one writes the optimizer's state before the first replay
  EXPECT_EQ(work_of([&] { captured(); }), recorded);
  EXPECT_EQ(work_of([&] { captured(); }), (Work{0, 0, 0}));
  EXPECT_EQ(emulation::counters().graph_launches, 1);
  // On cuBLASLt: three products for weights and two for inputs.
  cuda::use_small_products(false);
  EXPECT_EQ(work_of(once), (Work{2, 8, 0}));
  cuda::use_small_products(true);
}

// An epoch copies its order, and sets the position of its first batch.
TEST_F(OnEmulation, ACapturedEpochOfDataOnTheDeviceIsOneLaunchPerBatch) {
  nn::Sequential model{nn::Linear(6, 16), nn::ReLU(), nn::Linear(16, 3)};
  model.to(kCuda);
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  const data::Dataset points(randn({64, 6}), zeros({64}, {.dtype = i64}));
  data::DataLoader loader(points.to(kCuda), {.batch_size = 8, .shuffle = true});
  const auto step = [&](const data::Batch& batch) {
    const Tensor scores = model(batch.input);
    nn::cross_entropy(scores, batch.target).backward();
    optimizer.step();
  };
  cuda::CapturedStep captured([&] { step(loader.gather()); });
  const auto epoch = [&] {
    for (auto batch = loader.begin(); batch != loader.end(); ++batch) captured();
  };
  epoch();
  EXPECT_EQ(work_of(epoch), (Work{1, 0, 1}));
  EXPECT_EQ(emulation::counters().graph_launches, 8);
  EXPECT_EQ(work_of([&] {
              loader.begin();
              loader.gather();
            }),
            (Work{1, 0, 1}));
  nn::detail::RunningFigures sums(kCuda);
  const Tensor scores = randn({8, 3}).to(kCuda),
               target = zeros({8}, {.dtype = i64, .device = kCuda});
  const Tensor loss = nn::cross_entropy(scores, target);
  EXPECT_EQ(work_of([&] { sums.add("test", scores, target, loss, 8); }), (Work{1, 0, 0}));
}

TEST_F(OnEmulation, ADataSetThatDoesNotFitStaysOnTheHost) {
  backend(kCuda);
  cuda::empty_cache();
  const data::Dataset large(zeros({1 << 18}), zeros({1 << 18}));  // 2 MiB
  const int64_t live = emulation::counters().bytes_live;
  emulation::limit_memory(static_cast<size_t>(live) + (4 << 20));
  EXPECT_EQ(large.to_if_it_fits(kCuda).device(), kCuda);
  cuda::empty_cache();
  emulation::limit_memory(static_cast<size_t>(live) + (4 << 20) - 1);
  EXPECT_EQ(large.to_if_it_fits(kCuda).device(), Device::cpu());
}

TEST_F(OnEmulation, ReluAndGeluBelongToTheProductsBelow) {
  const NoGrad guard;
  const Tensor x = randn({9, 12}).to(kCuda);
  nn::Sequential relu{nn::Linear(12, 16), nn::ReLU(), nn::Linear(16, 3)};
  nn::Sequential gelu{nn::Linear(12, 16), nn::GELU(GeluApproximate::Tanh), nn::Linear(16, 3)};
  for (nn::Sequential* model : {&relu, &gelu}) {
    model->to(kCuda);
    EXPECT_EQ(work_of([&] { (*model)(x); }), (Work{2, 0, 0}));
    cuda::use_small_products(false);
    EXPECT_EQ(work_of([&] { (*model)(x); }), (Work{0, 2, 0}));
    cuda::use_small_products(true);
  }
}

// Such a backward does not read the initial gradient of 1, so no kernel writes it.
TEST_F(OnEmulation, ALossAndItsGradientAreOneKernel) {
  const Tensor x = randn({6, 5}).to(kCuda).requires_grad_(), t = rand({6, 5}).to(kCuda);
  const Tensor classes = zeros({6}, {.dtype = i64, .device = kCuda});
  const std::vector<std::function<Tensor()>> losses{
      [&] { return nn::mse_loss(x, t); },
      [&] { return nn::l1_loss(x, t); },
      [&] { return nn::smooth_l1_loss(x, t); },
      [&] { return nn::huber_loss(x, t); },
      [&] { return nn::binary_cross_entropy_with_logits(x, t); },
  };
  for (size_t i = 0; i < losses.size(); ++i) {
    Tensor(x).set_grad({});
    EXPECT_EQ(work_of([&] { losses[i]().backward(); }), (Work{1, 0, 0})) << "loss " << i;
  }
  Tensor(x).set_grad({});  // the loss checks the classes
  EXPECT_EQ(work_of([&] { nn::cross_entropy(x, classes).backward(); }), (Work{1, 0, 0}));
  Tensor(x).set_grad({});
  const Tensor loss = nn::cross_entropy(x, classes);
  EXPECT_EQ(work_of([&] { loss.backward({}, true); }),
            (Work{2, 0, 0}));  // writes the 1 and multiplies by it
}

}  // namespace
}  // namespace ebb::test
