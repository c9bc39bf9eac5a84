// Tensors: creation, elements, views, conversions, printing.
#include "ebb/core/tensor.h"

#include <cmath>
#include <functional>
#include <sstream>
#include <thread>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

// ---- creation ----

TEST(Creation, FillsForEveryDtype) {
  for (DType dtype : {f32, f64, i64, u8, boolean}) {
    const TensorOptions options{.dtype = dtype};
    expect_values(zeros({2, 2}, options), {0, 0, 0, 0});
    expect_values(ones({2}, options), {1, 1});
    expect_values(full({2}, 1, options), {1, 1});
    EXPECT_EQ(zeros({2}, options).dtype(), dtype);
    EXPECT_EQ(ones_like(zeros({2}, options)).dtype(), dtype);
  }
  EXPECT_EQ(zeros({2}).dtype(), f32);
  EXPECT_EQ(scalar(3).dim(), 0);
  EXPECT_EQ(empty({3, 0, 2}).numel(), 0);
}

TEST(Creation, Arange) {
  expect_values(arange(3), {0, 1, 2});
  EXPECT_EQ(arange(3).dtype(), i64);
  expect_values(arange(1, 2, 0.25, {.dtype = f64}), {1, 1.25, 1.5, 1.75});
  expect_values(arange(3, 0, -1), {3, 2, 1});
  EXPECT_EQ(arange(0).numel(), 0);
  EXPECT_EQ(arange(5, 1).numel(), 0);
  expect_error([] { arange(0, 1, 0); }, "arange", {"step other than 0"});
  expect_error([] { arange(0, INFINITY); }, "arange", {"finite"});
}

TEST(Creation, FromValues) {
  expect_values(tensor({{1, 2}, {3, 4}}, f32), {1, 2, 3, 4});
  EXPECT_EQ(to_text(tensor({{1, 2, 3}, {3, 4, 5}}, f32).shape()), "(2, 3)");
  EXPECT_EQ(to_text(tensor({{0}, {1}}, f32).shape()), "(2, 1)");
  EXPECT_EQ(to_text(tensor({{7}}, i64).shape()), "(1, 1)");
  EXPECT_EQ(to_text(tensor({0, 1.5}).shape()), "(2,)");
  EXPECT_EQ(tensor({1, 2}, i64).dtype(), i64);
  expect_error(
      [] {
        tensor({{1, 2}, {3}}, f32);
      },
      "tensor", {"ragged rows: shape (2,) in the first, (1,) later"});
  expect_values(from_data(std::vector<float>{1, 2, 3, 4}, {2, 2}), {1, 2, 3, 4});
  EXPECT_EQ(from_data(std::vector<uint8_t>{1}, {1}).dtype(), u8);
  expect_error(
      [] {
        from_data(std::vector<float>{1, 2, 3}, {2, 2});
      },
      "from_data", {"(2, 2) takes 4 values, got 3"});
}

TEST(Creation, RefusesImpossibleShapes) {
  expect_error([] { empty({2, -1}); }, "empty", {"(2, -1) has a negative size"});
  expect_error([] { empty({int64_t{1} << 40, int64_t{1} << 40}); }, "empty", {"too large"});
  expect_error([] { empty({int64_t{1} << 50}); }, "memory", {"out of memory"});
}

// ---- elements ----

TEST(Elements, AccessIsTyped) {
  Tensor t = tensor({{1, 2}, {3, 4}}, f64);
  EXPECT_EQ(t.data<double>()[3], 4);
  expect_error([&] { t.data<float>(); }, "data", {"tensor is f64, asked for f32"});
  expect_error([&] { t.mutable_data<int64_t>(); }, "data", {"f64", "i64"});
  t.mutable_data<double>()[0] = 9;
  EXPECT_EQ(t.to_vector<int64_t>(), (std::vector<int64_t>{9, 2, 3, 4}));
}

