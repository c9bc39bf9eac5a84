// Sorting, running sums, places and searches on the GPU against the CPU, where the op table does
// not reach: rows of many blocks, and rows on both sides of the size that shared memory holds.
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/sorting.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/tests/cuda/device.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using Integers = std::vector<int64_t>;

// Random numbers with many equal ones, NaN and both zeros, on the CPU.
Tensor numbers(const Shape& shape, DType dtype) {
  Generator generator{11, 0};
  const Tensor x = floor(rand(shape, {.dtype = f64}, &generator) * 40) - 20;
  if (!is_floating(dtype)) return x.to(dtype == u8 ? i64 : dtype);
  const Tensor odd = rand(shape, {.dtype = f64}, &generator);
  return where(odd < 0.02, NAN, where(odd < 0.1, -0.0, x)).to(dtype);
}

using CudaOrder = test::CudaTest;

TEST_F(CudaOrder, SortsRowsOfEverySize) {
  for (const DType dtype : {f32, f64, i64}) {
    for (const int64_t n : {1, 600, 1025}) {
      if (n > 600 && dtype == f64) continue;
      const Tensor x = numbers({2, n}, dtype), gpu = x.to(Device::cuda());
      for (const bool descending : {false, true}) {
        SCOPED_TRACE(to_text(dtype) + " " + std::to_string(n));
        const auto [values, places] = sort(gpu, 1, descending);
        const auto [want, at] = sort(x, 1, descending);
        EXPECT_EQ(places.to_vector<int64_t>(), at.to_vector<int64_t>());
        test::expect_same_bits(values, want, "values");
        EXPECT_EQ(std::get<1>(topk(gpu, (n + 1) / 2, 1, descending)).to_vector<int64_t>(),
                  std::get<1>(topk(x, (n + 1) / 2, 1, descending)).to_vector<int64_t>());
      }
    }
  }
}

TEST_F(CudaOrder, SortsColumns) {
  const Tensor x = numbers({300, 3}, f32);
  EXPECT_EQ(argsort(x.to(Device::cuda()), 0).to_vector<int64_t>(),
            argsort(x, 0).to_vector<int64_t>());
}

TEST_F(CudaOrder, RunningSumsOfLongRowsAndColumns) {
  for (const Shape& shape : {Shape{1000}, Shape{3, 77}, Shape{77, 3}, Shape{2, 30, 40}}) {
    for (int dim = 0; dim < shape.dim(); ++dim) {
      SCOPED_TRACE(to_text(shape) + " along " + std::to_string(dim));
      const Tensor x = numbers(shape, i64), gpu = x.to(Device::cuda());
      EXPECT_EQ(cumsum(gpu, dim).to_vector<int64_t>(), cumsum(x, dim).to_vector<int64_t>());
      Generator generator{2, 0};
      const Tensor f = rand(shape, {.dtype = f64}, &generator) + 0.5;
      test::expect_values(cumprod(f.to(Device::cuda()), dim), cumprod(f, dim).to_vector<double>(),
                          1e-11);
    }
  }
}

// Zeros before infinities and after them, within the 32 elements that a warp composes and beyond,
// in rows and in columns.
TEST_F(CudaOrder, RunningProductsAndSumsKeepInfinitiesAndZeros) {
  for (const double start : {0.0, -0.0, 2.0}) {
    Tensor x = full({2, 40}, 1.0, f64);
    x[0][0] = start;
    x[0][3] = -2.0;
    x[0][35] = INFINITY;
    x[1][1] = -INFINITY;
    x[1][33] = start;
    x[1][37] = INFINITY;
    for (const Tensor& rows : {x, transpose(x).contiguous()}) {
      const int dim = rows.size(0) == 2 ? 1 : 0;
      const Tensor gpu = rows.to(Device::cuda());
      test::expect_same_bits(cumprod(gpu, dim), cumprod(rows, dim), "products");
      test::expect_same_bits(cumsum(gpu, dim), cumsum(rows, dim), "sums");
    }
  }
}

TEST_F(CudaOrder, PlacesOfWhatIsNotZero) {
  for (const int64_t n : {1, 31, 700}) {
    const Tensor x = numbers({n, 2}, i64), gpu = x.to(Device::cuda());
    EXPECT_EQ(nonzero(gpu).to_vector<int64_t>(), nonzero(x).to_vector<int64_t>());
    EXPECT_EQ(masked_select(gpu, gpu > 3).to_vector<int64_t>(),
              masked_select(x, x > 3).to_vector<int64_t>());
  }
  EXPECT_EQ(nonzero(zeros({3}, {.device = Device::cuda()})).numel(), 0);
}

TEST_F(CudaOrder, DrawsWhatTheCpuDraws) {
  const Tensor weights = abs(numbers({4, 300}, i64)).to(f32);
  for (const bool replacement : {false, true}) {
    Generator here{9, 0}, there{9, 0};
    EXPECT_EQ(multinomial(weights.to(Device::cuda()), 50, replacement, &there).to_vector<int64_t>(),
              multinomial(weights, 50, replacement, &here).to_vector<int64_t>());
  }
}

TEST_F(CudaOrder, VarianceKeepsItsDigits) {
  const Tensor x = full({2, 20'001}, 1e8, {.dtype = f64}) +
                   (arange(0, 20'001) - floor_divide(arange(0, 20'001), 2) * 2).to(f64);
  const Tensor gpu = x.to(Device::cuda());
  test::expect_values(var(gpu, {1}, 0), var(x, {1}, 0).to_vector<double>(), 1e-10);
  test::expect_values(var(transpose(gpu).contiguous(), {0}, 0), var(x, {1}, 0).to_vector<double>(),
                      1e-10);
  test::expect_values(var(gpu), {var(x).item()}, 1e-10);
}

}  // namespace
}  // namespace ebb
