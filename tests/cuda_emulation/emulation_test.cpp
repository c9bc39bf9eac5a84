// Blocks, barriers and warps: their results, and the detection of mistakes.
#include "emulation.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "cuda_runtime.h"
#include "test_support.h"

namespace {

using ebb::emulation::Device;
using ebb::emulation::launch;
namespace emulation = ebb::emulation;

// ---- kernels  ----
__global__ void write_index(int* out, int count) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (static_cast<int>(i) < count) out[i] = static_cast<int>(i);
}

__global__ void write_place(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] =
      static_cast<int>(1000 * block + thread);
}

// The sum of the block as a tree. Without the barriers between its levels it has a race.
template <bool kBarriers>
__global__ void __launch_bounds__(256) sum_block(const float* in, float* out) {
  __shared__ float partial[256];
  partial[threadIdx.x] = in[blockIdx.x * 256 + threadIdx.x];
  __syncthreads();
  for (unsigned half = 128; half > 0; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    if constexpr (kBarriers) __syncthreads();
  }
  if (threadIdx.x == 0) out[blockIdx.x] = partial[0];
}

template <typename T> __global__ void read_before_writing(T* out) {
  __shared__ T left[32];
  out[blockIdx.x * 32 + threadIdx.x] = left[threadIdx.x];
  left[threadIdx.x] = 1;
}

__global__ void shuffles(int* out) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int* const row = out + threadIdx.x * 8;
  row[0] = __shfl_sync(0xffffffffu, lane, 5);
  row[1] = __shfl_xor_sync(0xffffffffu, lane, 3);
  row[2] = __shfl_down_sync(0xffffffffu, lane, 4);
  row[3] = __shfl_up_sync(0xffffffffu, lane, 4);
  row[4] = __shfl_down_sync(0xffffffffu, lane, 1, 8);
  row[5] = static_cast<int>(__ballot_sync(0xffffffffu, lane % 3 == 0));
  row[6] = __any_sync(0xffffffffu, lane == 31) + 2 * __all_sync(0xffffffffu, lane < 31);
  row[7] = static_cast<int>(1e3 * __shfl_sync(0xffffffffu, 0.25 * lane, 2, 16));
  __syncwarp();
}

// Half of the warp runs a loop more often than the other half.
__global__ void shuffle_halves(int* out) {
  const unsigned lane = threadIdx.x;
  const unsigned mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  int value = static_cast<int>(lane);
  for (int turn = 0; turn < (lane < 16 ? 1 : 3); ++turn) value += __shfl_xor_sync(mask, value, 1);
  out[lane] = value;
}

__global__ void count_blocks(unsigned* tickets, int* last_block) {
  __threadfence();
  if (atomicInc(tickets, gridDim.x - 1) == gridDim.x - 1)
    *last_block = static_cast<int>(blockIdx.x);
}

__global__ void write_order(unsigned* next, unsigned* order) {
  order[atomicAdd(next, 1)] = threadIdx.x;
}

__global__ void diverge(int limit) {
  if (static_cast<int>(threadIdx.x) < limit) return;
  __syncthreads();
}
__global__ void wait_apart() {
  if (threadIdx.x < 8) __syncthreads();
  else __syncthreads();
}
__global__ void shuffle_after_end(int* out) {
  if (threadIdx.x == 3) return;
  out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
}
__global__ void throw_out() { throw 1; }

// ---- launches  ----
TEST(cuda_emulation, every_thread_runs_once) {
  Device<int> out(1000);
  ASSERT_EQ(launch(write_index, 4, 256, nullptr, out.data(), 1000), cudaSuccess);
  std::vector<int> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(out.values(), expected);

  Device<int> places(3 * 2 * 2 * 4 * 3 * 2);
  ASSERT_EQ(launch(write_place, dim3(3, 2, 2), dim3(4, 3, 2), nullptr, places.data()), cudaSuccess);
  for (int i = 0; const int place : places.values()) {
    EXPECT_EQ(place, 1000 * (i / 24) + i % 24);
    ++i;
  }
}

TEST(cuda_emulation, launch_errors) {
  const dim3 bad_blocks[] = {0, 1025, dim3(64, 32), dim3(1, 1, 65)};
  for (const dim3& block : bad_blocks)
    EXPECT_EQ(launch(throw_out, 1, block, nullptr), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(throw_out, 0, 32, nullptr), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(throw_out, dim3(1, 65536), 32, nullptr), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorInvalidConfiguration), "cudaErrorInvalidConfiguration");
}

TEST(cuda_emulation, barrier_makes_the_order_irrelevant) {
  std::vector<float> values(512);
  for (int i = 0; i < 512; ++i) values[i] = static_cast<float>(i % 7);
  const Device<float> in(values);
  const float first = std::accumulate(values.begin(), values.begin() + 256, 0.0f);
  const float second = std::accumulate(values.begin() + 256, values.end(), 0.0f);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    emulation::seed(seed);
    Device<float> out(2);
    launch(sum_block<true>, 2, 256, nullptr, in.data(), out.data());
    EXPECT_EQ(out.values(), (std::vector<float>{first, second})) << "seed " << seed;
  }
}

TEST(cuda_emulation, race_shows_under_seeds) {
  const Device<float> in(std::vector<float>(256, 1.0f));
  std::set<float> sums;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    emulation::seed(seed);
    Device<float> out(1);
    launch(sum_block<false>, 1, 256, nullptr, in.data(), out.data());
    sums.insert(out.values()[0]);
  }
  EXPECT_GT(sums.size(), 1u);
}

