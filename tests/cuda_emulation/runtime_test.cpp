// Memory, streams and captures.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "emulation.h"
#include "test_support.h"

namespace {

using ebb::emulation::Device;
using ebb::emulation::launch;
using ebb::emulation::Stream;
namespace emulation = ebb::emulation;

__global__ void add(float* x, float amount) { x[threadIdx.x] += amount; }

TEST(cuda_emulation_death, copies) {
  const Device<int> device(4);
  std::vector<int> host(8), other(8);
  EXPECT_DEATH(cudaMemcpy(host.data(), other.data(), 16, cudaMemcpyHostToDevice),
               "the destination .* no device memory");
  EXPECT_DEATH(cudaMemcpy(host.data(), other.data(), 16, cudaMemcpyDeviceToHost),
               "the source .* no device memory");
  EXPECT_DEATH(cudaMemcpy(device.data(), device.data() + 2, 8, cudaMemcpyHostToDevice),
               "the source .* is device memory");
  EXPECT_DEATH(cudaMemcpy(device.data() + 2, host.data(), 12, cudaMemcpyHostToDevice),
               "12 bytes .* has only 8");
  EXPECT_DEATH(cudaMemset(device.data() + 2, 0, 12), "12 bytes .* has 8");
}

// ---- memory  ----
TEST(cuda_emulation, memory) {
  emulation::reset();
  const auto before = emulation::counters();
  {
    const Device<float> fresh(3);
    for (const float x : fresh.values()) EXPECT_TRUE(std::isnan(x));
    EXPECT_EQ(emulation::counters().bytes_live, before.bytes_live + 12);
    EXPECT_EQ(emulation::counters().mallocs, 1);
    ASSERT_EQ(cudaMemset(fresh.data(), 0, 12), cudaSuccess);
    EXPECT_EQ(fresh.values(), std::vector<float>(3, 0.0f));
  }
  EXPECT_EQ(emulation::counters().bytes_live, before.bytes_live);
  EXPECT_EQ(emulation::counters().bytes_peak, before.bytes_live + 12);

  emulation::limit_memory(before.bytes_live + 100);
  void* pointer = nullptr;
  EXPECT_EQ(cudaMallocAsync(&pointer, 101, nullptr), cudaErrorMemoryAllocation);
  EXPECT_EQ(pointer, nullptr);
  EXPECT_EQ(cudaMalloc(&pointer, 100), cudaSuccess);
  std::size_t free = 1, total = 0;
  cudaMemGetInfo(&free, &total);
  EXPECT_EQ(free, 0u);
  EXPECT_EQ(cudaFreeAsync(pointer, nullptr), cudaSuccess);
  EXPECT_EQ(cudaFree(pointer), cudaErrorInvalidValue);
  emulation::limit_memory(std::size_t{1} << 30);
  cudaGetLastError();
}

TEST(cuda_emulation, synchronizations_are_counted) {
  const Device<int> device(4);
  const Stream stream;
  std::vector<int> pageable(4);
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 16), cudaSuccess);
  cudaEvent_t event;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  const auto counted = [](auto f) {
    emulation::reset();
    f();
    return emulation::counters().synchronizations;
  };
  EXPECT_EQ(counted([&] {
              cudaMemcpyAsync(device.data(), pageable.data(), 16, cudaMemcpyHostToDevice, stream);
            }),
            0);
  EXPECT_EQ(
      counted([&] { cudaMemcpyAsync(pinned, device.data(), 16, cudaMemcpyDeviceToHost, stream); }),
      0);
  EXPECT_EQ(counted([&] {
              cudaMemcpyAsync(pageable.data(), device.data(), 16, cudaMemcpyDeviceToHost, stream);
            }),
            1);
  EXPECT_EQ(
      counted([&] { cudaMemcpy(device.data(), pageable.data(), 16, cudaMemcpyHostToDevice); }), 1);
  EXPECT_EQ(counted([&] { cudaStreamSynchronize(stream); }), 1);
  EXPECT_EQ(counted([&] { cudaDeviceSynchronize(); }), 1);
  EXPECT_EQ(counted([&] { cudaEventRecord(event, stream), cudaEventQuery(event); }), 0);
  EXPECT_EQ(counted([&] { cudaEventSynchronize(event); }), 1);
  cudaEventDestroy(event);
  cudaFreeHost(pinned);
}

// ---- streams that run late  ----
class LateStreams {
 public:
  LateStreams() { emulation::run_late(true); }
  ~LateStreams() {
    cudaDeviceSynchronize();
    emulation::run_late(false);
  }
};

