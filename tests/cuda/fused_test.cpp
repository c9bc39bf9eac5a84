// Expressions whose last product a device fuses into what follows: infinite operands give what they
// give on the CPU.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaFused = CudaTest;

TEST_F(CudaFused, ExpOfInfinityLessInfinityIsNaN) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {f32, f64}) {
    const Tensor x = from_data(std::vector<double>{inf, inf, -inf, 800, 1}, {5}).to(dtype);
    const Tensor t = from_data(std::vector<double>{1, 0.5, 0, 1, 2}, {5}).to(dtype);
    for (const bool full : {false, true}) {
      const nn::PoissonNLLLossOptions options{.full = full, .reduction = nn::Reduction::None};
      const Tensor want = nn::poisson_nll_loss(x, t, options);
      const Tensor got = nn::poisson_nll_loss(x.to(kCuda), t.to(kCuda), options);
      expect_values(got, want.to_vector<double>(), dtype == f32 ? 1e-6 : 1e-14);
      EXPECT_TRUE(std::isnan(got.to_vector<double>()[0]));
    }
  }
}

}  // namespace
}  // namespace ebb::test
