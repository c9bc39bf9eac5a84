// Data sets on the GPU: the loader gathers their batches there, with the bits of the host's loader,
// eagerly and in captured steps.
#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using GpuLoader = CudaTest;
using data::Batch;
using data::DataLoader;
using data::Dataset;
using data::LoaderOptions;

// Samples of a shape and dtype. Targets are the numbers of the samples.
Dataset samples(int64_t n, Shape shape, DType dtype, DType target = i64) {
  Generator generator{7, 0};
  shape.insert(0, n);
  const Tensor values = rand(shape, {.dtype = f64}, &generator) * 200;
  return Dataset(floor(values).to(dtype), arange(n).to(target));
}

void expect_same_batch(const Batch& got, const Batch& want) {
  EXPECT_EQ(got.input.device(), kCuda);
  EXPECT_EQ(got.target.device(), kCuda);
  expect_same_bits(got.input.cpu(), want.input, "input");
  expect_same_bits(got.target.cpu(), want.target, "target");
}

// Odd sizes of rows, for which no load of several elements fits, and sizes for which one does.
TEST_F(GpuLoader, GathersTheBatchesOfTheHost) {
  for (const Dataset& host :
       {samples(37, {28, 28}, u8), samples(37, {5, 3}, u8, u8), samples(20, {2}, u8),
        samples(37, {4}, f32), samples(37, {3}, f32, f32), samples(37, {3, 2}, f64),
        samples(37, {}, i64), samples(37, {0, 3}, f32)}) {
    for (const bool unit_float : {true, false}) {
      for (const bool drop_last : {true, false}) {
        SCOPED_TRACE(to_text(host.inputs().dtype()) + to_text(host.inputs().shape()));
        const LoaderOptions options{.batch_size = 8,
                                    .shuffle = true,
                                    .seed = 3,
                                    .drop_last = drop_last,
                                    .unit_float = unit_float};
        DataLoader here(host, options), there(host.to(kCuda), options);
        for (int epoch = 0; epoch < 2; ++epoch) {
          there.skip(epoch);
          here.skip(epoch);
          auto want = here.begin();
          for (const Batch& batch : there) {
            expect_same_batch(batch, *want);
            EXPECT_EQ(there.consumed(), here.consumed());
            ++want;
          }
          EXPECT_TRUE(want == here.end());
        }
      }
    }
  }
}

// 17 samples in batches of 8: parts of unequal size, and a tail that leaves one part empty.
TEST_F(GpuLoader, RanksGetTheirPartsOfTheHost) {
  const Dataset host = samples(17, {3}, f32);
  const LoaderOptions options{.batch_size = 8, .shuffle = true, .seed = 4};
  for (int64_t rank = 0; rank < 3; ++rank) {
    DataLoader here(host, options), there(host.to(kCuda), options);
    here.shard(rank, 3);
    there.shard(rank, 3);
    auto want = here.begin();
    for (auto got = there.begin(); got != there.end(); ++got, ++want) {
      EXPECT_EQ(got.samples(), want.samples());
      EXPECT_EQ(got.samples(), there.rows_of(there.consumed() - 1).count);
      expect_same_batch(*got, *want);
    }
    EXPECT_TRUE(want == here.end());
  }
}

TEST_F(GpuLoader, GathersFromRowsThatAreNotAligned) {
  const Tensor inputs =
      slice(samples(21, {4}, f32).inputs().to(kCuda).reshape({84}), 0, 1, 81).reshape({20, 4});
  const Dataset host(inputs.cpu(), arange(20)), there(inputs, arange(20).to(kCuda));
  DataLoader want(host), got(there);
  expect_same_batch(*got.begin(), *want.begin());
}

TEST_F(GpuLoader, NeverWaitsForTheDevice) {
  DataLoader loader(samples(100, {6}, f32).to(kCuda), {.batch_size = 8, .shuffle = true});
  const int64_t waits = cuda::synchronizations();
  int64_t batches = 0;
  for (const Batch& batch : loader) batches += batch.input.dim() == 2;
  EXPECT_EQ(batches, 13);
  EXPECT_EQ(cuda::synchronizations(), waits);
}

