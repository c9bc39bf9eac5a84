// Sizes that a user can request and memory cannot hold: every product, sum and offset is checked,
// and an overflow is an Error. Printing a large tensor costs only as much as the part that is
// printed.
#include <limits>
#include <sstream>

#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/convolution.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/pooling.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/sorting.h"
#include "ebb/autograd/ops/tensor_index.h"
#include "ebb/autograd/ops/unfold.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kHuge = int64_t{1} << 62;

TEST(Sizes, CheckedArithmeticKnowsItsBounds) {
  EXPECT_EQ(checked_mul("op", int64_t{1} << 31, int64_t{1} << 31), kHuge);
  EXPECT_EQ(checked_add("op", kMost - 1, 1), kMost);
  EXPECT_EQ(checked_mul("op", -2, kHuge), kLeast);
  expect_error([] { checked_mul("op", 2, kHuge); }, "op", {"too large"});
  expect_error([] { checked_add("op", kMost, 1); }, "op", {"too large"});
  expect_error([] { checked_add("op", kLeast, -1); }, "op", {"too large"});
}

TEST(Sizes, NumelIsCheckedInAnyOrderOfTheSizes) {
  EXPECT_EQ((Shape{0, int64_t{1} << 40}).numel(), 0);
  EXPECT_EQ((Shape{kMaxElements}).numel(), kMaxElements);
  const int64_t n = int64_t{1} << 32;
  for (const Shape& shape : {Shape{n, n}, Shape{0, n, n}, Shape{n, 0, n}, Shape{n, n, 0},
                             Shape{kMaxElements + 1}, Shape{kMost}, Shape{kMost, 2}})
    expect_error([&] { (void)shape.numel("op"); }, "op", {"too large"});
  for (const Shape& shape : {Shape{-1}, Shape{-2, -2}, Shape{0, -1}, Shape{kLeast}})
    expect_error([&] { (void)shape.numel("op"); }, "op", {"negative size"});
}

TEST(Sizes, AnIndexThatAShapeDoesNotHaveIsAnError) {
  const Shape shape{2, 3};
  expect_error([&] { (void)shape[2]; }, "shape", {"index 2", "(2, 3) has 2 dimensions"});
  expect_error([&] { (void)shape[-1]; }, "shape", {"index -1"});
  expect_error([] { (void)Shape().back(); }, "shape", {"index -1"});
}

TEST(Sizes, AShapeIsMadeFromOneNumber) {
  EXPECT_EQ(zeros(3).shape(), (Shape{3}));
  EXPECT_EQ(zeros(size_t{3}).shape(), (Shape{3}));
  EXPECT_EQ(sum(ones({2, 3}), 1).shape(), (Shape{2}));
  expect_error([] { zeros(std::numeric_limits<uint64_t>::max()); }, "shape", {"too large"});
  static_assert(!std::is_convertible_v<bool, Shape> && !std::is_convertible_v<double, Shape>);
}

// ---- views ----

TEST(Sizes, ReshapeDoesNotWrap) {
  expect_error([] { reshape(zeros({4}), {kHuge + 1, 4}); }, "reshape", {"too large"});
  expect_error(
      [] {
        reshape(zeros({0}), {int64_t{1} << 32, int64_t{1} << 32});
      },
      "reshape", {"too large"});
  expect_error(
      [] {
        reshape(zeros({4}), {int64_t{1} << 32, -1, int64_t{1} << 32});
      },
      "reshape", {"too large"});
  expect_error([] { reshape(zeros({4}), {-1, -1}); }, "reshape", {"negative"});
  expect_error([] { reshape(zeros({0}), {-1, 0}); }, "reshape", {"cannot infer"});
  EXPECT_EQ(reshape(zeros({0, 5}), {-1, 7}).shape(), (Shape{0, 7}));
}

TEST(Sizes, SliceTakesAnyBoundsAndStep) {
  const Tensor t = arange(10);
  expect_values(slice(t, 0, 0, 10, kMost - 5), {0});
  expect_values(slice(t, 0, 0, 10, kMost), {0});
  expect_values(slice(t, 0, kLeast, kMost, 4), {0, 4, 8});
  expect_values(slice(t, 0, 9, kMost, kHuge), {9});
  EXPECT_EQ(slice(t, 0, kMost, kLeast, kMost).numel(), 0);
  const Tensor grid = reshape(arange(6, f64), {2, 3});
  expect_values(slice(grid, 1, 2, 3, kMost) + 1.0, {3, 6});  // its stride must not have wrapped
  EXPECT_EQ(slice(zeros({3, 0}), 0, 0, 3, kMost).shape(), (Shape{1, 0}));
}

