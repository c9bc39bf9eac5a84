#include "cudnn.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "cudnn_graph.h"
#include "emulation.h"
#include "runtime.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace ebb::emulation::dnn {

// An engine. The heuristics list them in this order.
struct Engine {
  std::int64_t index;
  std::vector<cudnnBackendNumericalNote_t> notes = {};
  std::vector<cudnnBackendBehaviorNote_t> behavior = {};
  std::int64_t workspace = 0;
  bool has_plan = true;
  bool rounds = false;    // its operands, to TF32
  double error = 0;       // of its results, relative
  bool fallback = false;  // listed by that heuristic, and takes any padding
};

}  // namespace ebb::emulation::dnn

namespace {

using namespace ebb::emulation::dnn;

using ebb::emulation::Sizes;

// EBB_EMULATION_CUDNN selects another library:
//   absent       there is none
//   broken       has no handles
//   unsupported  supports no operation
//   empty        knows no engine for any graph
//   refuses      makes plans, but does not run them
bool library_is(std::string_view name) {
  const char* value = std::getenv("EBB_EMULATION_CUDNN");
  return value != nullptr && value == name;
}

// As in NVIDIA's library, this engine has no note, but its gradients of weights are inexact.
constexpr std::int64_t kInexactWeightGradient = 17;

const std::vector<Engine>& engines() {
  static const std::vector<Engine> all{
      {.index = 1,
       .notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
       .error = 0.1},
      {.index = 2, .notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, .rounds = true},
      {.index = 3, .notes = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, .error = 0.1},
      {.index = 4, .notes = {CUDNN_NUMERICAL_NOTE_WINOGRAD}, .error = 0.1},
      {.index = 5, .behavior = {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION}, .error = 0.1},
      {.index = 6, .has_plan = false},
      {.index = 7, .workspace = std::int64_t{1} << 40},
      {.index = kInexactWeightGradient},
      {.index = 18,
       .notes = {CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP},
       .behavior = {CUDNN_BEHAVIOR_NOTE_SUPPORTS_CUDA_GRAPH_NATIVE_API},
       .workspace = 100},
      {.index = 19, .fallback = true}};
  return all;
}

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR: return 8;
    default: return 4;
  }
}

// Rounds to the 10 bits of mantissa of TF32.
double rounded(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  bits = (bits + 0x1000) & ~0x1fffu;
  return std::bit_cast<float>(bits);
}

void compute(const Problem& p, const Engine& engine, const std::array<void*, 3>& data) {
  const auto x = static_cast<const float*>(data[0]), w = static_cast<const float*>(data[1]),
             y = static_cast<const float*>(data[2]);
  const bool forward = p.operation == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
             input = p.operation == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
  const Sizes& n = (forward ? p.y : input ? p.x : p.w).sizes;
  std::vector<double> sums(static_cast<std::size_t>(n[0] * n[1] * n[2] * n[3]));
  const auto operand = [&](float value) {
    return engine.rounds ? rounded(value) : static_cast<double>(value);
  };
  ebb::emulation::each_product(p.window, p.x.sizes, p.w.sizes, p.y.sizes,
                               [&](std::int64_t at_x, std::int64_t at_w, std::int64_t at_y) {
                                 if (forward) sums[at_y] += operand(x[at_x]) * operand(w[at_w]);
                                 else if (input) sums[at_x] += operand(y[at_y]) * operand(w[at_w]);
                                 else sums[at_w] += operand(x[at_x]) * operand(y[at_y]);
                               });
  const double error =
      !forward && !input && engine.index == kInexactWeightGradient ? 0.1 : engine.error;
  const auto out = static_cast<float*>(data[forward ? 2 : input ? 0 : 1]);
  for (std::size_t i = 0; i < sums.size(); ++i) out[i] = static_cast<float>(sums[i] * (1 + error));
}

