// Creation: the dtype follows from the values as in torch, values are exact or refused, literals
// have any depth.
#include "ebb/core/creation.h"

#include <cmath>
#include <limits>

#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

constexpr int64_t kLarge = (int64_t{1} << 60) + 1;  // not a double

// ---- dtypes ----

TEST(CreationDtype, FollowsFromTheValues) {
  const int a = 3;
  const size_t b = 4;
  EXPECT_EQ(tensor({0, 1}).dtype(), i64);
  EXPECT_EQ(tensor({a, 2}).dtype(), i64);
  EXPECT_EQ(tensor({b}).dtype(), i64);
  EXPECT_EQ(tensor({0, 1.5}).dtype(), f32);
  EXPECT_EQ(tensor({1.0f}).dtype(), f32);
  EXPECT_EQ(tensor({true, false}).dtype(), boolean);
  EXPECT_EQ(tensor({true, 2}).dtype(), i64);
  EXPECT_EQ(tensor({}).dtype(), f32);
  EXPECT_EQ(tensor(1.0).dtype(), f32);
  EXPECT_EQ(tensor(1).dtype(), i64);
  EXPECT_EQ(full({2}, 1).dtype(), i64);
  EXPECT_EQ(full({2}, 1.0).dtype(), f32);
  EXPECT_EQ(full({2}, true).dtype(), boolean);
  EXPECT_EQ(scalar(1).dtype(), i64);
  EXPECT_EQ(arange(3).dtype(), i64);
  EXPECT_EQ(arange(3.0).dtype(), f32);
  EXPECT_EQ(arange(0, 3, 1.0).dtype(), f32);
  for (const Tensor& t :
       {zeros(2), ones(2), empty(2), rand(2), randn(2), linspace(0, 1, 2), eye(2)})
    EXPECT_EQ(t.dtype(), f32);
  EXPECT_EQ(randperm(2).dtype(), i64);
  EXPECT_EQ(randint(5, {2}).dtype(), i64);
}

TEST(CreationDtype, StandsAloneInThePlaceOfTheOptions) {
  for (const Tensor& t :
       {zeros({2, 3}, f64), ones({2, 3}, f64), empty({2, 3}, f64), full({2, 3}, 1, f64),
        rand({2, 3}, f64), randn({2, 3}, f64), randint(4, {2, 3}, f64), randint(1, 4, {2, 3}, f64),
        eye(2, 3, f64), tensor({{1, 2, 3}, {4, 5, 6}}, f64), zeros({2, 3}, {.dtype = f64})}) {
    EXPECT_EQ(t.dtype(), f64);
    EXPECT_EQ(t.shape(), (Shape{2, 3}));
  }
  for (const Tensor& t : {arange(2, f64), arange(0, 2, f64), arange(0, 2, 1, f64),
                          arange(0, 2, {.dtype = f64}), linspace(0, 1, 2, f64)}) {
    EXPECT_EQ(t.dtype(), f64);
    expect_values(t, {0, 1});
  }
  EXPECT_EQ(scalar(2, f64).dtype(), f64);
  EXPECT_EQ(eye(2, f64).dtype(), f64);
  EXPECT_EQ(zeros({2}, Device::cpu()).device(), Device::cpu());
}

TEST(CreationDtype, LikeAnother) {
  const Tensor t = zeros({2, 3}, f64), i = zeros({2}, u8);
  for (const Tensor& like :
       {empty_like(t), zeros_like(t), ones_like(t), full_like(t, 7), rand_like(t), randn_like(t)}) {
    EXPECT_EQ(like.dtype(), f64);
    EXPECT_EQ(like.shape(), t.shape());
  }
  expect_values(full_like(i, 7), {7, 7});
  expect_values(ones_like(i), {1, 1});
  EXPECT_EQ(full_like(i, 7.0).dtype(), u8);
  expect_error([&] { full_like(i, 0.5); }, "full", {"0.5 is not an integer"});
  expect_error([&] { rand_like(i); }, "rand_like", {"floating", "u8"});
  expect_error([] { zeros_like(Tensor()); }, "zeros_like", {"undefined"});
  expect_error([] { randn_like(Tensor()); }, "", {"undefined"});
}

// ---- literals ----