__global__ void copy_one(float* to, const float* from) { *to = *from; }

// In many attempts, some read the old value if nothing waits, and none if something does.
TEST(cuda_emulation, a_stream_that_does_not_wait_for_another_finds_old_bytes) {
  const Stream first, second;
  const Device<float> x(std::vector<float>{0}), y(std::vector<float>{0});
  cudaEvent_t event;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  for (const bool waits : {false, true}) {
    const LateStreams late;
    int old = 0;
    for (int i = 1; i <= 50; ++i) {
      cudaDeviceSynchronize();
      cudaMemset(x.data(), 0, 4);
      launch(add, 1, 1, first, x.data(), 1.0f);
      cudaEventRecord(event, first);
      if (waits) cudaStreamWaitEvent(second, event);
      launch(copy_one, 1, 1, second, y.data(), x.data());
      cudaStreamSynchronize(second);
      old += y.values()[0] == 0;
    }
    EXPECT_EQ(old > 0, !waits) << old;
  }
  cudaEventDestroy(event);
}

TEST(cuda_emulation, a_copy_reads_pinned_memory_late_and_other_memory_at_once) {
  const Stream stream;
  const Device<float> x(std::vector<float>{0});
  float* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 4), cudaSuccess);
  float pageable = 0;
  for (const bool is_pinned : {true, false}) {
    const LateStreams late;
    float& host = is_pinned ? *pinned : pageable;
    int changed = 0;
    for (int i = 0; i < 50; ++i) {
      host = 1;
      cudaMemcpyAsync(x.data(), &host, 4, cudaMemcpyHostToDevice, stream);
      host = 2;
      cudaStreamSynchronize(stream);
      changed += x.values()[0] == 2;
    }
    EXPECT_EQ(changed > 0, is_pinned) << changed;
  }
  cudaFreeHost(pinned);
}

TEST(cuda_emulation, memory_that_is_given_back_waits_for_work_that_uses_it) {
  const Stream stream;
  const LateStreams late;
  for (int i = 0; i < 20; ++i) {
    float* x = nullptr;
    ASSERT_EQ(cudaMalloc(&x, 4), cudaSuccess);
    launch(add, 1, 1, stream, x, 1.0f);
    EXPECT_EQ(cudaFree(x), cudaSuccess);
    EXPECT_EQ(cudaFree(x), cudaErrorInvalidValue);
  }
  cudaGetLastError();
}

// ---- capture  ----
TEST(cuda_emulation, capture_records_and_replays) {
  const Stream stream;
  const Device<float> x(std::vector<float>{1, 2}), y(std::vector<float>{0, 0});
  emulation::reset();
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  float amount = 1;
  launch(add, 1, 2, stream, x.data(), amount);
  amount = 100;  // the argument was copied
  cudaMemcpyAsync(y.data(), x.data(), 8, cudaMemcpyDeviceToDevice, stream);
  cudaMemsetAsync(x.data() + 1, 0, 4, stream);
  EXPECT_EQ(emulation::counters().copies, 2);
  cudaStreamCaptureStatus status;
  cudaStreamIsCapturing(stream, &status);
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  cudaGraph_t graph;
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(x.values(), (std::vector<float>{1, 2}));
  std::size_t nodes = 0;
  cudaGraphGetNodes(graph, nullptr, &nodes);
  EXPECT_EQ(nodes, 3u);
  cudaGraphExec_t executable;
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  cudaGraphDestroy(graph);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
  EXPECT_EQ(x.values(), (std::vector<float>{4, 0}));
  EXPECT_EQ(y.values(), (std::vector<float>{4, 1}));
  EXPECT_EQ(emulation::counters().launches, 1);
  EXPECT_EQ(emulation::counters().graph_launches, 3);
  cudaGraphExecDestroy(executable);
}