TEST(Elements, ItemConverts) {
  EXPECT_EQ(scalar(2.75).item(), 2.75);
  EXPECT_EQ(tensor({7}, i64).item<int64_t>(), 7);
  EXPECT_EQ(full({1}, 2.75, {.dtype = f64}).item<float>(), 2.75f);
  EXPECT_TRUE(ones({}, {.dtype = boolean}).item<bool>());
  const int64_t large = (int64_t{1} << 53) + 1;
  EXPECT_EQ(from_data(std::vector<int64_t>{large}, {}).item<int64_t>(), large);
  expect_error([] { zeros({2}).item(); }, "item", {"expected one element, tensor has shape (2,)"});
  expect_error([] { Tensor().item(); }, "item", {"undefined"});
}

TEST(Elements, SizesAreChecked) {
  const Tensor t = zeros({2, 3});
  EXPECT_EQ(t.size(-1), 3);
  EXPECT_EQ(t.size(0), 2);
  expect_error([&] { t.size(2); }, "size", {"dim 2 is out of range"});
  expect_error([] { scalar(1).size(0); }, "size", {"0-d"});
}

// ---- views ----

TEST(Views, ShareTheStorage) {
  Tensor base = arange(0, 12, 1, {.dtype = f64});
  const Tensor grid = reshape(base, {3, 4});
  const Tensor views[] = {grid,
                          transpose(grid),
                          grid[1],
                          slice(grid, 1, 1, 4, 2),
                          expand(unsqueeze(base, 0), {5, 12}),
                          permute(grid, {1, 0}),
                          flatten(grid),
                          squeeze(unsqueeze(base, 1), 1),
                          base.detach(),
                          alias(base)};
  base.fill_(5);
  for (const Tensor& view : views) {
    for (double v : view.to_vector<double>()) EXPECT_EQ(v, 5);
    EXPECT_EQ(view.version(), base.version());
  }
  EXPECT_FALSE(base.is_unique());
  EXPECT_TRUE(zeros({2}).is_unique());
}

TEST(Views, CopiesDoNot) {
  Tensor base = tensor({1, 2}, f64);
  const Tensor copy = base.clone(), same = base.to(f64), other = base.to(f32);
  base.fill_(5);
  expect_values(copy, {1, 2});
  expect_values(same, {5, 5});
  expect_values(other, {1, 2});
}

TEST(Views, WritesThroughAViewReachTheBase) {
  Tensor grid = zeros({3, 4}, {.dtype = f64});
  transpose(grid)[1].fill_(1);
  slice(grid, 0, 2, 3).add_(ones({4}, {.dtype = f64}));
  grid[0].copy_(tensor({9, 8, 7, 6}, f32));
  expect_values(grid, {9, 8, 7, 6, 0, 1, 0, 0, 1, 2, 1, 1});
}

TEST(Views, ContiguityIsKnown) {
  const Tensor grid = zeros({3, 4});
  EXPECT_TRUE(grid.is_contiguous());
  EXPECT_FALSE(transpose(grid).is_contiguous());
  EXPECT_TRUE(slice(grid, 0, 1, 3).is_contiguous());
  EXPECT_FALSE(slice(grid, 1, 1, 3).is_contiguous());
  EXPECT_FALSE(expand(zeros({1, 4}), {3, 4}).is_contiguous());
  EXPECT_TRUE(transpose(zeros({1, 4})).is_contiguous());
  EXPECT_TRUE(transpose(grid).contiguous().is_contiguous());
  EXPECT_EQ(grid.contiguous().raw(), grid.raw());
}

TEST(Views, ReshapeOfStridedTensorsKeepsOrder) {
  const Tensor t = arange(0, 24, 1, {.dtype = f64});
  const Tensor x = permute(reshape(t, {2, 3, 4}), {1, 0, 2});  // (3, 2, 4)
  const Tensor merged = reshape(x, {3, 8}), split = reshape(x, {3, 2, 2, 2});
  expect_values(merged, x.to_vector<double>());
  expect_values(split, x.to_vector<double>());
  EXPECT_EQ(split.raw(), x.raw()) << "splitting a dim needs no copy";
  EXPECT_NE(merged.raw(), x.raw()) << "merging two dims that do not lie as one does";
  expect_values(reshape(slice(t, 0, 0, 24, 2), {3, 4}),
                {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22});
}

