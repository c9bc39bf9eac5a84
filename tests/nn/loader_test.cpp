// DataLoader: orders, batches, and its thread.
#include "ebb/nn/data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "ebb/core/random.h"
#include "files.h"
#include "samples.h"

namespace ebb::data {
namespace {

using namespace std::chrono_literals;
using test::expect_error;
using test::numbered;
using test::Numbers;

static_assert(std::input_iterator<DataLoader::Iterator>);
static_assert(std::sentinel_for<std::default_sentinel_t, DataLoader::Iterator>);

Numbers samples_of(DataLoader& loader) {
  Numbers samples;
  for (const Batch& batch : loader) {
    for (int64_t target : batch.target.to_vector<int64_t>()) samples.push_back(target);
  }
  return samples;
}

Numbers tail(const Numbers& numbers, int64_t from) {
  return {numbers.begin() + from, numbers.end()};
}

// ---- the batches of an epoch ----

class Prefetch : public testing::TestWithParam<int> {};

TEST_P(Prefetch, BatchesContainTheSamplesInOrder) {
  DataLoader loader(numbered(7), {.batch_size = 3, .prefetch = GetParam()});
  EXPECT_EQ(loader.size(), 3);
  std::vector<int64_t> sizes;
  for (const Batch& batch : loader) {
    sizes.push_back(batch.input.size(0));
    const std::vector<double> input = batch.input.to_vector<double>();
    const Numbers target = batch.target.to_vector<int64_t>();
    for (size_t i = 0; i < target.size(); ++i)
      EXPECT_EQ(input[2 * i + 1], 10.0 * static_cast<double>(target[i]) + 1);
    EXPECT_EQ(loader.consumed(), static_cast<int64_t>(sizes.size()));
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{3, 3, 1}));
  EXPECT_EQ(samples_of(loader), (Numbers{0, 1, 2, 3, 4, 5, 6}));
}

TEST_P(Prefetch, DropLastSkipsAnIncompleteBatch) {
  DataLoader loader(numbered(7), {.batch_size = 3, .drop_last = true, .prefetch = GetParam()});
  EXPECT_EQ(loader.size(), 2);
  EXPECT_EQ(samples_of(loader), (Numbers{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(loader.order(0).numel(), 6);
}

TEST_P(Prefetch, TheOrderIsAFunctionOfSeedAndEpoch) {
  const LoaderOptions options{.batch_size = 8, .shuffle = true, .seed = 5, .prefetch = GetParam()};
  DataLoader loader(numbered(100), options), other(numbered(100), options);
  const Numbers first = samples_of(loader), second = samples_of(loader);
  EXPECT_EQ(loader.epoch(), 1);
  EXPECT_NE(first, second);
  EXPECT_EQ(first, loader.order(0).to_vector<int64_t>());
  EXPECT_EQ(second, loader.order(1).to_vector<int64_t>());
  EXPECT_EQ(std::set<int64_t>(second.begin(), second.end()).size(), 100u);
  other.set_epoch(1);
  EXPECT_EQ(samples_of(other), second);
  other.set_epoch(0);
  EXPECT_EQ(samples_of(other), first);
  DataLoader reseeded(numbered(100),
                      {.batch_size = 8, .shuffle = true, .seed = 6, .prefetch = GetParam()});
  EXPECT_NE(samples_of(reseeded), first);
  EXPECT_NE(reseeded.order(0).to_vector<int64_t>(), loader.order(1).to_vector<int64_t>());
}

TEST_P(Prefetch, SkippingGivesTheTailOfTheOrder) {
  const LoaderOptions options{.batch_size = 8, .shuffle = true, .seed = 5, .prefetch = GetParam()};
  DataLoader whole(numbered(100), options);
  whole.set_epoch(3);
  const Numbers all = samples_of(whole);
  for (int64_t consumed = 0; consumed <= whole.size(); ++consumed) {
    DataLoader resumed(numbered(100), options);
    resumed.set_epoch(3);
    resumed.skip(consumed);
    EXPECT_EQ(resumed.epoch(), 3);
    EXPECT_EQ(samples_of(resumed), tail(all, std::min<int64_t>(consumed * 8, 100))) << consumed;
    EXPECT_EQ(resumed.consumed(), resumed.size());
    // The next epoch is complete again.
    EXPECT_EQ(samples_of(resumed), resumed.order(4).to_vector<int64_t>());
    EXPECT_EQ(samples_of(resumed), resumed.order(5).to_vector<int64_t>());
    resumed.skip(1);
    resumed.set_epoch(6);  // forgets what was to be skipped
    EXPECT_EQ(samples_of(resumed), resumed.order(6).to_vector<int64_t>());
  }
}

TEST_P(Prefetch, CountsDeliveredBatchesAndNotPrefetchedOnes) {
  DataLoader loader(numbered(100), {.batch_size = 8, .prefetch = GetParam()});
  EXPECT_EQ(loader.consumed(), 0);
  loader.skip(2);
  for (const Batch& batch : loader) {
    (void)batch;
    if (loader.consumed() == 5) break;
  }
  std::this_thread::sleep_for(20ms);  // the thread has prefetched more by then
  EXPECT_EQ(loader.consumed(), 5);
  EXPECT_EQ(samples_of(loader).size(), 100u);  // another complete epoch
}

TEST_P(Prefetch, AnErrorReachesTheLoopAfterTheBatchesBeforeIt) {
  int64_t failing = 3;
  const auto transform = [&failing](Batch batch) {
    if (batch.target.to_vector<int64_t>()[0] == 10 * failing)
      fail("transform", "no batch ", failing);
    return batch;
  };
  DataLoader loader(numbered(100),
                    {.batch_size = 10, .prefetch = GetParam(), .transform = transform});
  Numbers seen;
  const auto loop = [&] {
    for (const Batch& batch : loader) seen.push_back(batch.target.to_vector<int64_t>()[0]);
  };
  expect_error(loop, "transform", {"no batch 3"});
  EXPECT_EQ(seen, (Numbers{0, 10, 20}));
  EXPECT_EQ(loader.consumed(), 3);
  failing = 0;
  expect_error(loop, "transform", {"no batch 0"});
  EXPECT_EQ(loader.consumed(), 0);
  failing = 1000;
  EXPECT_EQ(samples_of(loader).size(), 100u);  // the loader still works
}

TEST_P(Prefetch, RandomTransformsAreAFunctionOfSeedEpochAndBatch) {
  const auto noise = [](Batch batch) { return Batch{rand({4}), batch.target}; };
  const auto drawn = [&](uint64_t seed, int64_t epoch, int64_t skipped) {
    DataLoader loader(numbered(20),
                      {.batch_size = 4, .seed = seed, .prefetch = GetParam(), .transform = noise});
    loader.set_epoch(epoch);
    loader.skip(skipped);
    std::vector<float> numbers;
    for (const Batch& batch : loader) {
      for (float number : batch.input.to_vector<float>()) numbers.push_back(number);
    }
    return numbers;
  };
  manual_seed(1);
  const uint64_t before = default_generator().offset;
  const std::vector<float> all = drawn(1, 0, 0);
  EXPECT_EQ(default_generator().offset, before);  // the caller's generator is unchanged
  EXPECT_EQ(std::set<float>(all.begin(), all.end()).size(), 20u);
  EXPECT_EQ(drawn(1, 0, 2), std::vector<float>(all.begin() + 8, all.end()));
  EXPECT_NE(drawn(1, 1, 0), all);
  EXPECT_NE(drawn(2, 0, 0), all);
}

// A training that is resumed by a later version of Ebb must see the same batches.
TEST_P(Prefetch, TheStreamsOfRandomNumbersStayTheSame) {
  const uint64_t seed = 5, first = uint64_t{1} << 63;
  std::vector<Generator> seen;
  DataLoader loader(numbered(20), {.batch_size = 10,
                                   .shuffle = true,
                                   .seed = seed,
                                   .prefetch = GetParam(),
                                   .transform = [&](Batch batch) {
                                     seen.push_back(default_generator());
                                     return batch;
                                   }});
  const PhiloxBits bits = philox(seed, first + 3);
  Generator order{uint64_t{bits.word[0]} << 32 | bits.word[1]};
  EXPECT_EQ(loader.order(3).to_vector<int64_t>(), randperm(20, &order).to_vector<int64_t>());
  loader.set_epoch(3);
  samples_of(loader);
  ASSERT_EQ(seen.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(seen[i].seed, uint64_t{bits.word[2]} << 32 | bits.word[3]);
    EXPECT_EQ(seen[i].offset, uint64_t{i} << 40);
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, Prefetch, testing::Values(0, 1, 2, 50));

TEST(DataLoader, ImagesBecomeFloatsFromZeroToOne) {
  std::vector<uint8_t> pixels(450);  // the two differ in each pixel
  std::iota(pixels.begin(), pixels.end(), uint8_t{0});
  const Dataset pictures(from_data(pixels, {2, 15, 15}), from_data(Numbers{0, 1}, {2}));
  for (const Batch& batch : DataLoader(pictures, {.batch_size = 2})) {
    EXPECT_EQ(batch.input.dtype(), DType::F32);
    EXPECT_EQ(batch.input.shape(), Shape({2, 15, 15}));
    const std::vector<float> values = batch.input.to_vector<float>();
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(values[i], static_cast<float>(i % 256) / 255.0f);
  }
  for (const Batch& batch : DataLoader(pictures, {.batch_size = 1})) {
    EXPECT_EQ(batch.input.shape(), Shape({1, 15, 15}));
    EXPECT_EQ(batch.input[0][0][1].item<float>(),
              batch.target.item() == 0 ? 1 / 255.f : 226 / 255.f);
  }
  for (const Batch& batch : DataLoader(pictures, {.batch_size = 2, .unit_float = false})) {
    EXPECT_EQ(batch.input.to_vector<uint8_t>(), pixels);
  }
  const Dataset one_pixel(from_data(std::vector<uint8_t>{51}, {1, 1}), zeros({1}));
  for (const Batch& batch : DataLoader(one_pixel)) EXPECT_EQ(batch.input.item<float>(), 0.2f);
}

TEST(DataLoader, RefusesBadOptions) {
  expect_error([] { DataLoader(numbered(3), {.batch_size = 0}); }, "DataLoader",
               {"batch_size", "got 0"});
  expect_error([] { DataLoader(numbered(3), {.prefetch = -1}); }, "DataLoader",
               {"prefetch", "got -1"});
  expect_error([] { DataLoader{Dataset()}; }, "DataLoader", {"empty"});
  expect_error([] { DataLoader(numbered(3), {.batch_size = 4, .drop_last = true}); }, "DataLoader",
               {"drop_last", "no batch of 3 samples"});
  DataLoader loader(numbered(7), {.batch_size = 3});
  expect_error([&] { loader.skip(4); }, "skip", {"0 to 3", "got 4"});
  expect_error([&] { loader.skip(-1); }, "skip", {"got -1"});
  expect_error([&] { loader.set_epoch(-1); }, "set_epoch", {"got -1"});
  for (const int64_t epoch : {(int64_t{1} << 53) + 1, INT64_MAX})
    expect_error([&] { loader.set_epoch(epoch); }, "set_epoch", {"at most 2^53"});
  loader.set_epoch(int64_t{1} << 53);
  EXPECT_EQ(samples_of(loader).size(), 7u);
}

// ---- the thread ----

TEST(DataLoader, PrefetchesAtMostSoManyBatches) {
  std::atomic<int> made = 0;
  const auto count = [&made](Batch batch) {
    ++made;
    return batch;
  };
  DataLoader loader(numbered(100), {.batch_size = 1, .prefetch = 3, .transform = count});
  int taken = 0, most = 0;
  for (const Batch& batch : loader) {
    (void)batch;
    ++taken;
    if (taken < 10) std::this_thread::sleep_for(5ms);  // the thread prefetches as many as it may
    most = std::max(most, made.load() - taken);
  }
  EXPECT_EQ(most, 3);
}

TEST(DataLoader, LeavingALoopEndsTheThreadQuickly) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 300; ++i) {
    DataLoader loader(numbered(1000), {.batch_size = 1, .shuffle = true, .prefetch = 4});
    int left = i % 5;
    for (const Batch& batch : loader) {
      if (!batch.input.defined() || left-- == 0) break;
    }
    if (i % 2) loader.begin();  // a new epoch while the last one runs
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST(DataLoader, AMovedLoaderContinues) {
  DataLoader loader(numbered(100), {.batch_size = 10});
  auto it = loader.begin();
  ++it;
  DataLoader moved = std::move(loader);
  EXPECT_EQ(it->target.to_vector<int64_t>()[0], 10);
  ++it;
  EXPECT_EQ(it->target.to_vector<int64_t>()[0], 20);
  EXPECT_EQ(moved.consumed(), 3);
}

TEST(DataLoader, ManyLoadersOnManyThreadsShareADataset) {
  const Dataset data = numbered(500);
  std::atomic<int> wrong = 0;
  const auto work = [&](uint64_t seed) {
    DataLoader loader(
        data,
        {.batch_size = 7, .shuffle = true, .seed = seed, .prefetch = static_cast<int>(seed % 4)});
    for (int epoch = 0; epoch < 20; ++epoch) {
      const Numbers expected = loader.order(epoch).to_vector<int64_t>();
      if (samples_of(loader) != expected) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 8; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace ebb::data