TEST(Sizes, SliceScatterRefusesWhatDoesNotFit) {
  for (const int64_t start : {kHuge, kMost, kLeast, int64_t{-1}, int64_t{4}})
    expect_error([&] { slice_scatter(ones({2}), {5}, 0, start); }, "slice_scatter",
                 {"does not fit"});
  for (const int64_t step : {kHuge, kMost, int64_t{5}, int64_t{0}, kLeast})
    expect_error([&] { slice_scatter(ones({2}), {5}, 0, 0, step); }, "slice_scatter",
                 {"does not fit"});
  expect_values(slice_scatter(ones({2}), {5}, 0, 0, 4), {1, 0, 0, 0, 1});
  expect_values(slice_scatter(ones({1}), {5}, 0, 4, kMost), {0, 0, 0, 0, 1});
}

TEST(Sizes, ExpandAndWhatFollowsRefuseWhatIsTooLarge) {
  expect_error([] { expand(zeros({1}), {kHuge}); }, "expand", {"too large"});
  expect_error(
      [] {
        expand(zeros({1}), {int64_t{1} << 32, int64_t{1} << 32});
      },
      "expand", {"too large"});
  const Tensor wide = expand(zeros({1}), {kMaxElements});
  const Tensor tall = expand(zeros({1, 1}), {int64_t{1} << 31, 2});
  expect_error([&] { (void)wide.clone(); }, "", {"memory"});
  expect_error(
      [&] {
        cat({wide, wide, wide, wide, wide, wide, wide, wide, wide});
      },
      "cat", {"too large"});
  expect_error([&] { stack({wide, wide}); }, "", {"too large"});
  expect_error([&] { matmul(tall, transpose(tall)); }, "", {"too large"});
  expect_error([&] { expand(zeros({1, 1}), {2, int64_t{1} << 31}) + tall; }, "add", {"broadcast"});
}

TEST(Sizes, IndicesOfAnySizeAreCompared) {
  const Tensor t = arange(3);
  for (const int64_t i : {kLeast, kMost, int64_t{-4}, int64_t{3}})
    expect_error([&] { t[i]; }, "select", {"out of range"});
  expect_error([&] { t[std::numeric_limits<uint64_t>::max()]; }, "", {"does not fit"});
  for (const int64_t dim : {kLeast, kMost, int64_t{1}, int64_t{-2}}) {
    expect_error([&] { slice(t, dim, 0, 1); }, "slice", {"out of range"});
    expect_error([&] { sum(t, dim); }, "sum", {"out of range"});
    expect_error([&] { flatten(t, dim, dim); }, "flatten", {"out of range"});
  }
}

TEST(Sizes, ViewsAndIndicesCheckTheirEnds) {
  const Tensor t = arange(5, f64), row = reshape(t, {1, 1, 5});
  expect_error([&] { narrow(t, 0, kLeast, kLeast); }, "narrow", {"too large"});
  expect_error([&] { narrow(t, 0, 2, kMost); }, "narrow", {"too large"});
  expect_error([&] { scatter_add(ones({1}), {kLeast}, 0, zeros({1}, i64)); }, "scatter_add",
               {"negative size"});
  const Tensor wide = expand(zeros({1}), {kMaxElements});
  expect_error([&] { split(wide, 1); }, "split", {"too many"});
  expect_error([&] { unbind(wide); }, "unbind", {"too many"});
  for (const int64_t n : {(int64_t{1} << 24) + 1, kHuge})
    expect_error([&] { chunk(zeros({0}), n); }, "chunk", {"too many"});
  for (const PadMode mode : {PadMode::Reflect, PadMode::Replicate, PadMode::Circular})
    expect_error([&] { pad(row, {1, kMost}, mode); }, "", {});
}

// ---- windows ----

