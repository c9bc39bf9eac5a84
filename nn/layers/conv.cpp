#include "ebb/nn/layers/conv.h"

#include <algorithm>
#include <cmath>

#include "ebb/core/random.h"

namespace ebb::nn::detail {
namespace {

// Returns one number per dim.
Shape each_dim(const char* layer, const char* option, const Shape& numbers, int dims) {
  if (numbers.dim() != 1 && numbers.dim() != dims)
    fail(layer, "expected ", option, " with 1 or ", dims, " numbers, got ", numbers);
  Shape each;
  for (int i = 0; i < dims; ++i) each.push_back(numbers[numbers.dim() == 1 ? 0 : i]);
  return each;
}

void check_channels(const char* layer, int64_t in, int64_t out, int64_t groups) {
  if (in < 1 || out < 1 || groups < 1 || in % groups != 0 || out % groups != 0) {
    fail(layer, "expected channels that are multiples of groups, got ", in, " in and ", out,
         " out with groups = ", groups);
  }
}

// Returns the shape of a weight: (first, second, kernel...).
Shape weight_shape(const char* layer, int64_t first, int64_t second, const Shape& kernel,
                   int dims) {
  Shape shape{first, second};
  for (int64_t n : each_dim(layer, "kernel_size", kernel, dims)) {
    if (n < 1) fail(layer, "expected a kernel_size of at least 1, got ", kernel);
    shape.push_back(n);
  }
  return shape;
}

Tensor initialized(const Shape& shape, double fan_in, DType dtype) {
  Tensor t = empty(shape, {.dtype = dtype});
  const double bound = 1 / std::sqrt(fan_in);
  uniform_(t, -bound, bound);
  return t;
}

double fan_in_of(const Shape& weight) { return static_cast<double>(weight.numel() / weight[0]); }

// Returns the sizes of the kernel of a weight.
Shape kernel_of(const Tensor& weight) {
  return Shape(std::span(weight.shape().begin() + 2, weight.shape().end()));
}

bool all_are(const Shape& numbers, int64_t n) {
  return std::all_of(numbers.begin(), numbers.end(), [n](int64_t m) { return m == n; });
}

std::string sizes_text(int64_t in, int64_t out, const Tensor& weight, const Shape& stride) {
  return std::to_string(in) + ", " + std::to_string(out) +
         ", kernel_size=" + to_text(kernel_of(weight)) + ", stride=" + to_text(stride);
}

std::string unless(int64_t usual, const char* option, const Shape& numbers) {
  return all_are(numbers, usual) ? "" : std::string(", ") + option + "=" + to_text(numbers);
}

std::string groups_and_bias(int64_t groups, bool bias) {
  return (groups == 1 ? "" : ", groups=" + std::to_string(groups)) + (bias ? "" : ", bias=False");
}

}  // namespace

ConvLayer::ConvLayer(const char* layer, int dims, int64_t in_channels, int64_t out_channels,
                     const Shape& kernel_size, const ConvLayerOptions& options)
    : options_(options) {
  check_channels(layer, in_channels, out_channels, options.groups);
  const Shape shape =
      weight_shape(layer, out_channels, in_channels / options.groups, kernel_size, dims);
  options_.stride = each_dim(layer, "stride", options.stride, dims);
  options_.dilation = each_dim(layer, "dilation", options.dilation, dims);
  const bool same = options.padding.is_same();
  if (same && !all_are(options_.stride, 1))
    fail(layer, "padding \"same\" needs stride 1, got ", options_.stride);
  const Shape front = same ? Shape() : each_dim(layer, "padding", options.padding.numbers(), dims);
  if (options.padding.text().empty()) options_.padding = front;
  for (int i = dims - 1; i >= 0; --i) {
    const int64_t zeros = same ? options_.dilation[i] * (shape[2 + i] - 1) : 2 * front[i];
    around_.push_back(zeros / 2);
    around_.push_back(zeros - zeros / 2);
  }
  weight = add_parameter("weight", initialized(shape, fan_in_of(shape), options.dtype));
  if (options.bias)
    bias = add_parameter("bias", initialized({out_channels}, fan_in_of(shape), options.dtype));
}

Tensor ConvLayer::forward(const Tensor& x) const {
  const bool zeros = options_.padding_mode == PadMode::Constant;
  const ConvOptions options{.stride = options_.stride,
                            .padding = zeros ? options_.padding : ConvPadding(0),
                            .dilation = options_.dilation,
                            .groups = options_.groups};
  const Tensor in = zeros ? x : pad(x, around_, options_.padding_mode);
  return weight.dim() == 3 ? conv1d(in, weight, bias, options) : conv2d(in, weight, bias, options);
}

std::string ConvLayer::extra_repr() const {
  const ConvPadding& padding = options_.padding;
  std::string text =
      sizes_text(weight.size(1) * options_.groups, weight.size(0), weight, options_.stride);
  if (padding.text().empty()) text += unless(0, "padding", padding.numbers());
  else text += ", padding=" + std::string(padding.text());
  text +=
      unless(1, "dilation", options_.dilation) + groups_and_bias(options_.groups, bias.defined());
  switch (options_.padding_mode) {
    case PadMode::Constant: break;
    case PadMode::Reflect: text += ", padding_mode=reflect"; break;
    case PadMode::Replicate: text += ", padding_mode=replicate"; break;
    case PadMode::Circular: text += ", padding_mode=circular"; break;
  }
  return text;
}

ConvTransposeLayer::ConvTransposeLayer(const char* layer, int dims, int64_t in_channels,
                                       int64_t out_channels, const Shape& kernel_size,
                                       const ConvTransposeLayerOptions& options)
    : layer_(layer), options_(options) {
  check_channels(layer, in_channels, out_channels, options.groups);
  const Shape shape =
      weight_shape(layer, in_channels, out_channels / options.groups, kernel_size, dims);
  options_.stride = each_dim(layer, "stride", options.stride, dims);
  options_.padding = each_dim(layer, "padding", options.padding, dims);
  options_.output_padding = each_dim(layer, "output_padding", options.output_padding, dims);
  options_.dilation = each_dim(layer, "dilation", options.dilation, dims);
  weight = add_parameter("weight", initialized(shape, fan_in_of(shape), options.dtype));
  if (options.bias)
    bias = add_parameter("bias", initialized({out_channels}, fan_in_of(shape), options.dtype));
}

Tensor ConvTransposeLayer::call(const Tensor& x, const Shape& output_padding) const {
  const ConvTransposeOptions options{.stride = options_.stride,
                                     .padding = options_.padding,
                                     .output_padding = output_padding,
                                     .groups = options_.groups,
                                     .dilation = options_.dilation};
  return weight.dim() == 3 ? conv_transpose1d(x, weight, bias, options)
                           : conv_transpose2d(x, weight, bias, options);
}

Tensor ConvTransposeLayer::forward(const Tensor& x) const {
  return call(x, options_.output_padding);
}

Tensor ConvTransposeLayer::forward(const Tensor& x, const Shape& output_size) const {
  check_defined(layer_, x);
  const int dims = weight.dim() - 2, extra = output_size.dim() - dims;
  if (x.dim() < dims + 1 || (extra != 0 && output_size.dim() != x.dim())) {
    fail(layer_, "expected output_size with ", dims, " numbers for input ", x.shape(), ", got ",
         output_size);
  }
  Shape output_padding;
  for (int i = 0; i < dims; ++i) {
    const int64_t least = (x.size(i - dims) - 1) * options_.stride[i] - 2 * options_.padding[i] +
                          options_.dilation[i] * (weight.size(2 + i) - 1) + 1,
                  most = least + options_.stride[i] - 1, size = output_size[extra + i];
    if (size < least || size > most) {
      fail(layer_, "output_size ", output_size, " does not fit input ", x.shape(), ": expected ",
           least, " to ", most, " along dim ", i - dims);
    }
    output_padding.push_back(size - least);
  }
  return call(x, output_padding);
}

std::string ConvTransposeLayer::extra_repr() const {
  return sizes_text(weight.size(0), weight.size(1) * options_.groups, weight, options_.stride) +
         unless(0, "padding", options_.padding) + unless(1, "dilation", options_.dilation) +
         unless(0, "output_padding", options_.output_padding) +
         groups_and_bias(options_.groups, bias.defined());
}

}  // namespace ebb::nn::detail
