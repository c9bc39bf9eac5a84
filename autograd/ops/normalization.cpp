#include "ebb/autograd/ops/normalization.h"

#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/core/normalization.h"

namespace ebb {
namespace {

// The statistics that forward computes for backward.
struct Statistics {
  Tensor mean, rstd;
};

struct Running {
  Tensor mean, variance;
  std::optional<double> momentum;
  Tensor updates;
};

enum class Kind { Batch, Instance, Layer, Group, Rms };
const Tensor* pointer(const Tensor& tensor) { return tensor.defined() ? &tensor : nullptr; }

// The gradients of (x, g, weight) from those of (dx, dweight, dbias), composed from ops. With xh =
// (x - mean) r and the projection P(v) = v - mean(v) - xh mean(v xh), which is symmetric and r P
// the derivative of xh: dx = r P(weight g), dweight = sum g xh.
class SecondOrder {
 public:
  SecondOrder(const NormPlan& plan, const Tensor& x, const Tensor& g, const Tensor& weight)
      : plan_(plan),
        whole_{plan.shape.outer, plan.shape.groups, plan.shape.channels / plan.shape.groups,
               plan.shape.inner},
        dims_(plan.shape.across_outer ? Shape{0, 2, 3} : Shape{2, 3}),
        shape_(x.shape()),
        weight_shape_(weight.defined() ? weight.shape() : Shape{}),
        x_(reshape(x, whole_)),
        g_(reshape(g, whole_)),
        weight_(weight.defined() ? channels(weight) : Tensor()) {
    Tensor d = x_;
    // Twice: the rounding error of a large mean in f32 is not small compared with the deviations.
    for (int i = 0; i < (plan.shape.centered ? 2 : 0); ++i) d = sub(d, mean(d, dims_, true));
    r_ = rsqrt(add(mean(square(d), dims_, true), plan.eps));
    xh_ = mul(d, r_);
    h_ = weight_.defined() ? mul(g_, weight_) : g_;
  }

  void add_dx(const Tensor& gradient) {
    const Tensor u = reshape(gradient, whole_), pu = projected(u), rpu = mul(r_, pu);
    accumulate(dg_, weight_.defined() ? mul(rpu, weight_) : rpu);
    if (weight_.defined()) dweight_ = reshape(sum(mul(rpu, g_), {0, 3}), weight_shape_);
    const Tensor by_r = mul(xh_, mean(mul(pu, h_), dims_, true));
    const Tensor by_xh = add(mul(pu, mean(mul(h_, xh_), dims_, true)),
                             mul(projected(h_), mean(mul(u, xh_), dims_, true)));
    accumulate(dx_, neg(mul(square(r_), add(by_r, by_xh))));
  }
  void add_dweight(const Tensor& gradient) {
    const Tensor a = channels(gradient);
    accumulate(dg_, mul(a, xh_));
    accumulate(dx_, mul(r_, projected(mul(a, g_))));
  }
  void add_dbias(const Tensor& gradient) { accumulate(dg_, expand(channels(gradient), whole_)); }

  std::array<Tensor, 3> gradients() const { return {in_shape(dx_), in_shape(dg_), dweight_}; }

 private:
  Tensor channels(const Tensor& t) const { return reshape(t, {1, whole_[1], whole_[2], 1}); }
  Tensor projected(const Tensor& v) const {
    const Tensor rest = sub(v, mul(xh_, mean(mul(v, xh_), dims_, true)));
    return plan_.shape.centered ? sub(rest, mean(v, dims_, true)) : rest;
  }
  Tensor in_shape(const Tensor& t) const { return t.defined() ? reshape(t, shape_) : t; }
  static void accumulate(Tensor& sum, const Tensor& more) {
    sum = sum.defined() ? add(sum, more) : more;
  }

