// Convolution layers: Conv1d, Conv2d, ConvTranspose1d and ConvTranspose2d.
#pragma once

#include <string>

#include "ebb/autograd/ops/convolution.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Options of Conv1d and Conv2d. Sizes are one number for all dims, or one number per dim.
struct ConvLayerOptions {
  Shape stride = 1;
  ConvPadding padding = 0;
  Shape dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  PadMode padding_mode = PadMode::Constant;  ///< Constant: zeros
  DType dtype = DType::F32;
};
using Conv1dOptions = ConvLayerOptions;
using Conv2dOptions = ConvLayerOptions;

struct ConvTransposeLayerOptions {
  Shape stride = 1;
  Shape padding = 0;
  Shape output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  Shape dilation = 1;
  DType dtype = DType::F32;
};
using ConvTranspose1dOptions = ConvTransposeLayerOptions;
using ConvTranspose2dOptions = ConvTransposeLayerOptions;

namespace detail {

/// The common part of Conv1d and Conv2d.
class ConvLayer : public Layer {
 public:
  Tensor forward(const Tensor& x) const override;
  std::string extra_repr() const override;
  const ConvLayerOptions& options() const { return options_; }

  Tensor weight;
  Tensor bias;  ///< undefined without bias

 protected:
  ConvLayer(const char* layer, int dims, int64_t in_channels, int64_t out_channels,
            const Shape& kernel_size, const ConvLayerOptions& options);

 private:
  ConvLayerOptions options_;
  Shape around_;  ///< the argument of pad() for a padding_mode other than Constant
};

/// The common part of ConvTranspose1d and ConvTranspose2d.
class ConvTransposeLayer : public Layer {
 public:
  Tensor forward(const Tensor& x) const override;
  /// Chooses the output_padding for which the result has the given size: (H', W'), or that of all
  /// dims. Throws Error if there is none.
  Tensor forward(const Tensor& x, const Shape& output_size) const;
  std::string extra_repr() const override;
  const ConvTransposeLayerOptions& options() const { return options_; }

  Tensor weight;
  Tensor bias;  ///< undefined without bias

 protected:
  ConvTransposeLayer(const char* layer, int dims, int64_t in_channels, int64_t out_channels,
                     const Shape& kernel_size, const ConvTransposeLayerOptions& options);

 private:
  Tensor call(const Tensor& x, const Shape& output_padding) const;

  const char* layer_;
  ConvTransposeLayerOptions options_;
};

}  // namespace detail

/// Computes conv1d(x, weight, bias): (N, in, L) -> (N, out, L').
///
/// Parameters: weight (out, in / groups, k) and bias (out). Both are initialized uniformly in +-1 /
/// sqrt(in / groups k), as in torch (kaiming_uniform with a = sqrt(5)). Throws Error unless groups
/// divides both numbers of channels.
///
///     nn::Conv1d layer(8, 16, 5, {.stride = 2});
///     Tensor y = layer(ones({4, 8, 100}));  // (4, 16, 48)
class Conv1d : public detail::ConvLayer {
 public:
  Conv1d(int64_t in_channels, int64_t out_channels, const Shape& kernel_size,
         const Conv1dOptions& options = {})
      : ConvLayer("Conv1d", 1, in_channels, out_channels, kernel_size, options) {}
  Conv1d* operator->() { return this; }
  const Conv1d* operator->() const { return this; }
};

/// Computes conv2d(x, weight, bias): (N, in, H, W) -> (N, out, H', W').
///
/// Parameters: weight (out, in / groups, kh, kw) and bias (out), initialized as those of Conv1d.
///
///     nn::Conv2d layer(3, 16, 3, {.padding = 1});
///     Tensor y = layer(ones({4, 3, 32, 32}));  // (4, 16, 32, 32)
class Conv2d : public detail::ConvLayer {
 public:
  Conv2d(int64_t in_channels, int64_t out_channels, const Shape& kernel_size,
         const Conv2dOptions& options = {})
      : ConvLayer("Conv2d", 2, in_channels, out_channels, kernel_size, options) {}
  Conv2d* operator->() { return this; }
  const Conv2d* operator->() const { return this; }
};

/// Computes conv_transpose1d(x, weight, bias): (N, in, L) -> (N, out, L').
///
/// Parameters: weight (in, out / groups, k) and bias (out), initialized uniformly in +-1 / sqrt(out
/// / groups k), as in torch.
///
///     nn::ConvTranspose1d layer(16, 8, 4, {.stride = 2});
///     Tensor y = layer(ones({4, 16, 48}));  // (4, 8, 98)
///     Tensor z = layer->forward(ones({4, 16, 48}), {99});  // (4, 8, 99)
class ConvTranspose1d : public detail::ConvTransposeLayer {
 public:
  ConvTranspose1d(int64_t in_channels, int64_t out_channels, const Shape& kernel_size,
                  const ConvTranspose1dOptions& options = {})
      : ConvTransposeLayer("ConvTranspose1d", 1, in_channels, out_channels, kernel_size, options) {}
  ConvTranspose1d* operator->() { return this; }
  const ConvTranspose1d* operator->() const { return this; }
};

/// Computes conv_transpose2d(x, weight, bias): (N, in, H, W) -> (N, out, H', W').
///
/// Parameters: weight (in, out / groups, kh, kw) and bias (out), initialized as those of
/// ConvTranspose1d.
///
///     nn::ConvTranspose2d layer(16, 3, 2, {.stride = 2});
///     Tensor y = layer(ones({4, 16, 7, 7}));  // (4, 3, 14, 14)
class ConvTranspose2d : public detail::ConvTransposeLayer {
 public:
  ConvTranspose2d(int64_t in_channels, int64_t out_channels, const Shape& kernel_size,
                  const ConvTranspose2dOptions& options = {})
      : ConvTransposeLayer("ConvTranspose2d", 2, in_channels, out_channels, kernel_size, options) {}
  ConvTranspose2d* operator->() { return this; }
  const ConvTranspose2d* operator->() const { return this; }
};

}  // namespace ebb::nn
