// A convolution of the emulated cuDNN, and the errors of descriptors that NVIDIA's library would
// refuse.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cudnn.h"
#include "emulation.h"
#include "test_support.h"

namespace {

using ebb::emulation::Device;
using ebb::emulation::Stream;

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    EXPECT_EQ(cudnnBackendCreateDescriptor(type, &made_), CUDNN_STATUS_SUCCESS);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { cudnnBackendDestroyDescriptor(made_); }

  template <typename T>
  cudnnStatus_t set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                    const std::vector<T>& values) {
    return cudnnBackendSetAttribute(made_, name, type, static_cast<std::int64_t>(values.size()),
                                    values.data());
  }
  cudnnStatus_t set(cudnnBackendAttributeName_t name, const Descriptor& part) {
    return set<cudnnBackendDescriptor_t>(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {part.made_});
  }
  cudnnStatus_t finalize() { return cudnnBackendFinalize(made_); }
  cudnnBackendDescriptor_t address() const { return made_; }

 private:
  cudnnBackendDescriptor_t made_ = nullptr;
};

using Numbers = std::vector<std::int64_t>;

// y (1, 1, 2, 2) = x (1, 1, 3, 3) with w (1, 1, 2, 2), unless a test changes it.
struct Problem {
  Numbers x{1, 1, 3, 3}, w{1, 1, 2, 2}, y{1, 1, 2, 2}, x_strides{9, 9, 3, 1}, behind{0, 0};
  std::int64_t alignment = 4;

  static void fill(Descriptor& tensor, const Numbers& sizes, const Numbers& strides,
                   std::int64_t id, std::int64_t alignment) {
    tensor.set<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE,
                                {CUDNN_DATA_FLOAT});
    tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, sizes);
    tensor.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides);
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, Numbers{id});
    tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, Numbers{alignment});
  }

  // Completes the graph. Returns the status of its operation if that fails.
  cudnnStatus_t complete(Descriptor& graph, cudnnHandle_t handle) const {
    Descriptor tx(CUDNN_BACKEND_TENSOR_DESCRIPTOR), tw(CUDNN_BACKEND_TENSOR_DESCRIPTOR),
        ty(CUDNN_BACKEND_TENSOR_DESCRIPTOR), convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
        operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    fill(tx, x, x_strides, 1, alignment);
    fill(tw, w, {4, 4, 2, 1}, 2, alignment);
    fill(ty, y, {y[2] * y[3], y[2] * y[3], y[3], 1}, 3, alignment);
    for (Descriptor* tensor : {&tx, &tw, &ty}) {
      if (const cudnnStatus_t status = tensor->finalize(); status != CUDNN_STATUS_SUCCESS)
        return status;
    }
    convolution.set<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE,
                                     {CUDNN_DATA_FLOAT});
    convolution.set<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE,
                                            CUDNN_TYPE_CONVOLUTION_MODE, {CUDNN_CROSS_CORRELATION});
    convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, Numbers{2});
    convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, Numbers{1, 1});
    convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, Numbers{1, 1});
    convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, Numbers{0, 0});
    convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, behind);
    convolution.finalize();
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, convolution);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, tx);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, tw);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, ty);
    operation.set<float>(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, {1});
    operation.set<float>(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, {0});
    operation.finalize();
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
    graph.set<cudnnHandle_t>(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {handle});
    return graph.finalize();
  }
};