  const NormPlan& plan_;
  Shape whole_, dims_, shape_, weight_shape_;
  Tensor x_, g_, weight_, r_, xh_, h_;
  Tensor dx_, dg_, dweight_;
};

// The gradients of x, or of x, weight and bias if kAffine.
template <Kind kKind, bool kAffine> struct NormBackward {
  static constexpr std::string_view name = kKind == Kind::Batch      ? "batch_norm_backward"
                                           : kKind == Kind::Instance ? "instance_norm_backward"
                                           : kKind == Kind::Layer    ? "layer_norm_backward"
                                           : kKind == Kind::Group    ? "group_norm_backward"
                                                                     : "rms_norm_backward";
  struct State {
    Saved x, g, weight;
    NormPlan plan;
  };
  static int shape(const Tensor&, const Tensor&, const Tensor&, const Statistics&,
                   const NormPlan&) {
    return 0;
  }
  static auto forward(State& state, int, const Tensor& x, const Tensor& g, const Tensor& weight,
                      const Statistics& statistics, const NormPlan& plan) {
    state = {Saved(x), Saved(g), Saved(weight), plan};
    const Shape per_channel = weight.defined() ? weight.shape() : Shape(plan.shape.channels);
    Tensor dx = empty(x.shape(), options_like(x)), dw, db;
    if (kAffine) {
      dw = empty(per_channel, options_like(x));
      db = empty(per_channel, options_like(x));
    }
    if (x.numel() == 0) {
      if (kAffine) {
        dw.zero_();
        db.zero_();
      }
    } else {
      const Tensor w = weight.defined() ? weight.contiguous() : Tensor();
      backend(x.device())
          .normalization()
          .backward(dx, kAffine ? &dw : nullptr, kAffine ? &db : nullptr, g.contiguous(),
                    x.contiguous(), statistics.mean, statistics.rstd, pointer(w), plan.shape);
    }
    if constexpr (kAffine) return std::array<Tensor, 3>{dx, dw, db};
    else return dx;
  }
  static std::array<Tensor, 3> backward(const State& state, std::span<const Tensor> u) {
    const Tensor weight = state.weight.defined() ? state.weight.get() : Tensor();
    SecondOrder second(state.plan, state.x.get(), state.g.get(), weight);
    if (u[0].defined()) second.add_dx(u[0]);
    if (kAffine && u[1].defined()) second.add_dweight(u[1]);
    if (kAffine && u[2].defined()) second.add_dbias(u[2]);
    return second.gradients();
  }
};

template <Kind kKind> struct Norm {
  static constexpr std::string_view name = kKind == Kind::Batch      ? "batch_norm"
                                           : kKind == Kind::Instance ? "instance_norm"
                                           : kKind == Kind::Layer    ? "layer_norm"
                                           : kKind == Kind::Group    ? "group_norm"
                                                                     : "rms_norm";
  struct State {
    Saved x, weight;
    Statistics statistics;
    NormPlan plan;
    bool has_bias;
    Shape bias_shape;
  };
  static int shape(const Tensor&, const Tensor&, const Tensor&, const NormPlan&, const Running&) {
    return 0;
  }
  static Tensor forward(State& state, int, const Tensor& x, const Tensor& weight,
                        const Tensor& bias, const NormPlan& plan, const Running& running) {
    Tensor y = empty(x.shape(), options_like(x));
    const TensorOptions f64_here{.dtype = DType::F64, .device = x.device()};
    state = {Saved(x),
             Saved(weight),
             {empty(plan.shape.statistics(), f64_here), empty(plan.shape.statistics(), f64_here)},
             plan,
             bias.defined(),
             bias.defined() ? bias.shape() : Shape{}};
    if (x.numel() == 0) return y;
    Tensor mean = running.mean, variance = running.variance;
    const RunningStatistics update{&mean, &variance, running.momentum, pointer(running.updates)};
    const Tensor w = weight.defined() ? weight.contiguous() : Tensor(),
                 b = bias.defined() ? bias.contiguous() : Tensor();
    backend(x.device())
        .normalization()
        .forward(y, state.statistics.mean, state.statistics.rstd, x.contiguous(), pointer(w),
                 pointer(b), plan.shape, plan.eps, mean.defined() ? &update : nullptr);
    return y;
  }
  static std::array<Tensor, 3> backward(const State& state, const Tensor& g) {
    const Tensor x = state.x.get(), weight = state.weight.defined() ? state.weight.get() : Tensor();
    if (!weight.defined() && !state.has_bias) {
      return {apply<NormBackward<kKind, false>>(x, g, weight, state.statistics, state.plan),
              Tensor(), Tensor()};
    }
    std::array<Tensor, 3> all =
        apply<NormBackward<kKind, true>>(x, g, weight, state.statistics, state.plan);
    if (!weight.defined()) all[1] = Tensor();
    if (!state.has_bias) all[2] = Tensor();
    else if (all[2].shape() != state.bias_shape) all[2] = reshape(all[2], state.bias_shape);
    return all;
  }
};

// Throws Error unless tensor is undefined or of the dtype, the device and `shape` of a parameter of
// x.
void check_parameter(std::string_view op, const char* what, const Tensor& tensor, const Tensor& x,
                     const Shape& shape) {
  if (!tensor.defined()) return;
  const Tensor* both[] = {&x, &tensor};
  check_same_kind(op, both);
  if (tensor.shape() != shape)
    fail(op, "expected ", what, " of shape ", shape, ", got ", tensor.shape());
}

void check_channels(std::string_view op, const Tensor& x, int least_dims) {
  check_floating(op, x);
  if (x.dim() < least_dims) {
    fail(op, "expected an input ",
         least_dims == 2 ? "(N, C) or (N, C, ...)" : "(N, C, ...) of at least 3 dims", ", got ",
         x.shape());
  }
}

void check_running(std::string_view op, const Tensor& mean, const Tensor& variance,
                   const Tensor& x) {
  const Shape channels = x.shape()[1];
  check_parameter(op, "running_mean", mean, x, channels);
  check_parameter(op, "running_var", variance, x, channels);
  if (mean.defined() != variance.defined())
    fail(op, "expected both running_mean and running_var, or neither of them");
}

// x (N, C, ...) as (N, C, inner).
NormShape of_channels(const Tensor& x, int64_t groups) {
  int64_t inner = 1;
  for (int i = 2; i < x.dim(); ++i) inner *= x.shape()[i];
  return {.outer = x.shape()[0], .channels = x.shape()[1], .inner = inner, .groups = groups};
}

// The statistics are constants here: a composition of ops.
Tensor with_running(const Tensor& x, const Tensor& mean, const Tensor& variance,
                    const Tensor& weight, const Tensor& bias, double eps) {
  Shape channels = x.shape();
  for (int i = 0; i < x.dim(); ++i) channels[i] = i == 1 ? x.shape()[1] : 1;
  Tensor scale = rsqrt(add(variance, eps));
  if (weight.defined()) scale = mul(scale, weight);
  const Tensor y = mul(sub(x, reshape(mean, channels)), reshape(scale, channels));
  return bias.defined() ? add(y, reshape(bias, channels)) : y;
}

// Running statistics may not require grad; they are written in place.
Running written(std::string_view op, const Tensor& mean, const Tensor& variance,
                std::optional<double> momentum, const Tensor& updates = {}) {
  if (!mean.defined()) return {};
  for (const Tensor& each : {mean, variance}) {
    check_writable(op, each);
    if (!each.is_contiguous()) fail(op, "expected contiguous running statistics");
    each.impl()->storage->bump_version();
  }
  return {mean, variance, momentum, updates};
}

Tensor batch_norm_training(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                           std::optional<double> momentum, const Tensor& updates,
                           const BatchNormFuncOptions& o) {
  NormShape shape = of_channels(x, x.shape()[1]);
  shape.across_outer = true;
  if (shape.outer * shape.inner == 1) {
    fail("batch_norm", "expected more than one element per channel in training, got ", x.shape());
  }
  const Running running = x.numel() == 0
                              ? Running{}
                              : written("batch_norm", running_mean, running_var, momentum, updates);
  return apply<Norm<Kind::Batch>>(x, o.weight, o.bias, NormPlan{shape, o.eps}, running);
}

void check_batch_norm(const Tensor& x, const Tensor& mean, const Tensor& variance,
                      const BatchNormFuncOptions& o) {
  check_channels("batch_norm", x, 2);
  check_running("batch_norm", mean, variance, x);
  check_parameter("batch_norm", "weight", o.weight, x, x.shape()[1]);
  check_parameter("batch_norm", "bias", o.bias, x, x.shape()[1]);
}

// x as rows over its last dims, which must be normalized_shape.
NormPlan rows_of(std::string_view op, const Tensor& x, const Shape& normalized_shape, double eps) {
  check_floating(op, x);
  const int lead = x.dim() - normalized_shape.dim();
  bool fits = lead >= 0 && !normalized_shape.empty();
  NormShape shape{.outer = 1, .channels = 1, .inner = 1, .groups = 1};
  for (int i = 0; fits && i < x.dim(); ++i) {
    (i < lead ? shape.outer : shape.channels) *= x.shape()[i];
    fits = i < lead || x.shape()[i] == normalized_shape[i - lead];
  }
  if (!fits)
    fail(op, "expected an input that ends with normalized_shape ", normalized_shape, ", got ",
         x.shape());
  return {shape, eps};
}

}  // namespace

Tensor batch_norm(const TensorArg& x, const Tensor& running_mean, const Tensor& running_var,
                  const BatchNormFuncOptions& options) {
  const CompositeScope scope(x);
  check_batch_norm(x, running_mean, running_var, options);
  if (options.training)
    return batch_norm_training(x, running_mean, running_var, options.momentum, {}, options);
  if (!running_mean.defined())
    fail("batch_norm", "expected running statistics unless training is true");
  return with_running(x, running_mean, running_var, options.weight, options.bias, options.eps);
}

Tensor detail::batch_norm_cumulative(const Tensor& x, const Tensor& running_mean,
                                     const Tensor& running_var, const Tensor& updates,
                                     const BatchNormFuncOptions& options) {
  check_batch_norm(x, running_mean, running_var, options);
  return batch_norm_training(x, running_mean, running_var, {}, updates, options);
}

Tensor instance_norm(const TensorArg& x, const InstanceNormFuncOptions& options) {
  const CompositeScope scope(x);
  const InstanceNormFuncOptions& o = options;
  check_channels("instance_norm", x, 3);
  check_running("instance_norm", o.running_mean, o.running_var, x);
  check_parameter("instance_norm", "weight", o.weight, x, x->shape()[1]);
  check_parameter("instance_norm", "bias", o.bias, x, x->shape()[1]);
  if (!o.use_input_stats) {
    if (!o.running_mean.defined())
      fail("instance_norm", "expected running statistics unless use_input_stats is true");
    return with_running(x, o.running_mean, o.running_var, o.weight, o.bias, o.eps);
  }
  const NormShape shape = of_channels(x, x->shape()[1]);
  if (shape.inner == 1)
    fail("instance_norm", "expected more than one element per channel, got ", x->shape());
  const Running running = x->numel() == 0
                              ? Running{}
                              : written("instance_norm", o.running_mean, o.running_var, o.momentum);
  return apply<Norm<Kind::Instance>>(*x, o.weight, o.bias, NormPlan{shape, o.eps}, running);
}

Tensor layer_norm(const TensorArg& x, const Shape& normalized_shape, const Tensor& weight,
                  const Tensor& bias, double eps) {
  const NormPlan plan = rows_of("layer_norm", x, normalized_shape, eps);
  check_parameter("layer_norm", "weight", weight, x, normalized_shape);
  check_parameter("layer_norm", "bias", bias, x, normalized_shape);
  return apply<Norm<Kind::Layer>>(*x, weight, bias, plan, Running{});
}

Tensor group_norm(const TensorArg& x, int64_t num_groups, const Tensor& weight, const Tensor& bias,
                  double eps) {
  check_channels("group_norm", x, 2);
  if (num_groups < 1 || x->shape()[1] % num_groups != 0) {
    fail("group_norm", "expected num_groups that divides the channels of ", x->shape(), ", got ",
         num_groups);
  }
  check_parameter("group_norm", "weight", weight, x, x->shape()[1]);
  check_parameter("group_norm", "bias", bias, x, x->shape()[1]);
  return apply<Norm<Kind::Group>>(*x, weight, bias, NormPlan{of_channels(x, num_groups), eps},
                                  Running{});
}

Tensor rms_norm(const TensorArg& x, const Shape& normalized_shape, const Tensor& weight,
                std::optional<double> eps) {
  NormPlan plan = rows_of("rms_norm", x, normalized_shape, 0);
  check_parameter("rms_norm", "weight", weight, x, normalized_shape);
  const bool is_f32 = x->dtype() == DType::F32;
  plan.eps = eps.value_or(is_f32 ? double{std::numeric_limits<float>::epsilon()}
                                 : std::numeric_limits<double>::epsilon());
  plan.shape.centered = false;
  return apply<Norm<Kind::Rms>>(*x, weight, Tensor(), plan, Running{});
}

}  // namespace ebb
