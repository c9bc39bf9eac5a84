// Normalization layers. Formulas and errors: autograd/ops/normalization.h.
#pragma once

#include <optional>
#include <string>

#include "ebb/autograd/ops/normalization.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  /// The weight of a batch in the running statistics. Without a value, these are the averages over
  /// all batches.
  std::optional<double> momentum = 0.1;
  bool affine = true;  ///< has weight and bias
  bool track_running_stats = true;
  bool bias = true;  ///< has no effect without affine
  DType dtype = DType::F32;
};
using BatchNorm1dOptions = BatchNormOptions;
using BatchNorm2dOptions = BatchNormOptions;

namespace detail {

/// The common part of batch and instance normalization.
class ChannelNorm : public Layer {
 public:
  std::string extra_repr() const override;
  ChannelNorm* operator->() { return this; }
  const ChannelNorm* operator->() const { return this; }

  Tensor weight;               ///< (C), starts as 1; undefined unless affine
  Tensor bias;                 ///< (C), starts as 0; undefined unless affine and bias
  Tensor running_mean;         ///< (C), starts as 0; undefined unless track_running_stats
  Tensor running_var;          ///< (C), starts as 1; undefined unless track_running_stats
  Tensor num_batches_tracked;  ///< 0-d i64; undefined unless track_running_stats

  /// Resets the running statistics to their initial values.
  void reset_running_stats();

 protected:
  ChannelNorm(std::string_view name, int64_t num_features, const BatchNormOptions& options);
  /// Throws Error unless x has `least` to `most` dims and num_features channels at dim `dim`.
  void check_input(const Tensor& x, int dim, int least, int most) const;
  Tensor batch_norm_of(const Tensor& x) const;
  Tensor instance_norm_of(const Tensor& x, int dims) const;

  std::string_view name_;
  int64_t num_features_;
  BatchNormOptions options_;
};

}  // namespace detail

/// Returns batch_norm of (N, C) or (N, C, L): in training mode with the statistics of the batch, in
/// evaluation mode with the running ones, which training updates.
///
/// Parameters: weight and bias (C). Buffers: running_mean, running_var (C) and num_batches_tracked.
/// Throws Error for a batch with one element per channel in training mode.
///
///     nn::BatchNorm1d norm(64, {.momentum = std::nullopt});
class BatchNorm1d : public detail::ChannelNorm {
 public:
  explicit BatchNorm1d(int64_t num_features, BatchNormOptions options = {})
      : ChannelNorm("BatchNorm1d", num_features, options) {}
  Tensor forward(const Tensor& x) const override;
};
/// Returns batch_norm of (N, C, H, W), as BatchNorm1d does.
class BatchNorm2d : public detail::ChannelNorm {
 public:
  explicit BatchNorm2d(int64_t num_features, BatchNormOptions options = {})
      : ChannelNorm("BatchNorm2d", num_features, options) {}
  Tensor forward(const Tensor& x) const override;
};

struct InstanceNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = false;
  bool track_running_stats = false;
  bool bias = true;  ///< has no effect without affine
  DType dtype = DType::F32;

  BatchNormOptions as_batch_norm() const {
    return {eps, momentum, affine, track_running_stats, bias, dtype};
  }
};
using InstanceNorm1dOptions = InstanceNormOptions;
using InstanceNorm2dOptions = InstanceNormOptions;

/// Returns instance_norm of (C, L) or (N, C, L). With track_running_stats, evaluation mode uses the
/// running statistics.
class InstanceNorm1d : public detail::ChannelNorm {
 public:
  explicit InstanceNorm1d(int64_t num_features, InstanceNormOptions options = {})
      : ChannelNorm("InstanceNorm1d", num_features, options.as_batch_norm()) {}
  Tensor forward(const Tensor& x) const override { return instance_norm_of(x, 1); }
};
/// Returns instance_norm of (C, H, W) or (N, C, H, W), as InstanceNorm1d does.
class InstanceNorm2d : public detail::ChannelNorm {
 public:
  explicit InstanceNorm2d(int64_t num_features, InstanceNormOptions options = {})
      : ChannelNorm("InstanceNorm2d", num_features, options.as_batch_norm()) {}
  Tensor forward(const Tensor& x) const override { return instance_norm_of(x, 2); }
};

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;  ///< has no effect without elementwise_affine
  DType dtype = DType::F32;
};

/// Returns layer_norm over the last dims of the input. Parameters: weight and bias of
/// normalized_shape.
///
///     nn::LayerNorm norm(768);
class LayerNorm : public Layer {
 public:
  explicit LayerNorm(const Shape& normalized_shape, LayerNormOptions options = {});
  LayerNorm(std::initializer_list<int64_t> normalized_shape, LayerNormOptions options = {})
      : LayerNorm(Shape(normalized_shape), options) {}
  Tensor forward(const Tensor& x) const override {
    return layer_norm(x, normalized_shape_, weight, bias, options_.eps);
  }
  std::string extra_repr() const override;
  LayerNorm* operator->() { return this; }
  const LayerNorm* operator->() const { return this; }

  Tensor weight;
  Tensor bias;

 private:
  Shape normalized_shape_;
  LayerNormOptions options_;
};

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;
  bool bias = true;  ///< has no effect without affine
  DType dtype = DType::F32;
};

/// Returns group_norm of (N, C, ...). Parameters: weight and bias (num_channels). Throws Error
/// unless num_groups divides num_channels.
class GroupNorm : public Layer {
 public:
  GroupNorm(int64_t num_groups, int64_t num_channels, GroupNormOptions options = {});
  Tensor forward(const Tensor& x) const override;
  std::string extra_repr() const override;
  GroupNorm* operator->() { return this; }
  const GroupNorm* operator->() const { return this; }

  Tensor weight;
  Tensor bias;

 private:
  int64_t num_groups_, num_channels_;
  GroupNormOptions options_;
};

struct RMSNormOptions {
  std::optional<double> eps = {};  ///< without a value, the machine epsilon of the dtype
  bool elementwise_affine = true;
  DType dtype = DType::F32;
};

/// Returns rms_norm over the last dims of the input. Parameter: weight of normalized_shape.
class RMSNorm : public Layer {
 public:
  explicit RMSNorm(const Shape& normalized_shape, RMSNormOptions options = {});
  RMSNorm(std::initializer_list<int64_t> normalized_shape, RMSNormOptions options = {})
      : RMSNorm(Shape(normalized_shape), options) {}
  Tensor forward(const Tensor& x) const override {
    return rms_norm(x, normalized_shape_, weight, options_.eps);
  }
  std::string extra_repr() const override;
  RMSNorm* operator->() { return this; }
  const RMSNorm* operator->() const { return this; }

  Tensor weight;

 private:
  Shape normalized_shape_;
  RMSNormOptions options_;
};

}  // namespace ebb::nn
