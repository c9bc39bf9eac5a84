// A problem becomes an operation graph with one convolution. cuDNN's heuristics list engine
// configurations for it, the fastest first. The first one that Ebb can use becomes an execution
// plan, which is kept under the key of the problem. A run binds addresses to the plan.
#include "ebb/backends/cuda/cudnn_convolution.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/cudnn.h"
#include "ebb/backends/cuda/library.h"
#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/cuda.h"

namespace ebb::cuda {
namespace {

using Kind = ConvolutionKind;

constexpr int64_t kMaxWorkspace = int64_t{256} << 20;  // configurations that need more are not used

// Returns the type of attributes that have values of type V.
template <class V> constexpr cudnnBackendAttributeType_t type_of() = delete;
template <> constexpr cudnnBackendAttributeType_t type_of<cudnnHandle_t>() {
  return CUDNN_TYPE_HANDLE;
}
template <> constexpr cudnnBackendAttributeType_t type_of<cudnnDataType_t>() {
  return CUDNN_TYPE_DATA_TYPE;
}
template <> constexpr cudnnBackendAttributeType_t type_of<int64_t>() { return CUDNN_TYPE_INT64; }
template <> constexpr cudnnBackendAttributeType_t type_of<float>() { return CUDNN_TYPE_FLOAT; }
template <> constexpr cudnnBackendAttributeType_t type_of<const void*>() {
  return CUDNN_TYPE_VOID_PTR;
}
template <> constexpr cudnnBackendAttributeType_t type_of<cudnnConvolutionMode_t>() {
  return CUDNN_TYPE_CONVOLUTION_MODE;
}
template <> constexpr cudnnBackendAttributeType_t type_of<cudnnBackendHeurMode_t>() {
  return CUDNN_TYPE_HEUR_MODE;
}
template <> constexpr cudnnBackendAttributeType_t type_of<cudnnBackendNumericalNote_t>() {
  return CUDNN_TYPE_NUMERICAL_NOTE;
}
template <> constexpr cudnnBackendAttributeType_t type_of<cudnnBackendBehaviorNote_t>() {
  return CUDNN_TYPE_BEHAVIOR_NOTE;
}

// A descriptor of cuDNN. It remembers a failed call: later calls on it, and on descriptors that it
// becomes a part of, then do nothing.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    note(cudnnBackendCreateDescriptor(type, &made_));
  }
  Descriptor(Descriptor&& other) noexcept
      : made_(std::exchange(other.made_, nullptr)), failed_(std::exchange(other.failed_, true)) {}
  ~Descriptor() {
    if (made_) cudnnBackendDestroyDescriptor(made_);
  }

  template <class V, size_t N>
  void set(cudnnBackendAttributeName_t name, const std::array<V, N>& values) {
    set(name, type_of<V>(), int64_t{N}, values.data());
  }
  template <class V> void set(cudnnBackendAttributeName_t name, const V& value) {
    set(name, type_of<V>(), 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& part) {
    failed_ |= part.failed_;
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part.made_);
  }
  bool finalize() {
    if (!failed_) note(cudnnBackendFinalize(made_));
    return !failed_;
  }

  /// Writes at most `most` values and returns how many there are.
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
              void* values) {
    int64_t count = 0;
    if (!failed_) note(cudnnBackendGetAttribute(made_, name, type, most, &count, values));
    return failed_ ? 0 : count;
  }
  /// Returns the values, of which there are at most 64.
  template <class V> std::vector<V> values(cudnnBackendAttributeName_t name) {
    std::vector<V> all(64);
    all.resize(static_cast<size_t>(get(name, type_of<V>(), std::ssize(all), all.data())));
    return all;
  }

  bool failed() const { return failed_; }
  cudnnBackendDescriptor_t address() const { return made_; }

 private:
  void note(cudnnStatus_t status) { failed_ |= status != CUDNN_STATUS_SUCCESS; }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values) {
    if (!failed_) note(cudnnBackendSetAttribute(made_, name, type, count, values));
  }

  cudnnBackendDescriptor_t made_ = nullptr;
  bool failed_ = false;
};

// Returns the padding behind the last element with which cuDNN, too, finds y elements in a dim of
// x: that in front if possible. Returns -1 if there is none.
int64_t padding_behind(int64_t x, int64_t y, int64_t kernel, int64_t stride, int64_t padding,
                       int64_t dilation) {
  const int64_t least = (y - 1) * stride + (kernel - 1) * dilation + 1 - x - padding;
  const int64_t most = least + stride - 1;
  if (least <= padding && padding <= most) return padding;
  return most < 0 ? -1 : std::max<int64_t>(least, 0);
}

