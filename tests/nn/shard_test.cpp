// Parts of batches for several ranks, and the launchers that a group recognizes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "ebb/ebb.h"
#include "ebb/nn/distributed/launch.h"

namespace {

using namespace ebb;

std::vector<double> samples_of_rank(int64_t rank, int64_t ranks, data::LoaderOptions options) {
  data::DataLoader loader({reshape(arange(0, 11, 1, f32), {11, 1}), arange(11)}, options);
  loader.shard(rank, ranks);
  std::vector<double> samples;
  for (const data::Batch& batch : loader) {
    EXPECT_EQ(batch.input.size(0), loader.rows_of(loader.consumed() - 1).count);
    for (double value : batch.input.to_vector<double>()) samples.push_back(value);
  }
  return samples;
}

TEST(Shard, PartsTogetherAreTheBatch) {
  using Samples = std::vector<double>;
  // Batches 0-3, 4-7 and 8-10; rank r of 3 gets rows n r / 3 to n (r + 1) / 3.
  const data::LoaderOptions options{.batch_size = 4};
  EXPECT_EQ(samples_of_rank(0, 3, options), (Samples{0, 4, 8}));
  EXPECT_EQ(samples_of_rank(1, 3, options), (Samples{1, 5, 9}));
  EXPECT_EQ(samples_of_rank(2, 3, options), (Samples{2, 3, 6, 7, 10}));
}

TEST(Shard, ATailMayLeaveEmptyParts) {
  data::DataLoader loader({zeros({9, 2}), arange(9)},
                          {.batch_size = 8, .transform = [](data::Batch batch) {
                             EXPECT_GT(batch.input.size(0), 0) << "an empty part was transformed";
                             return batch;
                           }});
  EXPECT_EQ(loader.samples_of(0), 8);
  EXPECT_EQ(loader.samples_of(1), 1);
  loader.shard(0, 4);
  std::vector<int64_t> rows;
  for (const data::Batch& batch : loader) rows.push_back(batch.input.size(0));
  EXPECT_EQ(rows, (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(loader.rows_of(1).total, 1);
}

TEST(Shard, TransformsDrawTheNumbersOfTheWholeBatch) {
  const auto noise = [](int64_t rank, int64_t ranks) {
    data::DataLoader loader({zeros({6, 3}), arange(6)},
                            {.batch_size = 6, .seed = 8, .transform = [](data::Batch batch) {
                               return data::Batch{rand_like(batch.input), batch.target};
                             }});
    loader.shard(rank, ranks);
    return (*loader.begin()).input;
  };
  EXPECT_TRUE(equal(cat({noise(0, 2), noise(1, 2)}), noise(0, 1)));
}

TEST(Shard, IsKnown) {
  data::DataLoader loader({zeros({9, 2}), arange(9)}, {.batch_size = 8});
  EXPECT_EQ(loader.shard(), std::pair(int64_t{0}, int64_t{1}));
  loader.shard(1, 3);
  EXPECT_EQ(loader.shard(), std::pair(int64_t{1}, int64_t{3}));
}

TEST(Shard, WrongRanksAreErrors) {
  data::DataLoader loader({zeros({6, 3}), arange(6)}, {});
  EXPECT_THROW(loader.shard(2, 2), Error);
  EXPECT_THROW(loader.shard(-1, 2), Error);
  EXPECT_THROW(loader.shard(0, 0), Error);
  EXPECT_THROW((void)loader.samples_of(1), Error);
}

TEST(Launch, RecognizesLaunchersByTheirVariables) {
  using distributed::detail::launch;
  const auto with = [](std::initializer_list<std::pair<const char*, const char*>> variables) {
    for (const char* name :
         {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "SLURM_NTASKS"})
      unsetenv(name);
    for (const auto& [name, value] : variables) setenv(name, value, 1);
    return launch();
  };
  EXPECT_EQ(with({{"OMPI_COMM_WORLD_SIZE", "4"}}).size, 4);
  EXPECT_EQ(launch().mpi, "openmpi");
  EXPECT_EQ(with({{"PMI_SIZE", "3"}, {"PMI_RANK", "1"}}).size, 3);
  EXPECT_EQ(launch().mpi, "mpich");
  EXPECT_EQ(with({{"SLURM_NTASKS", "5"}, {"PMIX_RANK", "0"}}).size, 5);
  EXPECT_EQ(launch().mpi, "openmpi");
  EXPECT_EQ(with({{"SLURM_NTASKS", "6"}, {"PMI_RANK", "0"}}).mpi, "mpich");
  // A batch script of Slurm is one process.
  EXPECT_EQ(with({{"SLURM_NTASKS", "5"}}).size, 1);
  EXPECT_EQ(with({}).size, 1);
}

TEST(Launch, AGroupOfOneDoesNothing) {
  const distributed::Group group;
  EXPECT_EQ(group.rank(), 0);
  EXPECT_EQ(group.size(), 1);
  EXPECT_TRUE(group.is_first());
  const Tensor x = tensor({1.0, 2.0}, f32);
  group.all_reduce(x);
  group.broadcast(x);
  group.barrier();
  EXPECT_TRUE(equal(group.all_gather(x)[0], tensor({1.0, 2.0}, f32)));
  EXPECT_EQ(group.any_of(6), 6u);
  EXPECT_THROW(group.broadcast(x, 1), Error);
  EXPECT_THROW(group.all_reduce(arange(3)), Error);
  EXPECT_THROW(group.all_reduce(Tensor()), Error);
}

}  // namespace