TEST(Sizes, OptionsOfWindowsAreBounded) {
  const Tensor x = reshape(arange(16, f32), {1, 2, 8}), w = ones({2, 2, 3});
  for (const int64_t n : {(int64_t{1} << 40) + 1, kHuge, kMost}) {
    expect_error([&] { conv1d(x, w, {}, {.stride = n}); }, "conv1d", {"stride", "too large"});
    expect_error([&] { conv1d(x, w, {}, {.padding = n}); }, "conv1d", {"padding", "too large"});
    expect_error([&] { conv1d(x, w, {}, {.padding = 1, .dilation = n}); }, "conv1d",
                 {"dilation", "too large"});
    expect_error([&] { conv_transpose1d(x, w, {}, {.stride = n}); }, "conv_transpose1d",
                 {"stride", "too large"});
    expect_error([&] { max_pool1d(x, 2, n); }, "max_pool1d", {"stride", "too large"});
    expect_error([&] { max_pool1d(x, 1, 1, 0, n); }, "max_pool1d", {"dilation", "too large"});
    expect_error([&] { avg_pool1d(x, n, 1, n / 2); }, "avg_pool1d", {"kernel_size", "too large"});
  }
  const int64_t most = int64_t{1} << 40;
  EXPECT_EQ(conv1d(x, w, {}, {.stride = most}).shape(), (Shape{1, 2, 1}));
  EXPECT_EQ(conv1d(x, ones({2, 2, 1}), {}, {.stride = most, .padding = most}).shape(),
            (Shape{1, 2, 3}));
  expect_values(max_pool1d(x, 2, most), {1, 9});
  const Tensor columns = ones({1, 4, 9});
  expect_error([&] { fold(columns, kHuge, int64_t{1} << 32); }, "fold", {"too large"});
  expect_error([&] { fold(columns, kHuge, {2, 2}, {.stride = 3}); }, "fold", {"too large"});
  expect_error([&] { unfold(ones({1, 1, 4, 4}), 2, {.dilation = kHuge, .padding = kHuge}); },
               "unfold", {"too large"});
}

TEST(Sizes, AnEmptyResultCostsNothing) {
  const Tensor x = ones({1, 2, 4, 4}).requires_grad_();
  const int64_t rows = int64_t{1} << 36;
  for (const auto& pool : {adaptive_avg_pool2d, adaptive_max_pool2d}) {
    const Tensor y = pool(x, {rows, 0});
    EXPECT_EQ(y.shape(), (Shape{1, 2, rows, 0}));
    expect_values(grad(sum(y), x), std::vector<double>(32, 0));
  }
  EXPECT_EQ(std::get<1>(adaptive_max_pool2d_with_indices(x, {rows, 0})).numel(), 0);
}

// ---- integers ----

TEST(Sizes, IntegersWrapAround) {
  const Tensor ends = from_data<int64_t>({kLeast, kMost}, {2});
  const auto expect = [](const Tensor& got, const std::vector<int64_t>& want) {
    EXPECT_EQ(got.to_vector<int64_t>(), want);
  };
  expect(ends + 1, {kLeast + 1, kLeast});
  expect(ends - 1, {kMost, kMost - 1});
  expect(2 - ends, {kLeast + 2, -kMost + 2});
  expect(ends * 2, {0, -2});
  expect(ends + ends, {0, -2});
  expect(ends - from_data<int64_t>({1, -1}, {2}), {kMost, kLeast});
  expect(ends * ends, {0, 1});
  expect(-ends, {kLeast, -kMost});
  expect(abs(ends), {kLeast, kMost});
  expect(sum(cat({ends, ends})), {-2});
  expect(prod(ends), {kLeast});
  expect(cumsum(cat({ends, ends}), 0), {kLeast, -1, kMost, -2});
  expect(cumprod(ends, 0), {kLeast, kLeast});
}

TEST(Sizes, ANumberThatAKernelCannotHoldIsAnError) {
  const Tensor zero = zeros({1}, i64);
  const int64_t exact = int64_t{1} << 53;
  EXPECT_EQ((zero + exact).item<int64_t>(), exact);
  for (const int64_t n : {exact + 1, -exact - 1, kMost, kLeast}) {
    expect_error([&] { zero + n; }, "add", {"does not fit a tensor of i64"});
    expect_error([&] { zero * n; }, "mul", {"does not fit a tensor of i64"});
    const Tensor here = full({1}, n);
    EXPECT_EQ((here == n).item(), 1);  // comparisons are exact
    EXPECT_EQ((zero < n).item(), n > 0);
  }
}

