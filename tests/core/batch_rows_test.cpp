// BatchRowsScope: parts of a batch draw the numbers of the whole batch.
#include "ebb/core/batch_rows.h"

#include <gtest/gtest.h>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

TEST(BatchRows, PartsDrawTheNumbersOfTheWholeBatch) {
  manual_seed(4);
  const Tensor whole = randn({7, 3}), integers = randint(100, {7, 2});
  const Generator after = default_generator();
  const auto check = [&](int64_t first, int64_t end) {
    manual_seed(4);
    const BatchRowsScope scope({.first = first, .count = end - first, .total = 7});
    EXPECT_TRUE(equal(randn({end - first, 3}), whole.slice(0, first, end)));
    EXPECT_TRUE(equal(randint(100, {end - first, 2}), integers.slice(0, first, end)));
    EXPECT_EQ(default_generator().offset, after.offset);
  };
  check(0, 2);
  check(2, 5);
  check(5, 7);
  check(0, 7);
}

TEST(BatchRows, OtherShapesDrawTheSameNumbersInEveryPart) {
  manual_seed(4);
  const Tensor weights = randn({5, 3}), scalar = randn({});
  manual_seed(4);
  const BatchRowsScope scope({.first = 2, .count = 2, .total = 7});
  EXPECT_TRUE(equal(randn({5, 3}), weights));
  EXPECT_TRUE(equal(randn({}), scalar));
}

TEST(BatchRows, ScopesNest) {
  manual_seed(4);
  const Tensor whole = randn({4});
  const BatchRowsScope outer({.first = 2, .count = 2, .total = 4});
  {
    const BatchRowsScope inner({.first = 0, .count = 1, .total = 4});
    manual_seed(4);
    EXPECT_TRUE(equal(randn({1}), whole.slice(0, 0, 1)));
  }
  manual_seed(4);
  EXPECT_TRUE(equal(randn({2}), whole.slice(0, 2, 4)));
}

TEST(BatchRows, DropoutOfPartsIsThatOfTheBatch) {
  const Tensor x = ones({6, 5});
  manual_seed(9);
  const Tensor whole = nn::dropout(x, 0.5);
  for (const auto& [first, end] : {std::pair<int64_t, int64_t>{0, 1}, {1, 4}, {4, 6}}) {
    manual_seed(9);
    const BatchRowsScope scope({.first = first, .count = end - first, .total = 6});
    EXPECT_TRUE(equal(nn::dropout(x.slice(0, first, end), 0.5), whole.slice(0, first, end)));
  }
}

}  // namespace