TEST(Views, SliceBoundsAreThoseOfPython) {
  const Tensor t = arange(0, 10, 1, {.dtype = f64});
  expect_values(slice(t, 0, 2, 5), {2, 3, 4});
  expect_values(slice(t, 0, -3, 100), {7, 8, 9});
  expect_values(slice(t, 0, 0, 10, 4), {0, 4, 8});
  expect_values(slice(t, 0, -100, 2), {0, 1});
  EXPECT_EQ(slice(t, 0, 5, 2).numel(), 0);
  EXPECT_EQ(slice(t, 0, 20, 30).numel(), 0);
}

TEST(Views, IndexingErrors) {
  const Tensor t = zeros({2, 3});
  expect_error([&] { t[2]; }, "select", {"index 2 is out of range for dim 0 of shape (2, 3)"});
  expect_error([&] { t[0][1][0]; }, "select", {"0-d"});
  expect_error([&] { slice(t, 2, 0, 1); }, "slice", {"dim 2"});
  expect_error([] { Tensor()[0]; }, "select", {"undefined"});
}

// ---- conversions ----

TEST(Conversions, BetweenAllDtypes) {
  for (DType from : {f32, f64, i64, u8, boolean}) {
    const Tensor x = tensor({0, 1, 1, 0}, from);
    for (DType to : {f32, f64, i64, u8, boolean}) {
      const Tensor y = reshape(x, {2, 2}).to(to), z = transpose(reshape(x, {2, 2})).to(to);
      EXPECT_EQ(y.dtype(), to);
      expect_values(y, {0, 1, 1, 0});
      expect_values(z, {0, 1, 1, 0});
    }
  }
  expect_values(tensor({2, 0, 0.5}, f64).to(boolean), {1, 0, 1});
  expect_values(tensor({2.9, -2.9}, f64).to(i64), {2, -2});
  expect_values(tensor({200}, i64).to(u8), {200});
  EXPECT_EQ(tensor({0.1}, f64).to(f32).item(), static_cast<double>(0.1f));
}

TEST(Conversions, BetweenFloatingTypesAreDifferentiable) {
  Tensor x = tensor({1, 2}, f64).requires_grad_();
  sum(x.to(f32) * 3).backward();
  expect_values(x.grad(), {3, 3});
  EXPECT_EQ(x.grad().dtype(), f64);
  EXPECT_FALSE(x.to(i64).requires_grad());
}

TEST(Conversions, IntegersAreNotTakenWhereFloatsAreNeeded) {
  const Tensor i = zeros({2}, {.dtype = i64}), f = zeros({2});
  EXPECT_EQ((i + f).dtype(), f32);
  EXPECT_EQ((i / i).dtype(), f32);
  EXPECT_EQ((i / 2).dtype(), f32);
  expect_error([&] { matmul(i, f); }, "matmul", {"floating", "i64", "to()"});
  expect_error([&] { mean(i); }, "mean", {"floating", "i64"});
  EXPECT_EQ(sum(ones({3}, {.dtype = u8})).dtype(), i64);
  EXPECT_EQ(sum(ones({300}, {.dtype = u8})).item<int64_t>(), 300);
  EXPECT_EQ(sum(ones({3}, {.dtype = boolean})).item<int64_t>(), 3);
}

TEST(Conversions, CopyConvertsAndBroadcasts) {
  Tensor t = zeros({2, 3});
  t.copy_(tensor({1, 2, 3}, i64));
  expect_values(t, {1, 2, 3, 1, 2, 3});
  expect_error([&] { t.copy_(zeros({2})); }, "copy_", {"(2,) does not broadcast to (2, 3)"});
  expect_error([&] { zeros({3}).copy_(t); }, "copy_", {"(2, 3) does not broadcast to (3,)"});
}

TEST(Conversions, MissingDevicesAreNamed) {
  expect_error([] { zeros({2}, {.device = Device::cuda(7)}); }, "", {"cuda"});
}

TEST(Reading, FromManyThreads) {
  const Tensor t = arange(0, 1000, 1, {.dtype = f64});
  std::vector<std::thread> threads;
  std::vector<double> sums(8);
  for (double& total : sums) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) total = sum(slice(Tensor(t), 0, 1, 1000)).item();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (double total : sums) EXPECT_EQ(total, 499500);
  EXPECT_TRUE(t.is_unique());
}

// ---- printing ----

