// The one rule by which elements change their dtype, wherever that happens: to(), copy_, item(),
// to_vector, conditions.
#include <cmath>
#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

TEST(ConversionRule, FractionsAreDropped) {
  for (const DType from : {f32, f64}) {
    const Tensor x = tensor({2.75, -2.75, 0.5, -0.5, 254.5}, from);
    expect_values(x.to(i64), {2, -2, 0, 0, 254});
    expect_values(x[4].to(u8), {254});
    expect_values(tensor({255.75, -0.75}, from).to(u8), {255, 0});
  }
}

TEST(ConversionRule, WhatDoesNotFitIsAnError) {
  for (const DType from : {f32, f64}) {
    for (const double value :
         std::vector<double>{NAN, INFINITY, -INFINITY, 0x1p63, -0x1.8p63, 1e30}) {
      const Tensor x = tensor({0, value}, from);
      expect_error([&] { (void)x.to(i64); }, "to",
                   {"i64 cannot hold every element", "at position 1"});
      expect_error([&] { (void)x.to(u8); }, "to", {"u8 holds 0 to 255", "at position 1"});
      expect_error([&] { x.to_vector<int64_t>(); }, "to", {"i64"});
      expect_error([&] { x[1].item<int64_t>(); }, "item", {"does not fit i64"});
      expect_error([&] { x[1].item<int>(); }, "item", {"does not fit"});
    }
    for (const double value : {256.0, -1.0})
      expect_error([&] { (void)tensor({value}, from).to(u8); }, "to", {"u8 holds 0 to 255"});
    EXPECT_EQ(tensor({-0x1p63}, from).to(i64).item<int64_t>(), kLeast);
  }
  for (const int64_t value : {int64_t{256}, int64_t{-1}, kMost, kLeast})
    expect_error([&] { (void)tensor({value}).to(u8); }, "to", {"u8 holds 0 to 255"});
  EXPECT_EQ(tensor({0x1.fffffffffffffp62}, f64).to(i64).item<int64_t>(),
            static_cast<int64_t>(0x1.fffffffffffffp62));
}

TEST(ConversionRule, StridedAndExpandedElementsAreCheckedToo) {
  const Tensor x = tensor({{1., NAN}, {2, 3}});
  expect_error([&] { (void)transpose(x).to(i64); }, "to", {"nan at position 2"});
  expect_values(slice(x, 1, 0, 1).to(i64), {1, 2});
  expect_error([&] { (void)expand(x[0][1], {3}).to(i64); }, "to", {"nan"});
}

TEST(ConversionRule, AFailedCopyChangesNothing) {
  Tensor target = tensor({1, 2, 3});
  expect_error([&] { target.copy_(tensor({7., 8., NAN})); }, "to", {"nan at position 2"});
  expect_values(target, {1, 2, 3});
  target.copy_(tensor({7.5, 8., 9.}));
  expect_values(target, {7, 8, 9});
}

TEST(ConversionRule, TruthIsDifferenceFromZero) {
  for (const DType from : {f32, f64})
    expect_values(tensor({0., -0., 0.25, NAN, INFINITY}, from).to(boolean), {0, 0, 1, 1, 1});
  expect_values(tensor({0, 256, -1}).to(boolean), {0, 1, 1});
  EXPECT_TRUE(tensor({0.25})[0].item<bool>());
}

TEST(ConversionRule, FloatingTypesRoundToTheNearest) {
  EXPECT_EQ(tensor({16777217}).to(f32).item(), 16777216);
  EXPECT_EQ(tensor({1e300}, f64).to(f32).item(), INFINITY);
  EXPECT_TRUE(std::isnan(tensor({NAN}, f64).to(f32).item()));
  EXPECT_EQ(tensor({kMost}).to(f64).item(), 0x1p63);
}

TEST(ConversionRule, ItemRefusesWhatTheTypeCannotHold) {
  EXPECT_EQ(tensor({300}).item<int>(), 300);
  expect_error([] { tensor({300}).item<uint8_t>(); }, "item", {"300 does not fit", "8 bits"});
  expect_error([] { tensor({-1}).item<uint64_t>(); }, "item", {"-1 does not fit"});
  expect_error([] { tensor({kMost}).item<int>(); }, "item", {"does not fit", "32 bits"});
  EXPECT_EQ(tensor({-2.75}).item<int>(), -2);
  EXPECT_EQ(tensor({kMost}).item<uint64_t>(), static_cast<uint64_t>(kMost));
}

// ---- indices ----

TEST(IndexRange, NoIndexIsASentinel) {
  const Tensor x = ones({3});
  for (const int64_t index : {kLeast, kMost, int64_t{-1}, int64_t{3}, int64_t{-100}}) {
    const Tensor at = tensor({0, index});
    expect_error([&] { gather(x, 0, at); }, "gather", {"out of range", "at position 1"});
    expect_error([&] { scatter_add(ones({2}), {3}, 0, at); }, "scatter_add", {"out of range"});
    expect_error([&] { index_select(x, 0, at); }, "index_select", {"out of range"});
    expect_error([&] { one_hot(at, 3); }, "one_hot", {"out of range"});
  }
  expect_error([&] { gather(x, 0, tensor({NAN}).to(i64)); }, "to", {"nan"});
}

TEST(IndexRange, NothingIsGatheredFromNothing) {
  expect_values(gather(zeros({3}), 0, tensor({}, i64)), {});
  expect_values(gather(zeros({0}), 0, tensor({}, i64)), {});
  EXPECT_EQ(gather(zeros({3, 4}), 1, zeros({3, 0}, i64)).shape(), (Shape{3, 0}));
  expect_values(scatter_add(zeros({0}), {2}, 0, tensor({}, i64)), {0, 0});
  EXPECT_EQ(one_hot(tensor({}, i64), 3).shape(), (Shape{0, 3}));
  EXPECT_EQ(index_select(zeros({3, 2}), 0, tensor({}, i64)).shape(), (Shape{0, 2}));
  expect_error([] { gather(zeros({0}), 0, tensor({0})); }, "gather", {"out of range"});
}

// ---- conditions ----

TEST(Conditions, KeepTheirTruthBesideNarrowerTypes) {
  const Tensor half = tensor({0.5, 0, -0.5, NAN}), ten = full({4}, 10), one = ones({4}, i64);
  expect_values(where(half, ten, one), {10, 1, 10, 10});
  const Tensor tiny = tensor({1e-300, 0, -1e-300, 5e-324}, f64);
  expect_values(where(tiny, full({4}, 10.), ones({4})), {10, 1, 10, 10});
  expect_values(where(tensor({0.5}), ten, one), {10, 10, 10, 10});
}

}  // namespace
}  // namespace ebb