// Ends an epoch in the middle, skips, takes a batch in between, and starts the next epoch.
TEST_F(GpuLoader, ACapturedStepGathersTheCurrentBatch) {
  const Dataset host = samples(43, {3}, u8);
  const LoaderOptions options{.batch_size = 8, .shuffle = true, .seed = 5};
  DataLoader here(host, options), there(host.to(kCuda), options);
  Batch seen;
  cuda::CapturedStep step([&] {
    const Batch batch = there.gather();
    seen = {batch.input + 0.0, batch.target + 0};
  });
  for (const int64_t skipped : {0, 0, 2, 0}) {
    here.skip(skipped);
    there.skip(skipped);
    auto want = here.begin();
    for (auto batch = there.begin(); batch.samples() == 8; ++batch, ++want) {
      if (there.consumed() == 3) expect_same_batch(*batch, *want);
      step();
      expect_same_batch(seen, *want);
      if (there.consumed() == 4 && skipped == 2) break;
    }
  }
  EXPECT_GT(step.replays(), 10);
}

TEST_F(GpuLoader, ACapturedStepRefusesALargerBatchThanTheEpochHas) {
  DataLoader loader(samples(20, {3}, f32).to(kCuda), {.batch_size = 8});
  cuda::CapturedStep step([&] { loader.gather(); });
  auto batch = loader.begin();
  step();
  step();
  ++batch;
  ++batch;
  expect_error([&] { step(); }, "capture", {"a batch of 8 samples", "the epoch has 4 left"});
  EXPECT_EQ(step.replays(), 1);
  loader.begin();
  step();
  EXPECT_EQ(step.replays(), 2);

  cuda::CapturedStep twice([&] {
    loader.gather();
    loader.gather();
  });
  twice();
  expect_error([&] { twice(); }, "capture", {"gathers the batch of a loader twice"});
}

// The tail of each epoch is an eager step after a captured one that throws. Adam's number of steps
// must not be ahead of the device then.
TEST_F(GpuLoader, ACapturedStepThatThrowsChangesNothing) {
  const auto weights = [](bool captures) {
    manual_seed(2);
    nn::Linear model(3, 2);
    model.to(kCuda);
    nn::Adam optimizer(model.named_parameters(), {.lr = 0.1});
    DataLoader loader(samples(20, {3}, f32).to(kCuda), {.batch_size = 8});
    const auto step = [&](const Batch& batch) {
      optimizer.zero_grad();
      mean(square(model(batch.input))).backward();
      optimizer.step();
    };
    cuda::CapturedStep captured([&] { step(loader.gather()); });
    for (int epoch = 0; epoch < 3; ++epoch) {
      for (auto it = loader.begin(); it != loader.end(); ++it) {
        try {
          captures ? captured() : step(*it);
        } catch (const Error&) {
          step(*it);
        }
      }
    }
    return model.weight.to_vector<double>();
  };
  EXPECT_EQ(weights(true), weights(false));
}

TEST_F(GpuLoader, RefusesWhatItCannotGather) {
  const Dataset host = samples(6, {2}, f32), there = host.to(kCuda);
  expect_error([&] { DataLoader(there, {.device = Device::cpu()}); }, "DataLoader",
               {"the data set is on cuda:0", "cannot be on cpu"});
  expect_error([&] { DataLoader(there, {.transform = [](Batch b) { return b; }}); }, "DataLoader",
               {"a transform needs a data set on the cpu", "cuda:0"});
  expect_error([&] { Dataset(there.inputs(), host.targets()); }, "Dataset",
               {"inputs are on cuda:0 and targets on cpu"});
  DataLoader on_host(host), loader(there);
  on_host.begin();
  expect_error([&] { on_host.gather(); }, "gather", {"is on the cpu"});
  expect_error([&] { loader.gather(); }, "gather", {"no current batch"});
  for (const Batch& batch : loader) EXPECT_EQ(batch.input.size(0), 6);
  expect_error([&] { loader.gather(); }, "gather", {"no current batch"});
}

