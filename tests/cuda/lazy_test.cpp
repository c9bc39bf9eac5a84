// A program of a CUDA build that computes on the CPU alone: cuBLASLt must not be in its memory. A program of its own,
// for the tests beside it would load that.
#include <gtest/gtest.h>

#include <fstream>

#include "ebb/backends/cuda/library.h"
#include "ebb/ebb.h"

namespace ebb::test {
namespace {

bool is_mapped(const std::string& library) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(library) != std::string::npos) return true;
  }
  return false;
}

TEST(CudaBuild, LoadsCublasForTheGpuAlone) {
  nn::Sequential model{nn::Linear(6, 16), nn::ReLU(), nn::Linear(16, 3)};
  nn::Adam optimizer(model.named_parameters());
  nn::cross_entropy(model(randn({10, 6})), zeros({10}, {.dtype = i64})).backward();
  optimizer.step();
  cuda::is_available();  // one may ask
  EXPECT_TRUE(is_mapped("libc.so"));
  EXPECT_FALSE(is_mapped("cublas"));
  cuda::load_cublas_lt();  // what the GPU backend does first
  EXPECT_TRUE(is_mapped("libcublasLt.so"));
}

}  // namespace
}  // namespace ebb::test
