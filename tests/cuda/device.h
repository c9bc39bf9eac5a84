// Shared by the tests of the GPU.
#pragma once

#include <gtest/gtest.h>

#include "ebb/core/cuda.h"
#include "ebb/core/tensor.h"
#include "ebb/tests/support/check.h"

namespace ebb::test {

inline constexpr Device kCuda = Device::cuda();

/// A test that needs a device, real or emulated.
class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "this machine has no GPU that works";
  }
};

}  // namespace ebb::test
