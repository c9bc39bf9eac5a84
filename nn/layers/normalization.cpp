#include "ebb/nn/layers/normalization.h"

#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

using detail::options_text;

namespace {

void check_shape(std::string_view name, const Shape& normalized_shape) {
  bool wrong = normalized_shape.empty();
  for (int64_t n : normalized_shape) wrong |= n < 1;
  if (wrong) fail(name, "expected a normalized_shape of sizes above 0, got ", normalized_shape);
}

}  // namespace

detail::ChannelNorm::ChannelNorm(std::string_view name, int64_t num_features,
                                 const BatchNormOptions& options)
    : name_(name), num_features_(num_features), options_(options) {
  if (num_features < 1) fail(name, "expected at least 1 feature, got ", num_features);
  const TensorOptions type{.dtype = options.dtype};
  if (options.affine) {
    weight = add_parameter("weight", ones({num_features}, type));
    if (options.bias) bias = add_parameter("bias", zeros({num_features}, type));
  }
  if (options.track_running_stats) {
    running_mean = add_buffer("running_mean", zeros({num_features}, type));
    running_var = add_buffer("running_var", ones({num_features}, type));
    num_batches_tracked = add_buffer("num_batches_tracked", zeros({}, {.dtype = DType::I64}));
  }
}

std::string detail::ChannelNorm::extra_repr() const {
  return std::to_string(num_features_) + ", " +
         options_text({{"eps", options_.eps},
                       {"momentum", options_.momentum},
                       {"affine", options_.affine},
                       {"bias", bias.defined()},
                       {"track_running_stats", options_.track_running_stats}});
}

void detail::ChannelNorm::reset_running_stats() {
  if (!running_mean.defined()) return;
  running_mean.zero_();
  running_var.fill_(1);
  num_batches_tracked.zero_();
}

void detail::ChannelNorm::check_input(const Tensor& x, int dim, int least, int most) const {
  check_defined(name_, x);
  if (x.dim() < least || x.dim() > most) {
    fail(name_, "expected an input of ", least, most > least ? " or " + std::to_string(most) : "",
         " dims, got ", x.shape());
  }
  if (x.shape()[dim] != num_features_)
    fail(name_, "expected ", num_features_, " channels at dim ", dim, ", got ", x.shape());
}

Tensor detail::ChannelNorm::batch_norm_of(const Tensor& x) const {
  const bool tracked = running_mean.defined(), training = is_training() || !tracked;
  BatchNormFuncOptions options{weight, bias, training, options_.momentum.value_or(0), options_.eps};
  if (!training) return batch_norm(x, running_mean, running_var, options);
  if (!is_training() || !tracked) return batch_norm(x, {}, {}, options);
  {
    const NoGrad guard;
    Tensor count = num_batches_tracked;
    count.add_(1);
  }
  if (options_.momentum) return batch_norm(x, running_mean, running_var, options);
  return ebb::detail::batch_norm_cumulative(x, running_mean, running_var, num_batches_tracked,
                                            options);
}

Tensor detail::ChannelNorm::instance_norm_of(const Tensor& x, int dims) const {
  check_defined(name_, x);
  const bool batched = x.dim() == dims + 2;
  check_input(x, batched ? 1 : 0, dims + 1, dims + 2);
  const bool use_input_stats = is_training() || !running_mean.defined();
  const Tensor y = instance_norm(batched ? x : unsqueeze(x, 0),
                                 {running_mean, running_var, weight, bias, use_input_stats,
                                  options_.momentum.value_or(0), options_.eps});
  return batched ? y : squeeze(y, 0);
}

Tensor BatchNorm1d::forward(const Tensor& x) const {
  check_input(x, 1, 2, 3);
  return batch_norm_of(x);
}
Tensor BatchNorm2d::forward(const Tensor& x) const {
  check_input(x, 1, 4, 4);
  return batch_norm_of(x);
}

LayerNorm::LayerNorm(const Shape& normalized_shape, LayerNormOptions options)
    : normalized_shape_(normalized_shape), options_(options) {
  check_shape("LayerNorm", normalized_shape);
  if (!options.elementwise_affine) return;
  weight = add_parameter("weight", ones(normalized_shape, {.dtype = options.dtype}));
  if (options.bias) bias = add_parameter("bias", zeros(normalized_shape, {.dtype = options.dtype}));
}
std::string LayerNorm::extra_repr() const {
  return to_text(normalized_shape_) + ", " +
         options_text({{"eps", options_.eps},
                       {"elementwise_affine", options_.elementwise_affine},
                       {"bias", bias.defined()}});
}

GroupNorm::GroupNorm(int64_t num_groups, int64_t num_channels, GroupNormOptions options)
    : num_groups_(num_groups), num_channels_(num_channels), options_(options) {
  if (num_groups < 1 || num_channels < 1 || num_channels % num_groups != 0) {
    fail("GroupNorm", "expected num_groups that divides num_channels, got ", num_groups, " and ",
         num_channels);
  }
  if (!options.affine) return;
  weight = add_parameter("weight", ones({num_channels}, {.dtype = options.dtype}));
  if (options.bias) bias = add_parameter("bias", zeros({num_channels}, {.dtype = options.dtype}));
}
Tensor GroupNorm::forward(const Tensor& x) const {
  check_defined("GroupNorm", x);
  if (x.dim() >= 2 && x.shape()[1] != num_channels_)
    fail("GroupNorm", "expected ", num_channels_, " channels at dim 1, got ", x.shape());
  return group_norm(x, num_groups_, weight, bias, options_.eps);
}
std::string GroupNorm::extra_repr() const {
  return std::to_string(num_groups_) + ", " + std::to_string(num_channels_) + ", " +
         options_text(
             {{"eps", options_.eps}, {"affine", options_.affine}, {"bias", bias.defined()}});
}

RMSNorm::RMSNorm(const Shape& normalized_shape, RMSNormOptions options)
    : normalized_shape_(normalized_shape), options_(options) {
  check_shape("RMSNorm", normalized_shape);
  if (options.elementwise_affine)
    weight = add_parameter("weight", ones(normalized_shape, {.dtype = options.dtype}));
}
std::string RMSNorm::extra_repr() const {
  return to_text(normalized_shape_) + ", " +
         options_text({{"eps", options_.eps}, {"elementwise_affine", options_.elementwise_affine}});
}

}  // namespace ebb::nn
