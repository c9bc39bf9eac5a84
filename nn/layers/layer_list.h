// Access to the layers of Sequential, ModuleList and ModuleDict.
#pragma once

#include <cstdint>
#include <string_view>

#include "ebb/nn/module.h"

namespace ebb::nn::detail {

/// Throws the Error of a layer that is not of the class that the caller expects.
[[noreturn]] void refuse_class(std::string_view container, const Layer& layer);

/// Returns the layer as an M. Throws Error that names the container if it is of another class.
template <class M> const M& layer_as(std::string_view container, const Layer& layer) {
  const auto* found = dynamic_cast<const M*>(&layer);
  if (!found) refuse_class(container, layer);
  return *found;
}

/// Returns i, or i + size if i is negative. Throws Error that names the container unless the
/// result is an index of one of its `size` layers.
size_t layer_index(std::string_view container, int64_t i, int64_t size);

/// Iterates over the layers of a container by index.
template <class Container> class LayerIterator {
 public:
  LayerIterator(const Container& container, int64_t i) : container_(&container), i_(i) {}
  const Layer& operator*() const { return (*container_)[i_]; }
  const Layer* operator->() const { return &(*container_)[i_]; }
  LayerIterator& operator++() {
    ++i_;
    return *this;
  }
  bool operator==(const LayerIterator&) const = default;

 private:
  const Container* container_;
  int64_t i_;
};

}  // namespace ebb::nn::detail