TEST(TensorLiterals, HaveAnyDepth) {
  EXPECT_EQ(tensor(2.5).shape(), Shape());
  EXPECT_EQ(tensor(2.5).item(), 2.5);
  EXPECT_EQ(tensor({7}).shape(), (Shape{1}));
  EXPECT_EQ(tensor({{7}}).shape(), (Shape{1, 1}));
  EXPECT_EQ(tensor({{0}, {1}}).shape(), (Shape{2, 1}));
  EXPECT_EQ(tensor({{{1, 2}, {3, 4}, {5, 6}}}).shape(), (Shape{1, 3, 2}));
  EXPECT_EQ(tensor({{{{1}}}}).shape(), (Shape{1, 1, 1, 1}));
  EXPECT_EQ(tensor({}).shape(), (Shape{0}));
  EXPECT_EQ(tensor({{}, {}}).shape(), (Shape{2, 0}));
  expect_values(tensor({{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}}), {1, 2, 3, 4, 5, 6, 7, 8});
  const int64_t n = kLarge;
  EXPECT_EQ(tensor({n}).item<int64_t>(), kLarge);
  expect_error([] { tensor({{1, 2}, {3}}); }, "tensor", {"ragged rows", "(2,)", "(1,)"});
  expect_error([] { tensor({{1}, 2}); }, "tensor", {"ragged rows"});
  expect_error([] { tensor({{{{{{{{{1}}}}}}}}}); }, "shape", {"at most 8 dimensions"});
}

// ---- exact values ----

TEST(CreationValues, AreNeverCutToIntegers) {
  expect_error([] { tensor({1.5}, i64); }, "tensor", {"1.5 is not an integer"});
  expect_error([] { tensor({NAN}, i64); }, "tensor", {"nan is not an integer"});
  expect_error([] { tensor({INFINITY}, i64); }, "tensor", {"inf does not fit i64"});
  expect_error([] { tensor({1e300}, i64); }, "tensor", {"does not fit i64"});
  expect_error([] { tensor({0x1p63}, i64); }, "tensor", {"does not fit i64"});
  expect_error([] { tensor({256}, u8); }, "tensor", {"256 does not fit u8"});
  expect_error([] { tensor({-1}, u8); }, "tensor", {"-1 does not fit u8"});
  expect_error([] { full({2}, 0.5, {.dtype = i64}); }, "full", {"0.5 is not an integer"});
  expect_error([] { full({2}, 300, u8); }, "full", {"300 does not fit u8"});
  expect_error([] { scalar(0.5, i64); }, "full", {"0.5 is not an integer"});
  expect_error([] { zeros({2}, i64).fill_(0.7); }, "fill_", {"0.7 is not an integer"});
  expect_error([] { zeros({2}, u8).fill_(-1); }, "fill_", {"-1 does not fit u8"});
  expect_error([] { arange(0, 1, 0.25, i64); }, "arange", {"0.25 is not an integer"});
  expect_error([] { arange(0, 300, 1, u8); }, "arange", {"256 does not fit u8"});
  expect_error([] { linspace(0, 1, 3, i64); }, "linspace", {"0.5 is not an integer"});
  expect_error([] { tensor({std::numeric_limits<uint64_t>::max()}); }, "", {"does not fit i64"});
}