class Cudnn : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudnnCreate(&handle_), CUDNN_STATUS_SUCCESS);
    ASSERT_EQ(cudnnSetStream(handle_, stream_), CUDNN_STATUS_SUCCESS);
  }
  void TearDown() override {
    cudaStreamSynchronize(stream_);
    cudnnDestroy(handle_);
  }

  cudnnStatus_t completed(const Problem& problem) {
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    return problem.complete(graph, handle_);
  }

  // Runs the problem with the last engine of a heuristic.
  cudnnStatus_t run(const Problem& problem, cudnnBackendHeurMode_t mode, std::vector<void*> data,
                    void* workspace) {
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
        heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR),
        plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR), pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    EXPECT_EQ(problem.complete(graph, handle_), CUDNN_STATUS_SUCCESS);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
                                           {mode});
    heuristics.finalize();
    std::vector<std::unique_ptr<Descriptor>> configurations;
    std::vector<cudnnBackendDescriptor_t> addresses;
    std::int64_t count = 0;
    const auto results = [&] {
      return cudnnBackendGetAttribute(
          heuristics.address(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
          static_cast<std::int64_t>(addresses.size()), &count, addresses.data());
    };
    EXPECT_EQ(results(), CUDNN_STATUS_SUCCESS);
    while (static_cast<std::int64_t>(configurations.size()) < count) {
      configurations.push_back(std::make_unique<Descriptor>(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
      addresses.push_back(configurations.back()->address());
    }
    EXPECT_EQ(results(), CUDNN_STATUS_SUCCESS);
    plan.set<cudnnHandle_t>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {handle_});
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, *configurations.back());
    EXPECT_EQ(plan.finalize(), CUDNN_STATUS_SUCCESS);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, Numbers{3, 1, 2});
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, data);
    pack.set<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace});
    EXPECT_EQ(pack.finalize(), CUDNN_STATUS_SUCCESS);
    return cudnnBackendExecute(handle_, plan.address(), pack.address());
  }

  Stream stream_;
  cudnnHandle_t handle_ = nullptr;
};

TEST_F(Cudnn, ComputesAConvolution) {
  const Device<float> x({1, 2, 3, 4, 5, 6, 7, 8, 9}), w({1, 10, 100, 1000});
  const Device<char> workspace(100);
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Device<float> y(4);
    ASSERT_EQ(run({}, mode, {y.data(), x.data(), w.data()}, workspace.data()),
              CUDNN_STATUS_SUCCESS);
    cudaStreamSynchronize(stream_);
    EXPECT_EQ(y.values(), (std::vector<float>{5421, 6532, 8754, 9865}));
  }
}

TEST_F(Cudnn, RefusesDataThatItsPlanDoesNotFit) {
  const Device<float> x(12), w(4);
  Device<float> y(4);
  const Device<char> workspace(100), small(99);
  EXPECT_EQ(run({}, CUDNN_HEUR_MODE_A, {y.data(), x.data(), w.data()}, small.data()),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(run({}, CUDNN_HEUR_MODE_A, {y.data(), x.data(), w.data()}, nullptr),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(run({}, CUDNN_HEUR_MODE_A, {y.data(), nullptr, w.data()}, workspace.data()),
            CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  Problem aligned;
  aligned.alignment = 16;
  EXPECT_EQ(run(aligned, CUDNN_HEUR_MODE_A, {y.data(), x.data() + 1, w.data()}, workspace.data()),
            CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
}

TEST_F(Cudnn, RefusesGraphsThatMakeNoSense) {
  EXPECT_EQ(completed({}), CUDNN_STATUS_SUCCESS);
  Problem p;
  p.y = {1, 1, 3, 2};
  EXPECT_EQ(completed(p), CUDNN_STATUS_BAD_PARAM);
  p.behind = {1, 0};
  EXPECT_EQ(completed(p), CUDNN_STATUS_SUCCESS);
  p.behind = {-1, 0};
  EXPECT_EQ(completed(p), CUDNN_STATUS_BAD_PARAM);
  p = {};
  p.x_strides = {9, 9, 1, 3};
  EXPECT_EQ(completed(p), CUDNN_STATUS_NOT_SUPPORTED);
  p = {};
  p.alignment = 3;
  EXPECT_EQ(completed(p), CUDNN_STATUS_BAD_PARAM);
}

TEST_F(Cudnn, RefusesDescriptorsThatAreNotFinalized) {
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
      operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  EXPECT_EQ(graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation),
            CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  std::int64_t count = 0;
  EXPECT_EQ(cudnnBackendGetAttribute(graph.address(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
            CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  EXPECT_EQ(cudnnBackendFinalize(nullptr), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  EXPECT_EQ(cudnnBackendExecute(handle_, graph.address(), graph.address()),
            CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
}

TEST_F(Cudnn, IsFoundByTheNamesOfItsFunctions) {
  EXPECT_NE(ebb::emulation::cudnn_function("cudnnCreate"), nullptr);
  EXPECT_EQ(ebb::emulation::cudnn_function("cudnnNothing"), nullptr);
}

}  // namespace