TEST_F(GpuLoader, ADataSetMovesAndGivesSamples) {
  const Dataset host = samples(9, {2}, u8), there = host.to(kCuda);
  EXPECT_EQ(there.device(), kCuda);
  EXPECT_EQ(there.bytes(), 9 * 2 + 9 * 8);
  EXPECT_EQ(there.to(kCuda).inputs().raw(), there.inputs().raw());
  expect_same_bits(there.to(Device::cpu()).inputs(), host.inputs(), "inputs");
  EXPECT_EQ(host.to_if_it_fits(kCuda).device(), kCuda);
  EXPECT_EQ(there.to_if_it_fits(Device::cpu()).device(), Device::cpu());
  const Tensor chosen = tensor({4, 0, 4}, i64);
  for (const Tensor& indices : {chosen, chosen.to(kCuda)}) {
    const Dataset taken = there.take(indices);
    EXPECT_EQ(taken.device(), kCuda);
    EXPECT_EQ(taken.targets().to_vector<int64_t>(), (std::vector<int64_t>{4, 0, 4}));
    expect_same_bits(taken.inputs().cpu(), host.take(chosen).inputs(), "inputs");
  }
  expect_error([&] { there.take(tensor({9}, i64)); }, "take", {"index 9", "9 samples"});
  EXPECT_EQ(Dataset().to(kCuda).size(), 0);
}

TEST_F(GpuLoader, ModelsPredictFromDataOnEitherDevice) {
  manual_seed(1);
  nn::Linear model(2, 3);
  const Dataset host = samples(9, {2}, f32), there = host.to(kCuda);
  const std::vector<float> want = nn::predict(model, host, 4).to_vector<float>();
  EXPECT_EQ(nn::predict(model, there, 4).to_vector<float>(), want);
  model.to(kCuda);
  EXPECT_EQ(nn::predict(model, there, 4).to_vector<float>(),
            nn::predict(model, host, 4).to_vector<float>());
  DataLoader here(host, {.batch_size = 4, .device = kCuda}), gathers(there, {.batch_size = 4});
  const auto loss = [](const Tensor& scores, const Tensor&) { return mean(scores); };
  EXPECT_EQ(nn::validate(model, gathers, loss), nn::validate(model, here, loss));
}

// Rows of several sizes, with equal scores and NaN, and targets of both dtypes.
TEST_F(GpuLoader, CountsRightAnswersAsTheHostDoes) {
  Generator generator{4, 0};
  for (const auto& [rows, classes] :
       {std::pair<int64_t, int64_t>{70, 3}, {1, 40}, {300, 1}, {0, 2}}) {
    const Tensor odd = rand({rows, classes}, {}, &generator);
    const Tensor scores = where(odd < 0.1, NAN, floor(odd * 5));
    const Tensor target = floor(rand({rows}, {}, &generator) * static_cast<double>(classes));
    for (const DType dtype : {f32, f64, i64}) {
      for (const DType kind : {i64, u8}) {
        const Tensor x = dtype == i64 ? floor(odd * 5).to(i64) : scores.to(dtype);
        const Tensor t = target.to(kind);
        const double want = sum(eq(argmax(x, 1), t.to(i64))).item();
        EXPECT_EQ(nn::count_correct(x, t).item(), want);
        EXPECT_EQ(nn::count_correct(x.to(kCuda), t.to(kCuda)).item(), want);
      }
    }
  }
  expect_error(
      [] {
        nn::count_correct(ones({2, 3}, {.device = kCuda}), zeros({2}, i64));
      },
      "count_correct", {"scores are on cuda:0, and targets on cpu"});
}

}  // namespace
}  // namespace ebb::test