TEST(cuda_emulation, capture_forbids) {
  const Stream stream;
  void* pointer = nullptr;
  struct Row {
    const char* name;
    std::function<cudaError_t()> call;
    bool relaxed_permits;
  };
  float host = 0;
  const Device<float> device(1);
  const Row rows[] = {
      {"cudaMalloc", [&] { return cudaMalloc(&pointer, 4); }, true},
      {"cudaMemcpy", [&] { return cudaMemcpy(&host, device.data(), 4, cudaMemcpyDeviceToHost); },
       true},
      {"cudaStreamSynchronize", [&] { return cudaStreamSynchronize(stream); }, false},
      {"cudaStreamQuery", [&] { return cudaStreamQuery(stream); }, false},
      {"cudaDeviceSynchronize", [] { return cudaDeviceSynchronize(); }, false},
  };
  for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                          cudaStreamCaptureModeRelaxed}) {
    for (const Row& row : rows) {
      SCOPED_TRACE(std::string(row.name) + ", mode " + std::to_string(mode));
      const bool permitted = mode == cudaStreamCaptureModeRelaxed && row.relaxed_permits;
      cudaStreamBeginCapture(stream, mode);
      EXPECT_EQ(row.call(), permitted ? cudaSuccess : cudaErrorStreamCaptureUnsupported);
      EXPECT_EQ(launch(add, 1, 1, stream, device.data(), 1.0f),
                permitted ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
      cudaGraph_t graph = nullptr;
      EXPECT_EQ(cudaStreamEndCapture(stream, &graph),
                permitted ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
      EXPECT_EQ(graph != nullptr, permitted);
      cudaGraphDestroy(graph);
      cudaFree(pointer);
      pointer = nullptr;
    }
  }
  cudaGetLastError();
}

TEST(cuda_emulation, capture_forks_and_joins_by_events) {
  const Stream origin, side;
  const Device<float> x(std::vector<float>{0});
  cudaEvent_t fork, join, outside;
  for (cudaEvent_t* event : {&fork, &join, &outside})
    cudaEventCreateWithFlags(event, cudaEventDisableTiming);
  const auto record = [&](bool joined) {
    cudaStreamBeginCapture(origin, cudaStreamCaptureModeGlobal);
    cudaEventRecord(fork, origin);
    cudaStreamWaitEvent(side, fork);
    launch(add, 1, 1, side, x.data(), 1.0f);
    cudaEventRecord(join, side);
    if (joined) cudaStreamWaitEvent(origin, join);
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(origin, &graph);
    cudaGraphDestroy(graph);
    return error;
  };
  EXPECT_EQ(record(true), cudaSuccess);
  EXPECT_EQ(record(false), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(x.values()[0], 0.0f);
  EXPECT_EQ(launch(add, 1, 1, side, x.data(), 1.0f), cudaSuccess);
  EXPECT_EQ(x.values()[0], 1.0f);

  cudaEventRecord(outside, side);
  cudaStreamBeginCapture(origin, cudaStreamCaptureModeGlobal);
  EXPECT_EQ(cudaStreamWaitEvent(origin, outside), cudaErrorStreamCaptureIsolation);
  cudaGraph_t graph;
  EXPECT_EQ(cudaStreamEndCapture(origin, &graph), cudaErrorStreamCaptureInvalidated);
  for (cudaEvent_t event : {fork, join, outside}) cudaEventDestroy(event);
  cudaGetLastError();
}

// Each block starts with other bytes, as on a device.
__global__ void sum_in_dynamic_memory(int* out, int count) {
  auto* const memory = static_cast<unsigned*>(ebb::emulation::dynamic_shared_memory());
  if (threadIdx.x == 0) {
    unsigned before = 0;
    for (int i = 0; i < count; ++i) before += memory[i] == 0xffffffffu;
    for (int i = 0; i < count; ++i) memory[i] = 1;
    out[blockIdx.x] = static_cast<int>(before);
  }
}

TEST(cuda_emulation, dynamic_shared_memory) {
  const Device<int> out(3);
  const auto run = [&](int count) {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(3);
    config.blockDim = dim3(32);
    config.dynamicSmemBytes = count * sizeof(int);
    return cudaLaunchKernelEx(&config, sum_in_dynamic_memory, out.data(), count);
  };
  ASSERT_EQ(run(46 * 256), cudaSuccess);
  EXPECT_EQ(out.values(), std::vector<int>(3, 46 * 256));
  EXPECT_EQ(run(46 * 256 + 1), cudaErrorInvalidValue);
  ASSERT_EQ(cudaFuncSetAttribute(sum_in_dynamic_memory, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 200 * 1024),
            cudaSuccess);
  ASSERT_EQ(run(50 * 1024), cudaSuccess);
  EXPECT_EQ(out.values(), std::vector<int>(3, 50 * 1024));
  EXPECT_EQ(cudaFuncSetAttribute(sum_in_dynamic_memory, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 228 * 1024),
            cudaErrorInvalidValue);
  cudaGetLastError();
}

}  // namespace