#if __has_attribute(noinit)
TEST(cuda_emulation, nothing_is_left_in_shared_memory) {
  const Device<int> out(64);
  launch(read_before_writing<int>, 2, 32, nullptr, out.data());
  EXPECT_EQ(out.values(), std::vector<int>(64, -1));
}
#endif

TEST(cuda_emulation, order_of_threads_follows_the_seed) {
  const auto order = [](std::uint64_t seed) {
    emulation::seed(seed);
    const Device<unsigned> next(std::vector<unsigned>{0}), order(64);
    launch(write_order, 1, 64, nullptr, next.data(), order.data());
    return order.values();
  };
  EXPECT_EQ(order(7), order(7));
  EXPECT_NE(order(7), order(8));
  const std::vector<unsigned> values = order(7);
  EXPECT_EQ(std::set<unsigned>(values.begin(), values.end()).size(), 64u);
}

TEST(cuda_emulation, shuffles) {
  Device<int> out(64 * 8);
  ASSERT_EQ(launch(shuffles, 1, 64, nullptr, out.data()), cudaSuccess);
  const std::vector<int> values = out.values();
  for (int thread = 0; thread < 64; ++thread) {
    const int lane = thread % 32;
    const int* const row = values.data() + 8 * thread;
    EXPECT_EQ(row[0], 5);
    EXPECT_EQ(row[1], lane ^ 3);
    EXPECT_EQ(row[2], lane < 28 ? lane + 4 : lane);
    EXPECT_EQ(row[3], lane >= 4 ? lane - 4 : lane);
    EXPECT_EQ(row[4], lane % 8 == 7 ? lane : lane + 1);
    EXPECT_EQ(static_cast<unsigned>(row[5]), 0x49249249u);
    EXPECT_EQ(row[6], 1);
    EXPECT_EQ(row[7], 250 * (lane / 16 * 16 + 2));
  }
}

TEST(cuda_emulation, shuffles_of_half_warps) {
  Device<int> out(32);
  ASSERT_EQ(launch(shuffle_halves, 1, 32, nullptr, out.data()), cudaSuccess);
  const std::vector<int> values = out.values();
  for (int lane = 0; lane < 32; ++lane) {
    const int pair = lane / 2 * 4 + 1;
    EXPECT_EQ(values[lane], lane < 16 ? pair : 4 * pair);
  }
}

TEST(cuda_emulation, last_block_by_a_ticket_depends_on_the_seed) {
  const Device<unsigned> tickets(std::vector<unsigned>{0});
  std::set<int> last;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    emulation::seed(seed);
    const Device<int> block(std::vector<int>{-1});
    launch(count_blocks, 16, 1, nullptr, tickets.data(), block.data());
    last.insert(block.values()[0]);
  }
  EXPECT_EQ(tickets.values()[0], 0u);
  EXPECT_GT(last.size(), 1u);
  EXPECT_EQ(last.count(-1), 0u);
}

TEST(cuda_emulation, host_threads_may_launch_at_once) {
  const Device<float> in(std::vector<float>(256, 1.0f));
  std::vector<std::thread> threads;
  std::vector<int> good(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < 20; ++turn) {
        const Device<float> out(1);
        launch(sum_block<true>, 1, 256, nullptr, in.data(), out.data());
        good[i] += out.values()[0] == 256.0f;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(good, std::vector<int>(4, 20));
}

// ---- mistakes that stop the program  ----
TEST(cuda_emulation_death, barriers_and_shuffles) {
  const Device<int> out(32);
  EXPECT_DEATH(launch(diverge, 1, 64, nullptr, 5),
               "block \\(0, 0, 0\\): divergent barrier(.|\n)*emulation_test.cpp");
  EXPECT_DEATH(launch(wait_apart, 1, 64, nullptr),
               "divergent barrier(.|\n)*8 threads(.|\n)*wait_apart");
  EXPECT_DEATH(launch(shuffle_after_end, 1, 32, nullptr, out.data()),
               "names lanes 00000008 of warp 0, which have ended");
  EXPECT_DEATH(launch(shuffles, 1, 16, nullptr, out.data()), "names lanes ffff0000");
  EXPECT_DEATH(launch(throw_out, 1, 1, nullptr), "terminate");
}

TEST(cuda_emulation_death, arguments_point_to_memory_of_the_device) {
  int on_the_host = 0, *gone = nullptr;
  ASSERT_EQ(cudaMalloc(&gone, 4096), cudaSuccess);
  ASSERT_EQ(cudaFree(gone), cudaSuccess);
  for (int* pointer : {&on_the_host, gone}) {
    EXPECT_DEATH(launch(write_index, 1, 1, nullptr, pointer, 1),
                 "kernel .*: its argument .* is no device memory");
  }
}

#if defined(__SANITIZE_ADDRESS__)
__global__ void overrun_shared(int* out, int i) {
  __shared__ int shared[32];
  int* const p = shared;
  p[threadIdx.x] = 0;
  __syncthreads();
  out[threadIdx.x] = p[threadIdx.x + i];
}

TEST(cuda_emulation_death, address_sanitizer_sees_kernels) {
  const Device<int> out(1000);
  EXPECT_DEATH(launch(write_index, 4, 256, nullptr, out.data(), 1001),
               "heap-buffer-overflow(.|\n)*write_index");
  EXPECT_DEATH(launch(overrun_shared, 1, 32, nullptr, out.data(), 1),
               "(global-buffer-overflow|insufficient space)(.|\n)*overrun_shared");
}
#endif

}  // namespace
