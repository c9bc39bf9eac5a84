// Optimizer steps on the device for parameters of every length: whole chunks, tails, and arrays
// without alignment.
#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaOptimizerChunks = CudaTest;

// Two steps of one parameter that starts `shift` elements into its memory.
std::vector<double> stepped(Device device, DType dtype, int64_t n, int64_t shift, bool adam) {
  Generator g{41, 0};
  const Tensor memory = randn({n + shift}, {.dtype = dtype}, &g).to(device);
  Tensor p = slice(memory, 0, shift, n + shift).detach().requires_grad_();
  const Tensor gradient = randn({n}, {.dtype = dtype}, &g).to(device);
  std::unique_ptr<nn::Optimizer> optimizer;
  if (adam) optimizer = std::make_unique<nn::Adam>(std::vector<nn::NamedTensor>{{"p", p}});
  else
    optimizer = std::make_unique<nn::SGD>(std::vector<nn::NamedTensor>{{"p", p}},
                                          nn::SGDOptions{.lr = 0.1, .momentum = 0.9});
  for (int i = 0; i < 2; ++i) {
    p.set_grad(gradient);
    optimizer->step();
  }
  std::vector<double> all = p.to_vector<double>();
  const std::vector<double> before = slice(memory, 0, 0, shift).to_vector<double>();
  all.insert(all.end(), before.begin(), before.end());
  return all;
}

TEST_F(CudaOptimizerChunks, EveryLengthAndAlignment) {
  for (const DType dtype : {f32, f64}) {
    for (const int64_t n : {1, 7, 256, 2047, 2048, 2049, 6144, 6200}) {
      for (const int64_t shift : {0, 1}) {
        for (const bool adam : {false, true}) {
          SCOPED_TRACE(n);
          expect_values(stepped(kCuda, dtype, n, shift, adam),
                        stepped(Device::cpu(), dtype, n, shift, adam), dtype == f32 ? 1e-5 : 1e-13,
                        dtype == f32 ? 1e-6 : 1e-14);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ebb::test
