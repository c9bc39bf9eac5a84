// Dataset, and functions that split it in two.
#include "ebb/nn/data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "files.h"
#include "samples.h"

namespace ebb::data {
namespace {

using test::expect_error;
using test::numbered;
using test::Numbers;

TEST(Dataset, TakesSamplesInTheRequestedOrder) {
  const Dataset data = numbered(5).take(from_data(Numbers{3, 0, 3}, {3}));
  EXPECT_EQ(data.inputs().shape(), Shape({3, 2}));
  EXPECT_EQ(data.inputs().to_vector<double>(), (std::vector<double>{30, 31, 0, 1, 30, 31}));
  EXPECT_EQ(data.targets().to_vector<int64_t>(), (Numbers{3, 0, 3}));
  EXPECT_EQ(numbered(5).take(from_data(Numbers{}, {0})).size(), 0);
  EXPECT_EQ(numbered(1).take(from_data(Numbers{}, {0})).size(), 0);
  EXPECT_EQ(Dataset().size(), 0);
  EXPECT_EQ(Dataset().take(from_data(Numbers{}, {0})).size(), 0);
}

TEST(Dataset, PacksStridedTensors) {
  const Tensor columns =
      make_view(from_data(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}), {3, 2}, {1, 3});
  const Dataset data(columns, from_data(Numbers{0, 1, 2}, {3}), {"a", "b", "c"});
  const Dataset taken = data.take(from_data(Numbers{2}, {1}));
  EXPECT_EQ(taken.inputs().to_vector<float>(), (std::vector<float>{3, 6}));
  EXPECT_EQ(taken.class_names(), data.class_names());
}

TEST(Dataset, RefusesTensorsThatDoNotFit) {
  expect_error([] { Dataset(zeros({3, 2}), zeros({4})); }, "Dataset", {"(3, 2)", "(4,)"});
  expect_error([] { Dataset(scalar(1), zeros({4})); }, "Dataset", {"inputs", "0-d"});
  expect_error([] { Dataset(Tensor(), zeros({4})); }, "Dataset", {"undefined"});
  expect_error(
      [] {
        numbered(3).take(from_data(Numbers{0, 3}, {2}));
      },
      "take", {"index 3", "3 samples"});
  expect_error([] { numbered(3).take(from_data(Numbers{-1}, {1})); }, "take", {"index -1"});
  expect_error([] { numbered(3).take(zeros({1})); }, "take", {"i64 (M,)", "f32 (1,)"});
}

// Checks that both parts are sorted and together are 0 ... n - 1. Returns the test part.
Numbers check_split(const Split& split, int64_t n) {
  Numbers train = split.train.to_vector<int64_t>(), test = split.test.to_vector<int64_t>();
  EXPECT_TRUE(std::is_sorted(train.begin(), train.end()) &&
              std::is_sorted(test.begin(), test.end()));
  std::set<int64_t> all(train.begin(), train.end());
  all.insert(test.begin(), test.end());
  EXPECT_EQ(static_cast<int64_t>(train.size() + test.size()), n);
  EXPECT_EQ(static_cast<int64_t>(all.size()), n);
  EXPECT_TRUE(*all.begin() == 0 && *all.rbegin() == n - 1);
  return test;
}

TEST(Split, IsAFunctionOfItsSeed) {
  const Numbers test = check_split(split(101, 0.2, 7), 101);
  EXPECT_EQ(test.size(), 20u);
  EXPECT_EQ(test, check_split(split(101, 0.2, 7), 101));
  EXPECT_NE(test, check_split(split(101, 0.2, 8), 101));
}

TEST(StratifiedSplit, GivesEachClassItsShare) {
  Numbers targets;
  for (int64_t i = 0; i < 1000; ++i) targets.push_back(i % 100 < 70 ? 5 : i % 100 < 97 ? 2 : 11);
  const Numbers test = check_split(stratified_split(from_data(targets, {1000}), 0.25, 3), 1000);
  std::map<int64_t, int> counts;
  for (int64_t i : test) ++counts[targets[static_cast<size_t>(i)]];
  EXPECT_EQ(test.size(), 250u);
  EXPECT_EQ(counts[5], 175);
  EXPECT_TRUE(counts[2] == 67 || counts[2] == 68) << counts[2];
  EXPECT_TRUE(counts[11] == 7 || counts[11] == 8) << counts[11];
  EXPECT_EQ(test, check_split(stratified_split(from_data(targets, {1000}), 0.25, 3), 1000));
  EXPECT_NE(test, check_split(stratified_split(from_data(targets, {1000}), 0.25, 4), 1000));
}

TEST(Split, RefusesFractionsThatMakeAPartEmpty) {
  expect_error([] { split(10, 0, 1); }, "split", {"between 0 and 1, got 0"});
  expect_error([] { split(10, 1, 1); }, "split", {"between 0 and 1, got 1"});
  expect_error([] { split(10, std::nan(""), 1); }, "split", {"between 0 and 1"});
  expect_error([] { split(2, 0.1, 1); }, "split", {"2 samples empty"});
  expect_error([] { split(-1, 0.1, 1); }, "split", {"-1"});
  expect_error([] { stratified_split(zeros({4}), 0.5, 1); }, "stratified_split",
               {"must be i64 or u8", "f32 (4,)"});
}

}  // namespace
}  // namespace ebb::data
