// The rule of conversions, creation and bools on the device: as on the CPU, with errors at the next
// synchronization.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/core/backend.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaConversions = CudaTest;

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kLarge = (int64_t{1} << 60) + 1;  // not a double

TEST_F(CudaConversions, WhatAnIntegerCannotHoldIsAnErrorWhenTheHostWaits) {
  for (const DType from : {f32, f64}) {
    for (const double value : std::vector<double>{NAN, INFINITY, -INFINITY, 0x1p63, 1e30}) {
      for (const DType to : {i64, u8}) {
        const Tensor y = tensor({1.0, value}, from).to(kCuda).to(to);
        expect_error([] { cuda::synchronize(); }, "to", {to == i64 ? "i64" : "u8", "position 1"});
        EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{1, 0}));
      }
    }
    expect_values(tensor({2.75, -2.75, -0.5}, from).to(kCuda).to(i64), {2, -2, 0});
    expect_values(tensor({255.75, -0.75}, from).to(kCuda).to(u8), {255, 0});
    EXPECT_EQ(tensor({-0x1p63}, from).to(kCuda).to(i64).item<int64_t>(), kLeast);
  }
  const Tensor wide = tensor({256}).to(kCuda).to(u8);
  expect_error([] { cuda::synchronize(); }, "to", {"u8 holds 0 to 255"});
}

TEST_F(CudaConversions, CreationIsExact) {
  EXPECT_EQ(full({}, kLarge, kCuda).item<int64_t>(), kLarge);
  EXPECT_EQ(zeros({}, {.dtype = i64, .device = kCuda}).fill_(kLarge).item<int64_t>(), kLarge);
  expect_error([] { full({2}, 0.5, {.dtype = i64, .device = kCuda}); }, "full", {"not an integer"});
  expect_values(arange(0., 1., .25, kCuda), {0, 0.25, 0.5, 0.75});
  expect_values(linspace(0, 1, 3, kCuda), {0, 0.5, 1});
  expect_values(eye(2, kCuda), {1, 0, 0, 1});
  expect_values(tensor({{1, 2}, {3, 4}}, kCuda), {1, 2, 3, 4});
  Generator g{3, 0}, h{3, 0};
  EXPECT_EQ(randint(-5, 5, 20, kCuda, &g).to_vector<int64_t>(),
            randint(-5, 5, 20, {}, &h).to_vector<int64_t>());
}

TEST_F(CudaConversions, NoIndexIsASentinel) {
  const Tensor x = ones({3}, kCuda);
  for (const int64_t index : {kLeast, int64_t{-1}, int64_t{3}}) {
    gather(x, 0, tensor({0, index}).to(kCuda));
    expect_error([] { cuda::synchronize(); }, "gather", {"out of range", "position 1"});
  }
  const Tensor ignored = tensor({int64_t{-100}, int64_t{1}}).to(kCuda);
  nn::cross_entropy(zeros({2, 3}, kCuda), ignored);
  cuda::synchronize();
}

TEST_F(CudaConversions, ConditionsKeepTheirTruth) {
  const Tensor half = tensor({0.5, 0, -0.5, NAN}, kCuda);
  expect_values(where(half, full({4}, 10, kCuda), ones({4}, i64).to(kCuda)), {10, 1, 10, 10});
  const Tensor tiny = tensor({1e-300, 0, -1e-300}, f64).to(kCuda);
  expect_values(where(tiny, full({3}, 10., kCuda), ones({3}, kCuda)), {10, 1, 10});
}

TEST_F(CudaConversions, BoolsAreComputedAsOnTheCpu) {
  const Tensor b = tensor({true, true, false}), c = tensor({true, false, false});
  const Tensor x = b.to(kCuda), y = c.to(kCuda);
  EXPECT_EQ((x + y).to_vector<double>(), (b + c).to_vector<double>());
  EXPECT_EQ((x * y).to_vector<double>(), (b * c).to_vector<double>());
  EXPECT_EQ((x * 6).dtype(), i64);
  expect_values(x * 6, {6, 6, 0});
  expect_values(x * 2.5, {2.5, 2.5, 0});
  expect_error([&] { x - y; }, "sub", {"bool"});
}

TEST_F(CudaConversions, PrintingAndAssigningToViews) {
  Tensor z = zeros({2, 2}, kCuda);
  z[0] = ones({2}, kCuda);
  z[1][1] = 5;
  expect_values(z, {1, 1, 0, 5});
  EXPECT_EQ(to_string(arange(5000, kCuda)),
            "[0, 1, 2, ..., 4997, 4998, 4999] Tensor(shape=(5000,), dtype=i64, device=cuda:0)");
}

}  // namespace
}  // namespace ebb::test