// Throws the error of a descriptor that is not complete.
void finalize(Descriptor& d) {
  switch (d.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: check_tensor(d); break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      if (library_is("unsupported")) throw CUDNN_STATUS_NOT_SUPPORTED;
      if (d.get<cudnnHandle_t>(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE)[0] == nullptr)
        throw CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
      problem_of(d);
      break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      d.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
      d.get<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE);
      break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
      const Descriptor& configuration =
          d.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      if (d.get<cudnnHandle_t>(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE)[0] == nullptr)
        throw CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
      d.engine = configuration.engine;
      if (!d.engine->has_plan) throw CUDNN_STATUS_NOT_SUPPORTED;
      break;
    }
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      d.get<std::int64_t, 3>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64);
      d.get<void*, 3>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR);
      d.get<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR);
      break;
    default: break;
  }
  d.finalized = true;
}

// Returns the engines that the heuristics list for their graph.
std::vector<const Engine*> engines_for(const Descriptor& heuristics) {
  std::vector<const Engine*> list;
  if (library_is("empty")) return list;
  const Problem problem = problem_of(heuristics.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                                     CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
  const bool fallback =
      heuristics.get<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE)[0] ==
      CUDNN_HEUR_MODE_FALLBACK;
  for (const Engine& engine : engines()) {
    if (engine.fallback == fallback && (engine.fallback || problem.is_symmetric()))
      list.push_back(&engine);
  }
  return list;
}

// Gives `count` values to a caller that has room for `requested`.
template <typename T>
void give(const T* values, std::size_t count, std::int64_t requested, void* to) {
  const std::size_t given = std::min(count, static_cast<std::size_t>(requested));
  if (given > 0) std::memcpy(to, values, given * sizeof(T));
}

ebb::emulation::Work work_of(const Problem& problem, const Engine& engine,
                             const std::array<void*, 3>& data, void* workspace) {
  return [=, &engine] {
    if (engine.workspace > 0)
      std::memset(workspace, 0xff, static_cast<std::size_t>(engine.workspace));
    compute(problem, engine, data);
  };
}

Descriptor& of(cudnnBackendDescriptor_t descriptor) { return **static_cast<Pointer*>(descriptor); }

