// A program of a CUDA build that computes only on the CPU must not load NVIDIA's libraries. This is
// a separate program, because other tests load it.
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

TEST(CudaBuild, LoadsLibrariesForTheGpuAlone) {
  nn::Sequential model{nn::Linear(6, 16), nn::ReLU(), nn::Linear(16, 3)};
  nn::Adam optimizer(model.named_parameters());
  nn::cross_entropy(model(randn({10, 6})), zeros({10}, {.dtype = i64})).backward();
  optimizer.step();
  cuda::is_available();  // this question must not load it
  EXPECT_TRUE(is_mapped("libc.so"));
  EXPECT_FALSE(is_mapped("cublas"));
  cuda::load_cublas_lt();  // the first action of the GPU backend
  EXPECT_TRUE(is_mapped("libcublasLt.so"));
  EXPECT_FALSE(is_mapped("cudnn"));
  const bool has_cudnn = cuda::load_cudnn();  // the first convolution
  EXPECT_EQ(has_cudnn, is_mapped("libcudnn.so"));
}

}  // namespace
}  // namespace ebb::test