TEST(CreationValues, AreExactInI64) {
  EXPECT_EQ(full({}, kLarge).item<int64_t>(), kLarge);
  EXPECT_EQ(zeros({}, i64).fill_(kLarge).item<int64_t>(), kLarge);
  EXPECT_EQ(full({}, -0x1p63, i64).item<int64_t>(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(arange(kLarge, kLarge + 2).to_vector<int64_t>(),
            (std::vector<int64_t>{kLarge, kLarge + 1}));
  expect_values(tensor({2.0, -3.0}, i64), {2, -3});
  expect_values(tensor({0, 255}, u8), {0, 255});
  expect_values(tensor({0, 0.5, NAN}, boolean), {0, 1, 1});
}

// ---- ranges ----

TEST(Ranges, ArangeKeepsFractions) {
  expect_values(arange(0., 1., .25), {0, 0.25, 0.5, 0.75});
  expect_values(arange(0.5, 3), {0.5, 1.5, 2.5});
  expect_values(arange(1, 0, -0.25), {1, 0.75, 0.5, 0.25});
  expect_values(arange(0, 2.5, 1, i64), {0, 1, 2});
  expect_values(arange(5, 0, -2), {5, 3, 1});
  expect_values(arange(0, 5, 2), {0, 2, 4});
  EXPECT_EQ(arange(0, -1).numel(), 0);
  EXPECT_EQ(arange(2, 2).numel(), 0);
  EXPECT_EQ(arange(std::numeric_limits<int64_t>::max() - 2, std::numeric_limits<int64_t>::max(), 2)
                .numel(),
            1);
}

TEST(Ranges, LinspaceHasBothEnds) {
  expect_values(linspace(0, 1, 5), {0, 0.25, 0.5, 0.75, 1});
  expect_values(linspace(1, -1, 3, f64), {1, 0, -1});
  expect_values(linspace(2, 5, 1), {2});
  EXPECT_EQ(linspace(0, 1, 0).shape(), (Shape{0}));
  const std::vector<double> x = linspace(0.1, 0.7, 101, f64).to_vector<double>();
  EXPECT_EQ(x.front(), 0.1);
  EXPECT_EQ(x.back(), 0.7);
  expect_error([] { linspace(0, INFINITY, 3); }, "linspace", {"finite"});
}

TEST(Ranges, Eye) {
  expect_values(eye(2), {1, 0, 0, 1});
  expect_values(eye(2, 3, i64), {1, 0, 0, 0, 1, 0});
  expect_values(eye(3, 2), {1, 0, 0, 1, 0, 0});
  EXPECT_EQ(eye(0).shape(), (Shape{0, 0}));
}

TEST(Ranges, RandintIsUniformAndReproducible) {
  Generator g{7, 0}, h{7, 0};
  const Tensor x = randint(-1, 2, 3000, {}, &g);
  EXPECT_EQ(x.to_vector<int64_t>(), randint(-1, 2, 3000, {}, &h).to_vector<int64_t>());
  EXPECT_EQ(g.offset, 3000u);
  int64_t counts[3] = {};
  for (const int64_t v : x.to_vector<int64_t>()) {
    ASSERT_TRUE(v >= -1 && v <= 1) << v;
    ++counts[v + 1];
  }
  for (const int64_t count : counts) EXPECT_NEAR(static_cast<double>(count), 1000, 120);
  const int64_t least = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(randint(least, least + 1, {}).item<int64_t>(), least);
  EXPECT_EQ(randint(256, {4}, u8).dtype(), u8);
  expect_error([] { randint(3, 3, {2}); }, "randint", {"low < high"});
  expect_error([] { randint(257, {2}, u8); }, "randint", {"256 does not fit u8"});
}

// ---- data ----

TEST(FromData, TakesAnyIntegers) {
  const Tensor x = from_data(std::vector<int>{1, -2}, {2});
  EXPECT_EQ(x.dtype(), i64);
  expect_values(x, {1, -2});
  expect_values(from_data(std::vector<size_t>{3}, {1}), {3});
  expect_values(from_data(std::vector<short>{4}, {}), {4});
  EXPECT_EQ(from_data(std::vector<bool>{true, false}, {2}).dtype(), boolean);
  EXPECT_EQ(from_data(std::vector<uint8_t>{1}, {1}).dtype(), u8);
  EXPECT_EQ(from_data(std::vector<long long>{kLarge}, {}).item<int64_t>(), kLarge);
  expect_error([] { from_data(std::vector<uint64_t>{uint64_t{1} << 63}, {1}); }, "",
               {"does not fit i64"});
}

TEST(ToVector, GivesAnyIntegers) {
  const Tensor x = tensor({1, 300, -2});
  EXPECT_EQ(x.to_vector<int>(), (std::vector<int>{1, 300, -2}));
  EXPECT_EQ(tensor({7, 8}).to_vector<size_t>(), (std::vector<size_t>{7, 8}));
  EXPECT_EQ(tensor({1.75, -2.5}).to_vector<short>(), (std::vector<short>{1, -2}));
  EXPECT_EQ(tensor({65}).to_vector<char>(), (std::vector<char>{'A'}));
  expect_error([&] { x.to_vector<int8_t>(); }, "to_vector", {"300 does not fit", "8 bits"});
  expect_error([&] { x.to_vector<unsigned>(); }, "to_vector", {"-2 does not fit", "unsigned"});
}

}  // namespace
}  // namespace ebb