// Returns the status that the call throws, or success.
template <typename Call> cudnnStatus_t status_of(const Call& call) {
  try {
    call();
    return CUDNN_STATUS_SUCCESS;
  } catch (cudnnStatus_t status) {
    return status;
  }
}

}  // namespace

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (library_is("broken")) return CUDNN_STATUS_NOT_INITIALIZED;
  if (ebb::emulation::unsafe_call() != cudaSuccess) return CUDNN_STATUS_EXECUTION_FAILED;
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Pointer(new Descriptor{.type = type});
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete static_cast<Pointer*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  if (descriptor == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  return status_of([&] { finalize(of(descriptor)); });
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  if (descriptor == nullptr || values == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  Descriptor& d = of(descriptor);
  if (d.finalized || count < 1) return CUDNN_STATUS_BAD_PARAM;
  Value value{type, count, {}, {}};
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (std::int64_t i = 0; i < count; ++i) {
      const cudnnBackendDescriptor_t part = static_cast<const cudnnBackendDescriptor_t*>(values)[i];
      if (part == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
      if (!of(part).finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
      value.descriptors.push_back(*static_cast<Pointer*>(part));
    }
  } else {
    value.bytes.resize(static_cast<std::size_t>(count) * size_of(type));
    std::memcpy(value.bytes.data(), values, value.bytes.size());
  }
  d.values.insert_or_assign(name, std::move(value));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t requested,
                                       std::int64_t* count, void* values) {
  if (descriptor == nullptr || count == nullptr || (requested > 0 && values == nullptr))
    return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  const Descriptor& d = of(descriptor);
  if (!d.finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  const auto parts = static_cast<cudnnBackendDescriptor_t*>(values);
  return status_of([&] {
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      const std::vector<const Engine*> list = engines_for(d);
      *count = static_cast<std::int64_t>(list.size());
      for (std::int64_t i = 0; i < std::min(requested, *count); ++i) {
        Descriptor& configuration = of(parts[i]);
        if (configuration.type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) throw CUDNN_STATUS_BAD_PARAM;
        configuration.engine = list[static_cast<std::size_t>(i)];
        configuration.graph = d.values.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).descriptors.at(0);
        configuration.finalized = true;
      }
    } else if (name == CUDNN_ATTR_ENGINECFG_ENGINE && type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      if (requested < 1 || of(parts[0]).type != CUDNN_BACKEND_ENGINE_DESCRIPTOR)
        throw CUDNN_STATUS_BAD_PARAM;
      of(parts[0]).engine = d.engine;
      of(parts[0]).finalized = true;
      *count = 1;
    } else if (name == CUDNN_ATTR_ENGINE_GLOBAL_INDEX && type == CUDNN_TYPE_INT64) {
      *count = 1;
      give(&d.engine->index, 1, requested, values);
    } else if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE && type == CUDNN_TYPE_BEHAVIOR_NOTE) {
      *count = static_cast<std::int64_t>(d.engine->behavior.size());
      give(d.engine->behavior.data(), d.engine->behavior.size(), requested, values);
    } else if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && type == CUDNN_TYPE_NUMERICAL_NOTE) {
      *count = static_cast<std::int64_t>(d.engine->notes.size());
      give(d.engine->notes.data(), d.engine->notes.size(), requested, values);
    } else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && type == CUDNN_TYPE_INT64) {
      *count = 1;
      give(&d.engine->workspace, 1, requested, values);
    } else {
      throw CUDNN_STATUS_NOT_SUPPORTED;
    }
  });
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t variant_pack) {
  if (handle == nullptr || plan == nullptr || variant_pack == nullptr)
    return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  const Descriptor &p = of(plan), &pack = of(variant_pack);
  if (!p.finalized || !pack.finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  if (library_is("refuses")) return CUDNN_STATUS_NOT_SUPPORTED;
  return status_of([&] {
    const Descriptor& configuration =
        p.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    const Problem problem = problem_of(*configuration.graph);
    const auto ids =
        pack.get<std::int64_t, 3>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64);
    const auto pointers =
        pack.get<void*, 3>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR);
    std::array<void*, 3> data{};  // of x, w and y
    const std::array<const Layout*, 3> layouts{&problem.x, &problem.w, &problem.y};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto at = std::find(ids.begin(), ids.end(), layouts[i]->id) - ids.begin();
      if (at == 3) throw CUDNN_STATUS_BAD_PARAM;
      data[i] = pointers[static_cast<std::size_t>(at)];
      if (data[i] == nullptr) throw CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
      if (reinterpret_cast<std::intptr_t>(data[i]) % layouts[i]->alignment != 0)
        throw CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
    }
    void* const workspace =
        pack.get<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR)[0];
    if (ebb::emulation::reach(workspace).bytes < static_cast<std::size_t>(p.engine->workspace))
      throw CUDNN_STATUS_BAD_PARAM;
    if (ebb::emulation::submit(handle->stream, work_of(problem, *p.engine, data, workspace)) !=
        cudaSuccess)
      throw CUDNN_STATUS_EXECUTION_FAILED;
    ++ebb::emulation::tally().convolutions;
  });
}

void* ebb::emulation::cudnn_function(const char* name) {
  if (library_is("absent")) return nullptr;
  const std::map<std::string_view, void*> functions{
#define FUNCTION(name) {#name, reinterpret_cast<void*>(&::name)}
      FUNCTION(cudnnCreate),
      FUNCTION(cudnnSetStream),
      FUNCTION(cudnnBackendCreateDescriptor),
      FUNCTION(cudnnBackendDestroyDescriptor),
      FUNCTION(cudnnBackendFinalize),
      FUNCTION(cudnnBackendSetAttribute),
      FUNCTION(cudnnBackendGetAttribute),
      FUNCTION(cudnnBackendExecute),
#undef FUNCTION
  };
  const auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}
