// Device memory that is allocated and kept. A device keeps freed blocks; the emulation does so with
// EBB_EMULATION_CACHE.
#include <gtest/gtest.h>

#include "ebb/core/backend.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaMemory = CudaTest;

Tensor bytes(int64_t count) { return empty({count}, {.dtype = u8, .device = kCuda}); }

TEST_F(CudaMemory, LittleMoreThanWhatIsAskedForIsTaken) {
  for (const int64_t asked :
       {1, 511, 512, 513, 1023, 1024, 1025, 4096, 4097, 5000, 7 << 10, 1 << 20, (1 << 20) + 1}) {
    const int64_t before = cuda::memory_stats().current_bytes;
    const Tensor held = bytes(asked);
    const int64_t taken = cuda::memory_stats().current_bytes - before;
    EXPECT_GE(taken, asked);
    EXPECT_LE(taken, std::max<int64_t>(512, asked + asked / 4)) << asked;
    EXPECT_EQ(zeros({asked}, {.dtype = u8, .device = kCuda}).to_vector<uint8_t>(),
              std::vector<uint8_t>(static_cast<size_t>(asked)));
  }
}

TEST_F(CudaMemory, ThePeakStartsAtWhatIsHeld) {
  bytes(1 << 20);
  const Tensor held = bytes(3000);
  cuda::reset_peak_memory();
  EXPECT_EQ(cuda::memory_stats().peak_bytes, cuda::memory_stats().current_bytes);
  bytes(1 << 16);
  EXPECT_EQ(cuda::memory_stats().peak_bytes - cuda::memory_stats().current_bytes, 1 << 16);
}

TEST_F(CudaMemory, AKeptBlockIsHandedOutOnce) {
  cuda::empty_cache();
  const void* freed = bytes(1 << 16).raw();
  const int64_t kept = cuda::memory_stats().cached_bytes;
  ASSERT_TRUE(kept == 0 || kept == 1 << 16) << kept;
  {
    const Tensor first = bytes(1 << 16), second = bytes(1 << 16), other = bytes(1 << 15);
    EXPECT_NE(first.raw(), second.raw());
    EXPECT_TRUE(kept == 0 || first.raw() == freed);
    EXPECT_EQ(cuda::memory_stats().cached_bytes, 0);
  }
  EXPECT_EQ(cuda::memory_stats().cached_bytes, kept ? (1 << 17) + (1 << 15) : 0);
  cuda::empty_cache();
  EXPECT_EQ(cuda::memory_stats().cached_bytes, 0);
}

// The pinned memory of an upload is reused by the next one only after the copy has finished.
TEST_F(CudaMemory, UploadsInARowKeepTheirValues) {
  for (int i = 0; i < 20; ++i) {
    const Tensor a = backend(kCuda).upload(full({1000}, i, f32));
    backend(kCuda).receive(a);
    const Tensor seen = a * 1.0;
    backend(kCuda).upload(full({1000}, -1.0));
    expect_values(slice(seen, 0, 0, 3), std::vector<double>(3, i));
    EXPECT_EQ(sum(seen).item(), 1000.0 * i);
  }
}

TEST_F(CudaMemory, TheBackendAndTheCacheWait) {
  EXPECT_NE(cuda::device_name(), "");
  const int64_t before = cuda::synchronizations();
  backend(kCuda).synchronize();
  EXPECT_EQ(cuda::synchronizations(), before + 1);
  cuda::empty_cache();  // the memory may be in use
  EXPECT_EQ(cuda::synchronizations(), before + 2);
}

TEST_F(CudaMemory, AnEmptyUploadIsEmpty) {
  EXPECT_EQ(backend(kCuda).upload(zeros({0, 3})).numel(), 0);
}

}  // namespace
}  // namespace ebb::test
