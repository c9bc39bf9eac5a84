// Sorting, running sums, places and draws where the op table does not reach: long rows, every
// dtype, distributions.
#include "ebb/autograd/ops/sorting.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;
using Integers = std::vector<int64_t>;

// Numbers with many repetitions, and among floating ones NaN, infinities and both zeros.
template <class T> std::vector<T> mixed(int64_t n) {
  std::vector<T> v;
  uint64_t state = 88172645463325252;
  for (int64_t i = 0; i < n; ++i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    v.push_back(
        static_cast<T>(static_cast<int64_t>(state % 5000) - (std::is_unsigned_v<T> ? 0 : 2500)));
    if constexpr (std::is_floating_point_v<T>) {
      if (i % 97 == 3) v.back() = std::numeric_limits<T>::quiet_NaN();
      if (i % 89 == 5) v.back() = i % 2 ? T(-0.0) : T(0.0);
      if (i % 83 == 7)
        v.back() = i % 2 ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    }
  }
  return v;
}

template <class T> Integers order_of(const std::vector<T>& v, bool descending) {
  Integers order(v.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    const T a = v[static_cast<size_t>(i)], b = v[static_cast<size_t>(j)];
    return descending ? a > b || (a != a && b == b) : a < b || (b != b && a == a);
  });
  return order;
}

template <class T> class Sorting : public testing::Test {};
using Types = testing::Types<float, double, int64_t, uint8_t>;
TYPED_TEST_SUITE(Sorting, Types);

// The lengths around which the method changes.
TYPED_TEST(Sorting, IsStableInRowsOfEveryLength) {
  for (const int64_t n : {1, 2, 191, 192, 193, 1000, 33'000, 70'001}) {
    const std::vector<TypeParam> v = mixed<TypeParam>(n);
    const Tensor x = from_data(v, {n});
    for (const bool descending : {false, true}) {
      const Integers want = order_of(v, descending);
      const auto [values, indices] = sort(x, 0, descending);
      EXPECT_EQ(indices.template to_vector<int64_t>(), want) << n;
      test::expect_same_bits(values, gather(x, 0, indices), "values");
      const int64_t k = std::max<int64_t>(1, n / 40);
      const Integers first = std::get<1>(topk(x, k, 0, descending)).template to_vector<int64_t>();
      EXPECT_EQ(first, Integers(want.begin(), want.begin() + k)) << n;
    }
  }
}

TEST(Sort, OfEachColumn) {
  const int64_t n = 500, m = 7;
  const std::vector<double> v = mixed<double>(n * m);
  const Tensor x = from_data(v, {n, m});
  const Tensor by_column = argsort(x, 0), by_row = argsort(transpose(x).contiguous(), 1);
  EXPECT_EQ(transpose(by_column).to_vector<int64_t>(), by_row.to_vector<int64_t>());
  EXPECT_EQ(argsort(tensor({1, 0, 1, 0}, boolean)).to_vector<int64_t>(), (Integers{1, 3, 0, 2}));
}

TEST(Sort, OfNothing) {
  EXPECT_EQ(to_text(std::get<0>(sort(zeros({3, 0}))).shape()), "(3, 0)");
  EXPECT_EQ(to_text(std::get<1>(topk(zeros({3, 4}), 0)).shape()), "(3, 0)");
}

// Pieces of a long row: the bits do not depend on where a piece begins.
TEST(Cumsum, OfLongRows) {
  const int64_t n = 200'001;
  std::vector<int64_t> v(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) v[static_cast<size_t>(i)] = i % 11 - 4;
  const Integers got = cumsum(from_data(v, {n}), 0).to_vector<int64_t>();
  int64_t total = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    total += v[i];
    ASSERT_EQ(got[i], total) << i;
  }
  const Tensor x = from_data(v, {n}).to(f32);
  const std::vector<double> sums = cumsum(x, 0).to_vector<double>();
  EXPECT_EQ(sums.back(), static_cast<double>(total));
  const Tensor leaf = x.to(f64).requires_grad_();
  const std::vector<double> g = grad(sum(cumsum(leaf, 0)), leaf).to_vector<double>();
  for (int64_t i = 0; i < n; i += 10'007) EXPECT_EQ(g[static_cast<size_t>(i)], n - i);
  const Tensor columns = cumsum(reshape(from_data(v, {n}), {n / 3, 3}), 0);
  EXPECT_EQ(columns.to_vector<int64_t>()[3 * 2], v[0] + v[3] + v[6]);
}

TEST(Nonzero, OfLongMasks) {
  const int64_t n = 200'003;
  std::vector<double> v(static_cast<size_t>(n));
  Integers want;
  for (int64_t i = 0; i < n; i += 1 + i % 7) {
    v[static_cast<size_t>(i)] = 1;
    want.push_back(i);
  }
  EXPECT_EQ(nonzero(from_data(v, {n})).to_vector<int64_t>(), want);
  EXPECT_EQ(masked_select(arange(0, static_cast<double>(n)), from_data(v, {n}).to(boolean))
                .to_vector<int64_t>(),
            want);
  EXPECT_EQ(to_text(nonzero(zeros({2, 3})).shape()), "(0, 2)");
  EXPECT_EQ(to_text(nonzero(ones({})).shape()), "(1, 0)");
}

TEST(Chunk, HasTorchsSizes) {
  const auto sizes = [](const std::vector<Tensor>& parts) {
    Integers list;
    for (const Tensor& t : parts) list.push_back(t.size(0));
    return list;
  };
  EXPECT_EQ(sizes(chunk(zeros({7}), 3)), (Integers{3, 3, 1}));
  EXPECT_EQ(sizes(chunk(zeros({4}), 3)), (Integers{2, 2}));
  EXPECT_EQ(sizes(split(zeros({7}), 3)), (Integers{3, 3, 1}));
  EXPECT_EQ(sizes(split(zeros({0}), 3)), (Integers{0}));
}

TEST(Multinomial, DrawsInProportion) {
  Generator generator{7, 0};
  const Tensor weights = tensor({{0, 1, 3, 0}, {5, 0, 0, 5}}, f32);
  const int64_t n = 20'000;
  const Integers drawn = multinomial(weights, n, true, &generator).to_vector<int64_t>();
  double counts[2][4] = {};
  for (int64_t i = 0; i < 2 * n; ++i)
    counts[i / n][drawn[static_cast<size_t>(i)]] += 1.0 / static_cast<double>(n);
  const double want[2][4] = {{0, 0.25, 0.75, 0}, {0.5, 0, 0, 0.5}};
  for (int r = 0; r < 2; ++r) {
    for (int c = 0; c < 4; ++c) EXPECT_NEAR(counts[r][c], want[r][c], want[r][c] == 0 ? 0 : 0.02);
  }
}

TEST(Multinomial, WithoutReplacementDrawsEachOnce) {
  Generator generator{7, 0};
  double first = 0;
  for (int i = 0; i < 2000; ++i) {
    Integers drawn = multinomial(tensor({1., 0., 3.}), 2, false, &generator).to_vector<int64_t>();
    first += drawn[0] == 2;
    std::ranges::sort(drawn);
    ASSERT_EQ(drawn, (Integers{0, 2}));
  }
  EXPECT_NEAR(first / 2000, 0.75, 0.04);
}

TEST(Bernoulli, HasItsProbability) {
  Generator generator{2, 0};
  EXPECT_NEAR(mean(bernoulli(full({20'000}, 0.3), &generator)).item(), 0.3, 0.015);
}

}  // namespace
}  // namespace ebb
