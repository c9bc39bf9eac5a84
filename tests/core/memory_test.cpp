// The host allocator: blocks are usable and can be freed by any thread, and caches are bounded.
#include "ebb/core/memory.h"

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "ebb/core/tensor.h"
#include "ebb/tests/support/check.h"

namespace ebb::memory {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCached = false;  // every block is a separate malloc
#else
constexpr bool kCached = true;
#endif

struct Block {
  void* data;
  size_t bytes;
};

std::vector<Block> take(const std::vector<size_t>& sizes) {
  std::vector<Block> blocks;
  for (size_t bytes : sizes) blocks.push_back({allocate(bytes), bytes});
  return blocks;
}
void give_back(const std::vector<Block>& blocks) {
  for (const Block& b : blocks) deallocate(b.data, b.bytes);
}

std::vector<size_t> many_sizes() {
  std::vector<size_t> sizes;
  for (size_t bytes = 0; bytes < 2000; bytes += 7) sizes.push_back(bytes);
  for (size_t power = 11; power < 24; ++power) {
    for (size_t bytes : {(size_t{1} << power) - 1, size_t{1} << power, (size_t{1} << power) + 1})
      sizes.push_back(bytes);
  }
  return sizes;
}

TEST(Memory, BlocksAreAlignedDisjointAndFullyUsable) {
  const int64_t before = stats().live_bytes;
  for (int round = 0; round < 2; ++round) {
    const std::vector<Block> blocks = take(many_sizes());
    for (size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks[i].data) % 64, 0u);
      std::memset(blocks[i].data, static_cast<int>(i % 251), blocks[i].bytes);
    }
    for (size_t i = 0; i < blocks.size(); ++i) {
      const auto* bytes = static_cast<const unsigned char*>(blocks[i].data);
      for (size_t at : {size_t{0}, blocks[i].bytes / 2, blocks[i].bytes - 1}) {
        if (at >= blocks[i].bytes) continue;
        ASSERT_EQ(bytes[at], i % 251) << blocks[i].bytes;
      }
    }
    give_back(blocks);
  }
  EXPECT_EQ(stats().live_bytes, before);
}

TEST(Memory, WarmProgramsAllocateNothingFromTheSystem) {
  if (!kCached) GTEST_SKIP() << "built with a sanitizer: blocks are not cached";
  const auto step = [] { give_back(take({64, 100, 5000, 70'000, 3'000'000})); };
  step();
  const int64_t before = stats().system_calls;
  for (int i = 0; i < 100; ++i) step();
  EXPECT_EQ(stats().system_calls, before);
}

TEST(Memory, BlocksMayBeFreedByAnotherThread) {
  const int64_t before = stats().live_bytes;
  for (int round = 0; round < 20; ++round) {
    std::vector<Block> blocks;
    std::thread maker([&] { blocks = take(many_sizes()); });
    maker.join();
    EXPECT_GT(stats().live_bytes, before);
    give_back(blocks);
    blocks = take(many_sizes());
    std::thread ender([&] { give_back(blocks); });
    ender.join();
    ASSERT_EQ(stats().live_bytes, before) << "round " << round;
  }
}

// A loader thread allocates blocks that this thread frees. The caches of both must stay bounded,
// and blocks are reused.
TEST(Memory, CachesAreBoundedIfOneThreadAllocatesAndAnotherFrees) {
  if (!kCached) GTEST_SKIP() << "built with a sanitizer: blocks are not cached";
  trim();
  std::vector<size_t> sizes(500, 1000);
  sizes.resize(600, 200'000);
  int64_t after_warmup = 0;
  for (int round = 0; round < 30; ++round) {
    std::vector<Block> blocks;
    std::thread maker([&] { blocks = take(sizes); });
    maker.join();
    give_back(blocks);
    EXPECT_LT(stats().cached_bytes, int64_t{160} << 20);
    if (round == 2) after_warmup = stats().system_calls;
  }
  EXPECT_LT(stats().system_calls - after_warmup, 28 * 70)
      << "about a thread's own list a round, not all 600 blocks";
}

TEST(Memory, TrimEmptiesTheCentralList) {
  give_back(take({1 << 20, 1 << 20}));
  EXPECT_EQ(stats().cached_bytes > 0, kCached);
  trim();
  EXPECT_EQ(stats().cached_bytes, 0);
}

TEST(Memory, CentralListIsBounded) {
  trim();
  for (int i = 0; i < 40; ++i)
    give_back(take({(size_t{4} << 20) + static_cast<size_t>(i) * (size_t{1} << 20)}));
  EXPECT_LE(stats().cached_bytes, int64_t{1} << 30)
      << "40 sizes, 1 GB in all, were freed one after the other";
  trim();
}

TEST(Memory, BlocksInUseDisplaceUnusedBlocks) {
  if (!kCached) GTEST_SKIP() << "built with a sanitizer: blocks are not cached";
  trim();
  // Fills the cache with blocks that are not needed again.
  give_back(take(std::vector<size_t>(4, 16 << 20)));
  const auto use = [] { give_back(take({48 << 20})); };
  use();
  const int64_t calls = stats().system_calls;
  for (int i = 0; i < 10; ++i) use();
  EXPECT_EQ(stats().system_calls, calls);
}

thread_local Tensor outlives_the_lists;

TEST(Memory, ThreadsMayHoldTensorsUntilTheirEnd) {
  const int64_t before = stats().live_bytes;
  for (int i = 0; i < 10; ++i) {
    std::thread([] {
      outlives_the_lists = zeros({100});
      zeros({50});
    }).join();
  }
  EXPECT_EQ(stats().live_bytes, before);
}

TEST(Memory, ImpossibleSizesAreErrors) {
  test::expect_error([] { allocate(size_t{1} << 60); }, "memory", {"out of memory"});
  test::expect_error([] { allocate(SIZE_MAX); }, "memory", {"out of memory"});
}

TEST(Memory, FreeingNullDoesNothing) { deallocate(nullptr, 100); }

}  // namespace
}  // namespace ebb::memory
