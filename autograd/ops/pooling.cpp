#include "ebb/autograd/ops/pooling.h"

#include "ebb/autograd/ops/op.h"
#include "ebb/core/backend.h"
#include "ebb/core/pooling.h"

namespace ebb {
namespace {

// The elements that the windows of one call have chosen: the offsets of PoolingKernels::max.
struct Choice {
  Tensor offsets;
  PoolPlan plan;
};

// Elements at the choice of max_pool, and its adjoint. Each is the other's backward.
struct MaxPoolTake {
  static constexpr std::string_view name = "max_pool_take";
  struct State {
    Choice choice;
  };
  static int shape(const Tensor&, const Choice&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x, const Choice& choice) {
    state.choice = choice;
    Tensor y = empty(choice.plan.out, options_like(x));
    if (y.numel() == 0) return y;
    backend(x.device()).pooling().take(y, x.contiguous(), choice.offsets, choice.plan.pool);
    return y;
  }
  static Tensor backward(const State& state, const Tensor& g);
};

struct MaxPoolSpread {
  static constexpr std::string_view name = "max_pool_backward";
  struct State {
    Choice choice;
  };
  static int shape(const Tensor&, const Choice&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& g, const Choice& choice) {
    state.choice = choice;
    if (g.numel() == 0) return zeros(choice.plan.in, options_like(g));
    Tensor x = empty(choice.plan.in, options_like(g));
    backend(g.device()).pooling().spread(x, g.contiguous(), choice.offsets, choice.plan.pool);
    return x;
  }
  static Tensor backward(const State& state, const Tensor& u) {
    return apply<MaxPoolTake>(u, state.choice);
  }
};

Tensor MaxPoolTake::backward(const State& state, const Tensor& g) {
  return apply<MaxPoolSpread>(g, state.choice);
}

// The largest elements, and their positions if `with_indices`.
template <bool kIndices> struct MaxPool {
  static constexpr std::string_view name = kIndices ? "max_pool_with_indices" : "max_pool";
  struct State {
    Choice choice;
  };
  static int shape(const Tensor&, const PoolPlan&) { return 0; }
  static Tensor values(State& state, const Tensor& x, const PoolPlan& plan) {
    PoolingKernels& kernels = backend(x.device()).pooling();
    Tensor y = empty(plan.out, options_like(x));
    const DType type = plan.pool.has_small_windows() ? DType::U8 : DType::I64;
    state.choice = {empty(plan.out, {.dtype = type, .device = x.device()}), plan};
    if (y.numel() > 0) kernels.max(y, state.choice.offsets, x.contiguous(), plan.pool);
    return y;
  }
  static auto forward(State& state, int, const Tensor& x, const PoolPlan& plan) {
    Tensor y = values(state, x, plan);
    if constexpr (kIndices) {
      Tensor positions = empty(plan.out, {.dtype = DType::I64, .device = x.device()});
      if (y.numel() > 0)
        backend(x.device()).pooling().positions(positions, state.choice.offsets, plan.pool);
      return std::array<Tensor, 2>{y, positions};
    } else {
      return y;
    }
  }
  static Tensor backward(const State& state, std::span<const Tensor> g) {
    return apply<MaxPoolSpread>(g[0], state.choice);
  }
};

// The averages of windows, or the adjoint, which spreads them over their windows.
template <bool kAdjoint> struct AvgPool {
  static constexpr std::string_view name = kAdjoint ? "avg_pool_backward" : "avg_pool";
  struct State {
    PoolPlan plan;
    PoolDivisor divisor;
  };
  static int shape(const Tensor&, const PoolPlan&, const PoolDivisor&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& from, const PoolPlan& plan,
                        const PoolDivisor& divisor) {
    state = {plan, divisor};
    if (plan.out.numel() == 0) return zeros(kAdjoint ? plan.in : plan.out, options_like(from));
    PoolingKernels& kernels = backend(from.device()).pooling();
    Tensor to = empty(kAdjoint ? plan.in : plan.out, options_like(from));
    if (kAdjoint) kernels.average_spread(to, from.contiguous(), plan.pool, divisor);
    else kernels.average(to, from.contiguous(), plan.pool, divisor);
    return to;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return apply<AvgPool<!kAdjoint>>(g, state.plan, state.divisor);
  }
};

// Checks an input of `dims` pooled dims and returns a plan without windows.
PoolPlan plan_of(std::string_view op, const Tensor& x, int dims) {
  check_floating(op, x);
  const int missing = x.dim() - dims - 1;
  if (missing != 0 && missing != 1) {
    fail(op, "expected an input ", dims == 1 ? "(C, L) or (N, C, L)" : "(C, H, W) or (N, C, H, W)",
         ", got ", x.shape());
  }
  PoolPlan plan{{.planes = 1, .rows = {1, 1}, .cols = {1, 1}}, x.shape(), x.shape()};
  for (int i = 0; i < x.dim(); ++i) {
    if (x.shape()[i] == 0 && (i > 0 || missing == 0))
      fail(op, "expected an input without empty dims apart from the batch, got ", x.shape());
    if (i < x.dim() - dims) plan.pool.planes *= x.shape()[i];
  }
  return plan;
}

// Sums and products of sizes and options up to this number do not overflow.
constexpr int64_t kMostSize = int64_t{1} << 40;

// Entry i of a list of one number or `dims` numbers, checked to be from `least` to kMostSize.
int64_t entry(std::string_view op, const char* what, const Shape& list, int dims, int i,
              int64_t least) {
  if (list.dim() != 1 && list.dim() != dims) {
    fail(op, "expected ", what, " to be one number", dims == 1 ? "" : " or (height, width)",
         ", got ", list);
  }
  const int64_t value = list[list.dim() == 1 ? 0 : i];
  if (value < least) fail(op, "expected ", what, " of at least ", least, ", got ", list);
  if (value > kMostSize) fail(op, "expected ", what, " of at most 2^40, got ", list, ": too large");
  return value;
}

struct Windows {
  const Shape &kernel_size, &stride, &padding, &dilation;
  bool ceil_mode;
};

// The number of windows on an axis, torch's rule.
int64_t windows_on(std::string_view op, const PoolAxis& a, bool ceil_mode) {
  const int64_t reach = checked_add(op, checked_mul(op, a.dilation, a.kernel - 1), 1);
  const int64_t padded = checked_add(op, a.in, checked_mul(op, 2, a.padding));
  const int64_t room = checked_add(op, padded - reach, ceil_mode ? a.stride - 1 : 0);
  if (room < 0) return 0;
  const int64_t count = room / a.stride + 1;
  return ceil_mode && (count - 1) * a.stride >= a.in + a.padding ? count - 1 : count;
}

PoolPlan windows_plan(std::string_view op, const Tensor& x, int dims, const Windows& w) {
  PoolPlan plan = plan_of(op, x, dims);
  for (int i = 0; i < dims; ++i) {
    PoolAxis& axis = i == dims - 1 ? plan.pool.cols : plan.pool.rows;
    axis.in = x.shape()[x.dim() - dims + i];
    axis.kernel = entry(op, "kernel_size", w.kernel_size, dims, i, 1);
    axis.stride = w.stride.empty() ? axis.kernel : entry(op, "stride", w.stride, dims, i, 1);
    axis.padding = entry(op, "padding", w.padding, dims, i, 0);
    axis.dilation = entry(op, "dilation", w.dilation, dims, i, 1);
    if (axis.padding > axis.kernel / 2) {
      fail(op, "expected padding of at most half of kernel_size ", w.kernel_size, ", got ",
           w.padding);
    }
    axis.out = windows_on(op, axis, w.ceil_mode);
    if (axis.out < 1) {
      fail(op, "expected an input with room for a window: kernel_size ", w.kernel_size,
           ", dilation ", w.dilation, " and padding ", w.padding, " do not fit into ", x.shape());
    }
    plan.out[x.dim() - dims + i] = axis.out;
  }
  checked_mul(op, plan.pool.rows.kernel, plan.pool.cols.kernel);
  return plan;
}

PoolPlan adaptive_plan(std::string_view op, const Tensor& x, int dims, const AdaptiveSize& size) {
  PoolPlan plan = plan_of(op, x, dims);
  if (size.count() != 1 && size.count() != dims) {
    fail(op, "expected one output size", dims == 1 ? "" : " or (height, width)", ", got ",
         size.count(), " numbers");
  }
  plan.pool.rows.adaptive = plan.pool.cols.adaptive = true;
  for (int i = 0; i < dims; ++i) {
    PoolAxis& axis = i == dims - 1 ? plan.pool.cols : plan.pool.rows;
    axis.in = x.shape()[x.dim() - dims + i];
    axis.out = size[i].value_or(axis.in);
    if (axis.out < 0) fail(op, "expected output sizes of at least 0, got ", axis.out);
    checked_mul(op, axis.in, checked_add(op, axis.out, 1));
    if (axis.out > 0) {  // a window that starts within an element is one longer
      axis.kernel = (axis.in + axis.out - 1) / axis.out + (axis.in % axis.out != 0 ? 1 : 0);
    }
    plan.out[x.dim() - dims + i] = axis.out;
  }
  return plan;
}

std::tuple<Tensor, Tensor> with_indices(const Tensor& x, const PoolPlan& plan) {
  const std::array<Tensor, 2> both = apply<MaxPool<true>>(x, plan);
  return {both[0], both[1]};
}

}  // namespace

Tensor max_pool1d(const TensorArg& x, const Shape& kernel_size, const Shape& stride,
                  const Shape& padding, const Shape& dilation, bool ceil_mode) {
  return apply<MaxPool<false>>(
      *x, windows_plan("max_pool1d", x, 1, {kernel_size, stride, padding, dilation, ceil_mode}));
}
Tensor max_pool2d(const TensorArg& x, const Shape& kernel_size, const Shape& stride,
                  const Shape& padding, const Shape& dilation, bool ceil_mode) {
  return apply<MaxPool<false>>(
      *x, windows_plan("max_pool2d", x, 2, {kernel_size, stride, padding, dilation, ceil_mode}));
}
std::tuple<Tensor, Tensor> max_pool1d_with_indices(const TensorArg& x, const Shape& kernel_size,
                                                   const Shape& stride, const Shape& padding,
                                                   const Shape& dilation, bool ceil_mode) {
  return with_indices(
      x, windows_plan("max_pool1d", x, 1, {kernel_size, stride, padding, dilation, ceil_mode}));
}
std::tuple<Tensor, Tensor> max_pool2d_with_indices(const TensorArg& x, const Shape& kernel_size,
                                                   const Shape& stride, const Shape& padding,
                                                   const Shape& dilation, bool ceil_mode) {
  return with_indices(
      x, windows_plan("max_pool2d", x, 2, {kernel_size, stride, padding, dilation, ceil_mode}));
}

Tensor avg_pool1d(const TensorArg& x, const Shape& kernel_size, const Shape& stride,
                  const Shape& padding, bool ceil_mode, bool count_include_pad) {
  return apply<AvgPool<false>>(
      *x, windows_plan("avg_pool1d", x, 1, {kernel_size, stride, padding, 1, ceil_mode}),
      PoolDivisor{count_include_pad});
}
Tensor avg_pool2d(const TensorArg& x, const Shape& kernel_size, const Shape& stride,
                  const Shape& padding, bool ceil_mode, bool count_include_pad,
                  std::optional<int64_t> divisor_override) {
  if (divisor_override == 0) fail("avg_pool2d", "expected a divisor_override other than 0, got 0");
  return apply<AvgPool<false>>(
      *x, windows_plan("avg_pool2d", x, 2, {kernel_size, stride, padding, 1, ceil_mode}),
      PoolDivisor{count_include_pad, divisor_override.value_or(0)});
}

Tensor adaptive_avg_pool1d(const TensorArg& x, const AdaptiveSize& output_size) {
  return apply<AvgPool<false>>(*x, adaptive_plan("adaptive_avg_pool1d", x, 1, output_size),
                               PoolDivisor{});
}
Tensor adaptive_avg_pool2d(const TensorArg& x, const AdaptiveSize& output_size) {
  return apply<AvgPool<false>>(*x, adaptive_plan("adaptive_avg_pool2d", x, 2, output_size),
                               PoolDivisor{});
}
Tensor adaptive_max_pool1d(const TensorArg& x, const AdaptiveSize& output_size) {
  return apply<MaxPool<false>>(*x, adaptive_plan("adaptive_max_pool1d", x, 1, output_size));
}
Tensor adaptive_max_pool2d(const TensorArg& x, const AdaptiveSize& output_size) {
  return apply<MaxPool<false>>(*x, adaptive_plan("adaptive_max_pool2d", x, 2, output_size));
}
std::tuple<Tensor, Tensor> adaptive_max_pool1d_with_indices(const TensorArg& x,
                                                            const AdaptiveSize& output_size) {
  return with_indices(x, adaptive_plan("adaptive_max_pool1d", x, 1, output_size));
}
std::tuple<Tensor, Tensor> adaptive_max_pool2d_with_indices(const TensorArg& x,
                                                            const AdaptiveSize& output_size) {
  return with_indices(x, adaptive_plan("adaptive_max_pool2d", x, 2, output_size));
}

}  // namespace ebb
