// The descriptors of the emulated cuDNN, and the convolution that a graph of them describes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "convolution.h"
#include "cudnn.h"

namespace ebb::emulation::dnn {

struct Engine;
struct Descriptor;
using Pointer = std::shared_ptr<Descriptor>;

struct Value {
  cudnnBackendAttributeType_t type;
  std::int64_t count;
  std::vector<std::byte> bytes;  // or
  std::vector<Pointer> descriptors;
};

// cudnnBackendDescriptor_t is the address of a Pointer. A finalized descriptor does not change.
struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Value> values = {};
  const Engine* engine = nullptr;  // of an engine, a configuration or a plan
  Pointer graph = {};              // of a configuration

  // Returns N values, or throws if the attribute has others.
  template <typename T, std::size_t N = 1>
  std::array<T, N> get(cudnnBackendAttributeName_t name,
                       cudnnBackendAttributeType_t type_of) const {
    const Value& value = at(name, type_of, N);
    std::array<T, N> result;
    if (value.bytes.size() != sizeof(result)) throw CUDNN_STATUS_BAD_PARAM;
    std::memcpy(result.data(), value.bytes.data(), sizeof(result));
    return result;
  }
  const Descriptor& part(cudnnBackendAttributeName_t name) const {
    return *at(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1).descriptors.at(0);
  }
  const Descriptor& part(cudnnBackendAttributeName_t name,
                         cudnnBackendDescriptorType_t type_of) const {
    const Descriptor& found = part(name);
    if (found.type != type_of) throw CUDNN_STATUS_BAD_PARAM;
    return found;
  }

 private:
  const Value& at(int name, cudnnBackendAttributeType_t type_of, std::size_t count) const {
    const auto found = values.find(name);
    if (found == values.end() || found->second.type != type_of ||
        found->second.count != static_cast<std::int64_t>(count))
      throw CUDNN_STATUS_BAD_PARAM;
    return found->second;
  }
};

struct Layout {
  Sizes sizes;
  cudnnDataType_t type;
  std::int64_t id, alignment;
};

// A convolution, forward or one of its gradients.
struct Problem {
  cudnnBackendDescriptorType_t operation;
  Layout x, w, y;
  ebb::emulation::Window window;

  bool is_symmetric() const { return window.before == window.behind; }
};

// Returns the convolution of an operation graph, or throws the status that says why there is none.
Problem problem_of(const Descriptor& graph);

// Throws the status of a tensor that is not complete or not packed.
void check_tensor(const Descriptor& tensor);

}  // namespace ebb::emulation::dnn
