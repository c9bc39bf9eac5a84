// Pooling. The module of an op is the layer with the same options.
#include "ebb/nn/layers/pooling.h"
#include "ops.h"

namespace ebb::parity {
namespace {

Shape shape_option(Arguments& a, const std::string& name, Shape fallback) {
  std::vector<int64_t> values;
  return a.read(name, values) ? Shape(values) : fallback;
}

struct Sizes {
  Shape kernel_size, stride, padding, dilation;
  bool ceil_mode = false, flag = false;  // return_indices, or count_include_pad

  Sizes(Arguments& a, const char* flag_name, bool fallback)
      : kernel_size(shape_option(a, "kernel_size", {})),
        stride(shape_option(a, "stride", {})),
        padding(shape_option(a, "padding", 0)),
        dilation(shape_option(a, "dilation", 1)),
        flag(fallback) {
    a.read("ceil_mode", ceil_mode);
    a.read(flag_name, flag);
  }
};

Tensors both(const std::tuple<Tensor, Tensor>& pair) {
  return {std::get<0>(pair), std::get<1>(pair)};
}

template <auto kValues, auto kBoth> Call max_call(Arguments& a) {
  return [x = a.input(), s = Sizes(a, "return_indices", false)]() -> Tensors {
    if (s.flag) return both(kBoth(x, s.kernel_size, s.stride, s.padding, s.dilation, s.ceil_mode));
    return {kValues(x, s.kernel_size, s.stride, s.padding, s.dilation, s.ceil_mode)};
  };
}
template <class Layer> Call max_layer(Arguments& a) {
  return [x = a.input(), s = Sizes(a, "return_indices", false)]() -> Tensors {
    const Layer layer(s.kernel_size, {s.stride, s.padding, s.dilation, s.ceil_mode});
    if (s.flag) return both(layer.forward_with_indices(x));
    return {layer(x)};
  };
}

Call avg_pool1d_call(Arguments& a) {
  return [x = a.input(), s = Sizes(a, "count_include_pad", true)]() -> Tensors {
    return {avg_pool1d(x, s.kernel_size, s.stride, s.padding, s.ceil_mode, s.flag)};
  };
}
Call avg_pool1d_layer(Arguments& a) {
  return [x = a.input(), s = Sizes(a, "count_include_pad", true)]() -> Tensors {
    return {nn::AvgPool1d(s.kernel_size, {s.stride, s.padding, s.ceil_mode, s.flag})(x)};
  };
}
std::optional<int64_t> divisor_of(Arguments& a) {
  int64_t divisor = 0;
  return a.read("divisor_override", divisor) ? std::optional(divisor) : std::nullopt;
}
Call avg_pool2d_call(Arguments& a) {
  return [x = a.input(), s = Sizes(a, "count_include_pad", true), by = divisor_of(a)]() -> Tensors {
    return {avg_pool2d(x, s.kernel_size, s.stride, s.padding, s.ceil_mode, s.flag, by)};
  };
}
Call avg_pool2d_layer(Arguments& a) {
  return [x = a.input(), s = Sizes(a, "count_include_pad", true), by = divisor_of(a)]() -> Tensors {
    return {nn::AvgPool2d(s.kernel_size, {s.stride, s.padding, s.ceil_mode, s.flag, by})(x)};
  };
}

std::vector<std::optional<int64_t>> output_size(Arguments& a) {
  std::vector<std::optional<int64_t>> sizes;
  a.read("output_size", sizes);
  return sizes;
}
// Calls pool(AdaptiveSize).
template <class Pool>
Tensors adaptively(const std::vector<std::optional<int64_t>>& sizes, const Pool& pool) {
  return sizes.size() == 1 ? pool(AdaptiveSize{*sizes[0]}) : pool(AdaptiveSize{sizes[0], sizes[1]});
}
template <auto kPool> Call adaptive_call(Arguments& a) {
  return [x = a.input(), sizes = output_size(a)] {
    return adaptively(sizes, [&](const AdaptiveSize& size) { return Tensors{kPool(x, size)}; });
  };
}
template <class Layer> Call adaptive_layer(Arguments& a) {
  return [x = a.input(), sizes = output_size(a)] {
    return adaptively(sizes, [&](const AdaptiveSize& size) { return Tensors{Layer(size)(x)}; });
  };
}
template <auto kValues, auto kBoth> Call adaptive_max_call(Arguments& a) {
  bool indices = false;
  a.read("return_indices", indices);
  return [x = a.input(), sizes = output_size(a), indices] {
    return adaptively(sizes, [&](const AdaptiveSize& size) {
      return indices ? both(kBoth(x, size)) : Tensors{kValues(x, size)};
    });
  };
}
template <class Layer> Call adaptive_max_layer(Arguments& a) {
  bool indices = false;
  a.read("return_indices", indices);
  return [x = a.input(), sizes = output_size(a), indices] {
    return adaptively(sizes, [&](const AdaptiveSize& size) {
      const Layer layer(size);
      return indices ? both(layer.forward_with_indices(x)) : Tensors{layer(x)};
    });
  };
}

constexpr Op kOps[] = {
    {"max_pool1d", max_call<max_pool1d, max_pool1d_with_indices>, max_layer<nn::MaxPool1d>},
    {"max_pool2d", max_call<max_pool2d, max_pool2d_with_indices>, max_layer<nn::MaxPool2d>},
    {"avg_pool1d", avg_pool1d_call, avg_pool1d_layer},
    {"avg_pool2d", avg_pool2d_call, avg_pool2d_layer},
    {"adaptive_avg_pool1d", adaptive_call<adaptive_avg_pool1d>,
     adaptive_layer<nn::AdaptiveAvgPool1d>},
    {"adaptive_avg_pool2d", adaptive_call<adaptive_avg_pool2d>,
     adaptive_layer<nn::AdaptiveAvgPool2d>},
    {"adaptive_max_pool1d",
     adaptive_max_call<adaptive_max_pool1d, adaptive_max_pool1d_with_indices>,
     adaptive_max_layer<nn::AdaptiveMaxPool1d>},
    {"adaptive_max_pool2d",
     adaptive_max_call<adaptive_max_pool2d, adaptive_max_pool2d_with_indices>,
     adaptive_max_layer<nn::AdaptiveMaxPool2d>},
};

}  // namespace

std::span<const Op> pooling_ops() { return kOps; }

}  // namespace ebb::parity