// The properties of a problem on which the choice of an engine depends.
struct Problem {
  Kind kind;
  bool tf32;
  std::array<int64_t, 4> x, w, y;
  std::array<int64_t, 2> stride, padding, behind, dilation;
  int64_t alignment;  // of all tensors, in bytes
  auto operator<=>(const Problem&) const = default;
};

std::array<int64_t, 4> sizes_of(const Tensor& t) {
  return {t.size(0), t.size(1), t.size(2), t.size(3)};
}

Problem problem_of(const ConvolutionArgs& args) {
  const ConvolutionGeometry& g = args.geometry;
  Problem p{.kind = args.kind,
            .tf32 = allow_tf32(),
            .x = sizes_of(*args.x),
            .w = sizes_of(*args.w),
            .y = sizes_of(*args.y),
            .stride = {g.stride[0], g.stride[1]},
            .padding = {g.padding[0], g.padding[1]},
            .behind = {},
            .dilation = {g.dilation[0], g.dilation[1]},
            .alignment = 16};
  for (size_t i = 0; i < 2; ++i) {
    p.behind[i] = padding_behind(p.x[2 + i], p.y[2 + i], p.w[2 + i], p.stride[i], p.padding[i],
                                 p.dilation[i]);
  }
  for (const Tensor* t : {args.x, args.w, args.y}) {
    const auto address = reinterpret_cast<uintptr_t>(t->raw());
    p.alignment = std::min(p.alignment, static_cast<int64_t>(address & -address));
  }
  return p;
}

enum Id : int64_t { kX, kW, kY };  // of the tensors in a graph

Descriptor tensor_of(const Problem& p, Id id, const std::array<int64_t, 4>& sizes) {
  const std::array<int64_t, 4> strides{sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3],
                                       sizes[3], 1};
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes);
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, int64_t{id});
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, p.alignment);
  tensor.finalize();
  return tensor;
}

Descriptor convolution_of(const Problem& p) {
  Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
  convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, p.dilation);
  convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, p.stride);
  convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, p.padding);
  convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, p.behind);
  convolution.finalize();
  return convolution;
}

// The operation of a kind and the names of its attributes.
struct Operation {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};
constexpr Operation kForward{CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
constexpr Operation kInputGradient{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
constexpr Operation kWeightGradient{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};

Descriptor graph_of(const Problem& p, cudnnHandle_t handle) {
  const Operation& names = p.kind == Kind::Forward         ? kForward
                           : p.kind == Kind::InputGradient ? kInputGradient
                                                           : kWeightGradient;
  const Descriptor x = tensor_of(p, kX, p.x), w = tensor_of(p, kW, p.w), y = tensor_of(p, kY, p.y);
  const Descriptor convolution = convolution_of(p);
  Descriptor operation(names.type);
  operation.set(names.convolution, convolution);
  operation.set(names.x, x);
  operation.set(names.w, w);
  operation.set(names.y, y);
  operation.set(names.alpha, 1.0f);  // result = alpha product + beta result
  operation.set(names.beta, 0.0f);
  operation.finalize();
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  graph.finalize();
  return graph;
}

// Returns the engine configurations for a graph, the fastest first.
std::vector<Descriptor> configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  heuristics.finalize();
  std::vector<Descriptor> made;
  std::vector<cudnnBackendDescriptor_t> addresses;
  const auto results = [&] {
    return heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                          static_cast<int64_t>(made.size()), addresses.data());
  };
  for (int64_t left = results(); left > 0; --left) {
    made.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    addresses.push_back(made.back().address());
  }
  const int64_t count = results();
  while (static_cast<int64_t>(made.size()) > count) made.pop_back();
  return made;
}

// Gradients of weights by Winograd's algorithm, in an engine without a note that says so. On an
// H100 (cuDNN 9.19) its largest error is 3e-3 of the root mean square; others have 1e-5.
constexpr int64_t kInexactWeightGradient = 17;

