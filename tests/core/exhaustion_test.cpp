// Memory that runs out: an Error, never the end of the process, and caches are given up first. Each
// test runs in a process of its own whose address space is limited.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ebb/core/memory.h"
#include "ebb/core/tensor.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__linux__)

namespace ebb {
namespace {

constexpr size_t kMegabyte = size_t{1} << 20;

// Lets the process take so much more address space than it has.
void limit_memory(size_t bytes) {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (!file || std::fscanf(file, "%ld", &pages) != 1) std::_Exit(2);
  std::fclose(file);
  const rlim_t total = static_cast<rlim_t>(pages) * 4096 + bytes;
  const rlimit limit{total, total};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(2);
}

class Exhaustion : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// Many blocks come back while no byte is left.
TEST_F(Exhaustion, GivingBackNeedsNoMemory) {
  const auto run = [] {
    std::vector<Tensor> tensors;
    tensors.reserve(4'000'000);
    limit_memory(100 * kMegabyte);
    bool refused = false;
    try {
      while (tensors.size() < tensors.capacity()) tensors.push_back(full({1}, 1.0));
    } catch (const Error&) {
      refused = true;
    }
    tensors.clear();
    const bool works = full({1000}, 2.0).numel() == 1000;
    std::_Exit(refused && works ? 0 : 1);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// 600 MB of freed memory are in the way of 720.
TEST_F(Exhaustion, CachesAreGivenUpForAnAllocationThatFails) {
  const auto run = [] {
    limit_memory(1000 * kMegabyte);
    {
      std::vector<Tensor> tensors;
      for (int i = 0; i < 6; ++i) tensors.push_back(empty(100 * kMegabyte, u8));
    }
    const bool kept = memory::stats().cached_bytes >= static_cast<int64_t>(600 * kMegabyte);
    const bool works = empty(720 * kMegabyte, u8).defined();
    std::_Exit(kept && works ? 0 : 1);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST_F(Exhaustion, WhatCannotBeHadIsAnErrorWithItsSize) {
  const auto run = [] {
    limit_memory(100 * kMegabyte);
    try {
      empty(200 * kMegabyte, u8);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s", error.what());
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "\\[memory\\] out of memory: .* [0-9]+ bytes");
}

}  // namespace
}  // namespace ebb

#endif
