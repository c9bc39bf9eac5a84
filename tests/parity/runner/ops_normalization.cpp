// Normalization. The running statistics after the call are results too.
#include "ebb/autograd/ops/normalization.h"

#include "ops.h"

namespace ebb::parity {
namespace {

// The arguments of batch_norm and instance_norm.
struct Channels {
  Tensor x, running_mean, running_var, weight, bias;
  bool flag;
  double momentum = 0.1, eps = 1e-5;

  Channels(Arguments& a, const char* flag_name, bool fallback) : x(a.input()), flag(fallback) {
    a.read("running_mean", running_mean);
    a.read("running_var", running_var);
    a.read("weight", weight);
    a.read("bias", bias);
    a.read(flag_name, flag);
    a.read("momentum", momentum);
    a.read("eps", eps);
  }
};

// Calls norm(mean, variance) with copies of the running statistics, which it changes.
template <class Norm> Tensors with_running(const Channels& c, const Norm& norm) {
  if (!c.running_mean.defined()) return {norm(Tensor(), Tensor())};
  const Tensor mean = c.running_mean.clone(), variance = c.running_var.clone();
  const Tensor y = norm(mean, variance);
  return {y, mean, variance};
}

Call batch_norm_call(Arguments& a) {
  return [c = Channels(a, "training", false)] {
    return with_running(c, [&](const Tensor& mean, const Tensor& variance) {
      return batch_norm(c.x, mean, variance, {c.weight, c.bias, c.flag, c.momentum, c.eps});
    });
  };
}

Call instance_norm_call(Arguments& a) {
  return [c = Channels(a, "use_input_stats", true)] {
    return with_running(c, [&](const Tensor& mean, const Tensor& variance) {
      return instance_norm(c.x, {mean, variance, c.weight, c.bias, c.flag, c.momentum, c.eps});
    });
  };
}

struct Affine {
  Tensor x, weight, bias;
  double eps = 1e-5;
  std::vector<int64_t> normalized_shape;

  explicit Affine(Arguments& a) : x(a.input()) {
    a.read("weight", weight);
    a.read("bias", bias);
    a.read("eps", eps);
    a.read("normalized_shape", normalized_shape);
  }
};

Call layer_norm_call(Arguments& a) {
  return [o = Affine(a)]() -> Tensors {
    return {layer_norm(o.x, Shape(o.normalized_shape), o.weight, o.bias, o.eps)};
  };
}
Call rms_norm_call(Arguments& a) {
  return [o = Affine(a)]() -> Tensors {
    return {rms_norm(o.x, Shape(o.normalized_shape), o.weight, o.eps)};
  };
}
Call group_norm_call(Arguments& a) {
  return [o = Affine(a), groups = a.required<int64_t>("num_groups")]() -> Tensors {
    return {group_norm(o.x, groups, o.weight, o.bias, o.eps)};
  };
}

constexpr Op kOps[] = {
    {"batch_norm", batch_norm_call}, {"instance_norm", instance_norm_call},
    {"layer_norm", layer_norm_call}, {"rms_norm", rms_norm_call},
    {"group_norm", group_norm_call},
};

}  // namespace

std::span<const Op> normalization_ops() { return kOps; }

}  // namespace ebb::parity
