// Pooling layers. Formulas, sizes and errors: autograd/ops/pooling.h.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <tuple>

#include "ebb/autograd/ops/pooling.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct MaxPoolOptions {
  Shape stride = {};  ///< kernel_size if empty
  Shape padding = 0;
  Shape dilation = 1;
  bool ceil_mode = false;
};
using MaxPool1dOptions = MaxPoolOptions;
using MaxPool2dOptions = MaxPoolOptions;

namespace detail {

/// The common part of MaxPool1d and MaxPool2d.
template <auto kPool, auto kPoolWithIndices> class MaxPool : public Layer {
 public:
  explicit MaxPool(const Shape& kernel_size, MaxPoolOptions options = {})
      : kernel_size_(kernel_size), options_(options) {}
  MaxPool(std::initializer_list<int64_t> kernel_size, MaxPoolOptions options = {})
      : MaxPool(Shape(kernel_size), options) {}
  Tensor forward(const Tensor& x) const override {
    const MaxPoolOptions& o = options_;
    return kPool(x, kernel_size_, o.stride, o.padding, o.dilation, o.ceil_mode);
  }
  /// Returns the values, and the positions of the elements: return_indices of torch.
  std::tuple<Tensor, Tensor> forward_with_indices(const Tensor& x) const {
    const MaxPoolOptions& o = options_;
    return kPoolWithIndices(x, kernel_size_, o.stride, o.padding, o.dilation, o.ceil_mode);
  }
  MaxPool* operator->() { return this; }
  const MaxPool* operator->() const { return this; }
  std::string extra_repr() const override;

 private:
  Shape kernel_size_;
  MaxPoolOptions options_;
};

}  // namespace detail

/// Returns max_pool1d of the input: (N, C, L) -> (N, C, L_out).
class MaxPool1d : public detail::MaxPool<ebb::max_pool1d, ebb::max_pool1d_with_indices> {
 public:
  using MaxPool::MaxPool;
};
/// Returns max_pool2d of the input: (N, C, H, W) -> (N, C, H_out, W_out).
///
///     nn::MaxPool2d pool(3, {.stride = 2, .padding = 1});
class MaxPool2d : public detail::MaxPool<ebb::max_pool2d, ebb::max_pool2d_with_indices> {
 public:
  using MaxPool::MaxPool;
};

struct AvgPool1dOptions {
  Shape stride = {};  ///< kernel_size if empty
  Shape padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
};

/// Returns avg_pool1d of the input.
class AvgPool1d : public Layer {
 public:
  explicit AvgPool1d(const Shape& kernel_size, AvgPool1dOptions options = {})
      : kernel_size_(kernel_size), options_(options) {}
  AvgPool1d(std::initializer_list<int64_t> kernel_size, AvgPool1dOptions options = {})
      : AvgPool1d(Shape(kernel_size), options) {}
  Tensor forward(const Tensor& x) const override;
  std::string extra_repr() const override;

 private:
  Shape kernel_size_;
  AvgPool1dOptions options_;
};

struct AvgPool2dOptions {
  Shape stride = {};  ///< kernel_size if empty
  Shape padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::optional<int64_t> divisor_override = {};
};

/// Returns avg_pool2d of the input.
class AvgPool2d : public Layer {
 public:
  explicit AvgPool2d(const Shape& kernel_size, AvgPool2dOptions options = {})
      : kernel_size_(kernel_size), options_(options) {}
  AvgPool2d(std::initializer_list<int64_t> kernel_size, AvgPool2dOptions options = {})
      : AvgPool2d(Shape(kernel_size), options) {}
  Tensor forward(const Tensor& x) const override;
  std::string extra_repr() const override;

 private:
  Shape kernel_size_;
  AvgPool2dOptions options_;
};

namespace detail {

/// A layer of adaptive pooling.
template <auto kPool> class AdaptivePool : public Layer {
 public:
  explicit AdaptivePool(const AdaptiveSize& output_size) : output_size_(output_size) {}
  AdaptivePool(std::initializer_list<std::optional<int64_t>> output_size)
      : AdaptivePool(AdaptiveSize(output_size)) {}
  Tensor forward(const Tensor& x) const override { return kPool(x, output_size_); }
  std::string extra_repr() const override;

 protected:
  AdaptiveSize output_size_;
};

}  // namespace detail

/// Returns adaptive_avg_pool1d of the input.
class AdaptiveAvgPool1d : public detail::AdaptivePool<ebb::adaptive_avg_pool1d> {
 public:
  using AdaptivePool::AdaptivePool;
};
/// Returns adaptive_avg_pool2d of the input. A size without a value is that of the input.
///
///     nn::AdaptiveAvgPool2d global(1), columns({std::nullopt, 1});
class AdaptiveAvgPool2d : public detail::AdaptivePool<ebb::adaptive_avg_pool2d> {
 public:
  using AdaptivePool::AdaptivePool;
};
/// Returns adaptive_max_pool1d of the input.
class AdaptiveMaxPool1d : public detail::AdaptivePool<ebb::adaptive_max_pool1d> {
 public:
  using AdaptivePool::AdaptivePool;
  std::tuple<Tensor, Tensor> forward_with_indices(const Tensor& x) const {
    return adaptive_max_pool1d_with_indices(x, output_size_);
  }
  AdaptiveMaxPool1d* operator->() { return this; }
  const AdaptiveMaxPool1d* operator->() const { return this; }
};
/// Returns adaptive_max_pool2d of the input.
class AdaptiveMaxPool2d : public detail::AdaptivePool<ebb::adaptive_max_pool2d> {
 public:
  using AdaptivePool::AdaptivePool;
  std::tuple<Tensor, Tensor> forward_with_indices(const Tensor& x) const {
    return adaptive_max_pool2d_with_indices(x, output_size_);
  }
  AdaptiveMaxPool2d* operator->() { return this; }
  const AdaptiveMaxPool2d* operator->() const { return this; }
};

}  // namespace ebb::nn