std::string printed(const Tensor& t) {
  std::ostringstream out;
  out << t;
  return out.str();
}

TEST(Printing, ShowsValuesShapeDtypeAndGraphNode) {
  EXPECT_EQ(printed(scalar(2.5)), "2.5000 Tensor(shape=(), dtype=f32)");
  EXPECT_EQ(printed(tensor({1, -2.5})), "[ 1.0000, -2.5000] Tensor(shape=(2,), dtype=f32)");
  EXPECT_EQ(printed(tensor({{1, 20}, {-300, 4}}, i64)),
            "[[   1,   20],\n [-300,    4]]\nTensor(shape=(2, 2), dtype=i64)");
  EXPECT_EQ(printed(tensor({1, 0}, boolean)), "[ true, false] Tensor(shape=(2,), dtype=bool)");
  Tensor x = tensor({1}, f32).requires_grad_();
  EXPECT_EQ(printed(x), "[1.0000] Tensor(shape=(1,), dtype=f32, requires_grad=true)");
  EXPECT_EQ(printed(x * x), "[1.0000] Tensor(shape=(1,), dtype=f32, grad_node=mul)");
  EXPECT_EQ(printed(Tensor()), "Tensor(undefined)");
  EXPECT_EQ(printed(empty({0})), "[] Tensor(shape=(0,), dtype=f32)");
  EXPECT_EQ(to_string(scalar(0.125), 2), "0.12 Tensor(shape=(), dtype=f32)");
}

TEST(Printing, UnusualNumbers) {
  EXPECT_EQ(printed(tensor({1e10, -1e-10, 0}, f64)),
            "[ 1.0000e+10, -1.0000e-10,      0.0000] Tensor(shape=(3,), dtype=f64)");
  EXPECT_EQ(printed(tensor({INFINITY, -INFINITY}, f64)),
            "[ inf, -inf] Tensor(shape=(2,), dtype=f64)");
  EXPECT_EQ(printed(tensor({std::nan(""), -std::nan("")})),
            "[nan, nan] Tensor(shape=(2,), dtype=f32)");
  const int64_t large = (int64_t{1} << 53) + 1;
  EXPECT_EQ(printed(from_data(std::vector<int64_t>{large}, {})),
            "9007199254740993 Tensor(shape=(), dtype=i64)");
}

// A scalar that an integer tensor cannot represent is an error.
TEST(Scalars, AreNotTruncatedToIntegers) {
  const Tensor x = arange(3), bytes = tensor({0, 255}, u8);
  EXPECT_EQ((x + 0.5).to_vector<double>(), (std::vector<double>{0.5, 1.5, 2.5}));
  EXPECT_EQ((0.5 - x).to_vector<double>(), (std::vector<double>{0.5, -0.5, -1.5}));
  EXPECT_EQ((x * 1.5).to_vector<double>(), (std::vector<double>{0, 1.5, 3}));
  EXPECT_EQ((x - 2.0).dtype(), f32);
  EXPECT_EQ((x >= 0.5).to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 1}));
  EXPECT_EQ((x < 1.0).to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 0}));
  EXPECT_EQ((x == NAN).to_vector<int64_t>(), (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ((bytes == 255.0).to_vector<int64_t>(), (std::vector<int64_t>{0, 1}));
  expect_error([&] { bytes < 300; }, "less", {"does not fit a tensor of u8"});
}

TEST(Printing, LargeTensorsAreShortened) {
  const std::string text = printed(zeros({100, 100}));
  EXPECT_LT(text.size(), 700u) << text;
  EXPECT_NE(text.find("..."), std::string::npos);
  EXPECT_NE(text.find("Tensor(shape=(100, 100), dtype=f32)"), std::string::npos);
  const std::string line = printed(arange(5000));
  EXPECT_EQ(line, "[0, 1, 2, ..., 4997, 4998, 4999] Tensor(shape=(5000,), dtype=i64)");
}

TEST(Printing, StridedTensorsPrintInTheirOrder) {
  EXPECT_EQ(printed(transpose(tensor({{1, 2}, {3, 4}}, i64))),
            "[[1, 3],\n [2, 4]]\nTensor(shape=(2, 2), dtype=i64)");
}

}  // namespace
}  // namespace ebb