// Returns true if Ebb uses the engine of a configuration: it gives the same bits in every run, has
// the precision of the problem, and is part of the library. An engine has a numerical note for
// each way in which it differs from plain sums: a sum in no fixed order, operands of fewer bits,
// Fourier transforms, Winograd's algorithm. An engine that is compiled at run time takes up to a
// second for each problem.
bool is_usable(Descriptor& configuration, const Problem& problem) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t address = engine.address();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &address);
  const auto indices = engine.values<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  const auto numerical =
      engine.values<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE);
  const auto behavior = engine.values<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE);
  if (configuration.failed() || engine.failed() || indices.empty()) return false;
  if (problem.kind == Kind::WeightGradient && indices.front() == kInexactWeightGradient)
    return false;
  return std::all_of(numerical.begin(), numerical.end(),
                     [&](cudnnBackendNumericalNote_t note) {
                       return note == CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP ||
                              (problem.tf32 && note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
                     }) &&
         std::find(behavior.begin(), behavior.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) ==
             behavior.end();
}

class Convolutions {
 public:
  explicit Convolutions(cudnnHandle_t handle) : handle_(handle) {}

  bool run(const ConvolutionArgs& args) {
    const Problem problem = problem_of(args);
    const std::lock_guard lock(mutex_);
    Plan* plan = plan_for(problem);
    if (!plan || plan->execution.empty()) return false;
    if (execute(*plan, args)) return true;
    cudaGetLastError();  // clears the error
    if (!captures_step()) plan->execution.clear();
    return false;
  }

 private:
  struct Plan {
    std::vector<Descriptor> execution;  // the configuration and the plan, or nothing
    int64_t workspace = 0;
  };

  // Returns null in a captured step that meets a problem without a plan.
  Plan* plan_for(const Problem& problem) {
    const auto found = plans_.find(problem);
    if (found != plans_.end()) return &found->second;
    if (captures_step()) return nullptr;
    return &plans_.emplace(problem, choose(problem)).first->second;
  }

  Plan choose(const Problem& problem) const {
    if (problem.behind[0] < 0 || problem.behind[1] < 0) return {};
    const Descriptor graph = graph_of(problem, handle_);
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      for (Descriptor& configuration : configurations(graph, mode)) {
        if (!is_usable(configuration, problem)) continue;
        Descriptor execution(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        execution.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle_);
        execution.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
        if (!execution.finalize()) continue;
        int64_t workspace = 0;
        execution.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
        if (execution.failed() || workspace > kMaxWorkspace) continue;
        Plan plan{{}, workspace};
        plan.execution.push_back(std::move(configuration));
        plan.execution.push_back(std::move(execution));
        return plan;
      }
    }
    return {};
  }

  bool execute(const Plan& plan, const ConvolutionArgs& args) const {
    Tensor workspace;
    if (plan.workspace > 0)
      workspace = empty({plan.workspace}, {.dtype = DType::U8, .device = args.x->device()});
    const std::array<int64_t, 3> ids{kX, kW, kY};
    const std::array<const void*, 3> data{args.x->raw(), args.w->raw(), args.y->raw()};
    const void* scratch = workspace.defined() ? workspace.raw() : nullptr;
    Descriptor binding(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    binding.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
    binding.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, data);
    binding.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, scratch);
    return binding.finalize() && cudnnBackendExecute(handle_, plan.execution.back().address(),
                                                     binding.address()) == CUDNN_STATUS_SUCCESS;
  }

  cudnnHandle_t handle_;
  std::mutex mutex_;
  std::map<Problem, Plan> plans_;
};

// Returns null if the library is absent or does not work. Never destroyed.
Convolutions* load() {
  context();
  cudnnHandle_t handle = nullptr;
  if (load_cudnn() && cudnnCreate(&handle) == CUDNN_STATUS_SUCCESS &&
      cudnnSetStream(handle, context().stream) == CUDNN_STATUS_SUCCESS)
    return new Convolutions(handle);
  cudaGetLastError();  // clears the error
  return nullptr;
}

std::atomic<bool> loaded{false};  // or found to be absent

Convolutions* convolutions() {
  static Convolutions* const instance = load();
  loaded = true;
  return instance;
}

}  // namespace

bool has_cudnn() {
  if (!loaded) refuse_in_capture("has_cudnn", "load a library");
  return convolutions() != nullptr;
}

bool cudnn_convolution(const ConvolutionArgs& args) {
  if (captures_step() && !loaded) return false;
  Convolutions* const library = convolutions();
  return library && library->run(args);
}

}  // namespace ebb::cuda
