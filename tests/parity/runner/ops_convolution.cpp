// Convolutions and their transposes, as functions and as layers.
#include "ebb/autograd/ops/convolution.h"

#include "ebb/nn/layers/conv.h"
#include "ebb/nn/layers/fold.h"
#include "ops.h"

namespace ebb::parity {
namespace {

void read_sizes(Arguments& a, const std::string& name, Shape& into) {
  std::vector<int64_t> values;
  if (a.read(name, values)) into = Shape(values);
}

template <class Options> void read_options(Arguments& a, Options& options) {
  read_sizes(a, "stride", options.stride);
  read_sizes(a, "dilation", options.dilation);
  a.read("groups", options.groups);
}

ConvPadding read_padding(Arguments& a) {
  std::string text;
  if (a.is_text("padding") && a.read("padding", text)) return ConvPadding(text.c_str());
  Shape numbers = 0;
  read_sizes(a, "padding", numbers);
  return numbers;
}

template <Tensor (*f)(const TensorArg&, const Tensor&, const Tensor&, const ConvOptions&)>
Call conv_call(Arguments& a) {
  ConvOptions options;
  read_options(a, options);
  options.padding = read_padding(a);
  return [=, x = a.inputs(2, 3)] {
    return Tensors{f(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), options)};
  };
}

template <Tensor (*f)(const TensorArg&, const Tensor&, const Tensor&, const ConvTransposeOptions&)>
Call transpose_call(Arguments& a) {
  ConvTransposeOptions options;
  read_options(a, options);
  read_sizes(a, "padding", options.padding);
  read_sizes(a, "output_padding", options.output_padding);
  return [=, x = a.inputs(2, 3)] {
    return Tensors{f(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), options)};
  };
}

// The layers with the case's tensors as their parameters.
template <class Layer> Call layer_call(Arguments& a) {
  nn::ConvLayerOptions options;
  read_options(a, options);
  options.padding = read_padding(a);
  a.read("padding_mode", options.padding_mode);
  return [=, x = a.inputs(2, 3)]() mutable {
    options.bias = x.size() > 2;
    options.dtype = x[1].dtype();
    const Shape& w = x[1].shape();
    Layer layer(w[1] * options.groups, w[0], Shape(std::span(w.begin() + 2, w.end())), options);
    layer.weight = x[1];
    if (options.bias) layer.bias = x[2];
    return Tensors{layer(x[0])};
  };
}

template <class Layer> Call transpose_layer_call(Arguments& a) {
  nn::ConvTransposeLayerOptions options;
  read_options(a, options);
  read_sizes(a, "padding", options.padding);
  read_sizes(a, "output_padding", options.output_padding);
  return [=, x = a.inputs(2, 3)]() mutable {
    options.bias = x.size() > 2;
    options.dtype = x[1].dtype();
    const Shape& w = x[1].shape();
    Layer layer(w[0], w[1] * options.groups, Shape(std::span(w.begin() + 2, w.end())), options);
    layer.weight = x[1];
    if (options.bias) layer.bias = x[2];
    return Tensors{layer(x[0])};
  };
}

UnfoldOptions read_windows(Arguments& a, Shape& kernel_size) {
  UnfoldOptions options;
  read_sizes(a, "kernel_size", kernel_size);
  read_sizes(a, "dilation", options.dilation);
  read_sizes(a, "padding", options.padding);
  read_sizes(a, "stride", options.stride);
  return options;
}

template <bool module> Call unfold_call(Arguments& a) {
  Shape kernel;
  const UnfoldOptions options = read_windows(a, kernel);
  return [=, x = a.input()] {
    return Tensors{module ? nn::Unfold(kernel, options)(x) : unfold(x, kernel, options)};
  };
}

template <bool module> Call fold_call(Arguments& a) {
  Shape kernel, size;
  const UnfoldOptions options = read_windows(a, kernel);
  read_sizes(a, "output_size", size);
  return [=, x = a.input()] {
    return Tensors{module ? nn::Fold(size, kernel, options)(x) : fold(x, size, kernel, options)};
  };
}

constexpr Op kOps[] = {
    {"conv1d", conv_call<conv1d>, layer_call<nn::Conv1d>},
    {"conv2d", conv_call<conv2d>, layer_call<nn::Conv2d>},
    {"conv_transpose1d", transpose_call<conv_transpose1d>,
     transpose_layer_call<nn::ConvTranspose1d>},
    {"conv_transpose2d", transpose_call<conv_transpose2d>,
     transpose_layer_call<nn::ConvTranspose2d>},
    {"Conv1d", layer_call<nn::Conv1d>},
    {"Conv2d", layer_call<nn::Conv2d>},
    {"unfold", unfold_call<false>, unfold_call<true>},
    {"fold", fold_call<false>, fold_call<true>},
};

}  // namespace

std::span<const Op> convolution_ops() { return kOps; }

}  // namespace ebb::parity