// ---- creation ----

TEST(Sizes, CreationThrowsNothingButError) {
  expect_error([] { arange(0, 1e300); }, "", {"too large"});
  expect_error([] { arange(0, 1, NAN); }, "arange", {"finite"});
  expect_error([] { arange(0, 1, INFINITY); }, "arange", {"finite"});
  expect_error([] { arange(-1e308, 1e308); }, "", {"too large"});
  expect_error([] { arange(kLeast, kMost); }, "", {"too large"});
  expect_error([] { arange(kMost / 16); }, "memory", {"out of memory"});
  EXPECT_EQ(arange(kLeast, kMost, kHuge).to_vector<int64_t>(),
            (std::vector<int64_t>{kLeast, kLeast + kHuge, 0, kHuge}));
  expect_error([] { randperm(kHuge); }, "", {"too large"});
  expect_error([] { randperm(-1); }, "randperm", {"at least 0"});
  expect_error([] { one_hot(arange(3), kHuge); }, "", {"too large"});
  expect_error([] { linspace(0, 1, kHuge); }, "", {"too large"});
  expect_error([] { linspace(0, 1, -1); }, "linspace", {"at least 0"});
  expect_error([] { eye(int64_t{1} << 31, int64_t{1} << 31); }, "", {"too large"});
  expect_error([] { eye(-1); }, "", {"negative"});
  expect_error([] { randint(3, kHuge); }, "", {"too large"});
  expect_error([] { from_data(std::vector<float>{1}, {kMost, 2}); }, "from_data", {"too large"});
  expect_error([] { from_data(std::vector<float>{1}, {-1, -1}); }, "from_data", {"negative"});
}

TEST(Sizes, ReadingWhatDoesNotFitIntoMemoryIsAnError) {
  const Tensor wide = expand(zeros({1}), {kMaxElements});
  expect_error([&] { wide.to_vector<float>(); }, "memory", {"out of memory"});
  expect_error([&] { (void)wide.to(f64); }, "memory", {"out of memory"});
  expect_error([&] { wide.item(); }, "item", {"one element"});
  const Tensor input = expand(zeros({1}, f64), {kMaxElements}).detach().requires_grad_();
  expect_error([&] { gradcheck([](const std::vector<Tensor>& x) { return x; }, {input}); },
               "gradcheck", {"share memory"});
}

// ---- printing ----

TEST(Sizes, PrintingCostsWhatIsShown) {
  const std::string cube = to_string(expand(zeros({1}), {1 << 20, 1 << 18, 1 << 20}));
  EXPECT_LT(cube.size(), 4000u);
  EXPECT_NE(cube.find("shape=(1048576, 262144, 1048576)"), std::string::npos);
  EXPECT_EQ(to_string(zeros({4280828417, 0})), "[] Tensor(shape=(4280828417, 0), dtype=f32)");
  EXPECT_EQ(to_string(zeros({0, 3, 0})), "[] Tensor(shape=(0, 3, 0), dtype=f32)");
}

TEST(Sizes, ShortenedTensorsShowTheirEnds) {
  const Tensor t = reshape(arange(3 * 1000), {3, 1000});
  EXPECT_EQ(to_string(t),
            "[[0, 1, 2, ..., 997, 998, 999],\n [1000, 1001, 1002, ..., 1997, 1998, 1999],\n "
            "[2000, 2001, 2002, ..., 2997, 2998, 2999]]\nTensor(shape=(3, 1000), dtype=i64)");
  EXPECT_EQ(to_string(transpose(t)),
            "[[0, 1000, 2000],\n [1, 1001, 2001],\n [2, 1002, 2002],\n ...,\n [997, 1997, 2997],\n "
            "[998, 1998, 2998],\n [999, 1999, 2999]]\nTensor(shape=(1000, 3), dtype=i64)");
}

TEST(Sizes, ShapesDtypesAndDevicesPrint) {
  std::ostringstream out;
  out << zeros({2, 3}).shape() << " " << f64 << " " << Device::cuda(1) << " " << Shape{} << " "
      << Shape{7};
  EXPECT_EQ(out.str(), "(2, 3) f64 cuda:1 () (7,)");
}

}  // namespace
}  // namespace ebb
