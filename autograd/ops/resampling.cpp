#include "ebb/autograd/ops/resampling.h"

#include <cmath>

#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pooling.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/core/resampling.h"

namespace ebb {
namespace {

// Resizes planes, or applies the adjoint.
template <bool kAdjoint> struct Interpolate {
  static constexpr std::string_view name = kAdjoint ? "interpolate_backward" : "interpolate";
  struct State {
    ResamplePlan plan;
  };
  static int shape(const Tensor&, const ResamplePlan&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& from, const ResamplePlan& plan) {
    state.plan = plan;
    ResamplingKernels& kernels = backend(from.device()).resampling();
    Tensor to = empty(kAdjoint ? plan.in : plan.out, options_like(from));
    if (kAdjoint) kernels.resample_adjoint(to, from.contiguous(), plan.planes);
    else kernels.resample(to, from.contiguous(), plan.planes);
    return to;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return apply<Interpolate<!kAdjoint>>(g, state.plan);
  }
};

void check_input(const Tensor& x, const InterpolateOptions& o) {
  check_floating("interpolate", x);
  if (x.dim() != 3 && x.dim() != 4)
    fail("interpolate", "expected an input (N, C, L) or (N, C, H, W), got ", x.shape());
  for (int i = 1; i < x.dim(); ++i) {
    if (x.shape()[i] == 0)
      fail("interpolate", "expected an input without empty dims apart from the batch, got ",
           x.shape());
  }
  if ((o.mode == InterpolateMode::Linear && x.dim() != 3) ||
      (o.mode == InterpolateMode::Bilinear && x.dim() != 4)) {
    fail("interpolate", "expected an input of ", o.mode == InterpolateMode::Linear ? "3" : "4",
         " dims for this mode, got ", x.shape());
  }
  const bool linear = o.mode == InterpolateMode::Linear || o.mode == InterpolateMode::Bilinear;
  if (o.align_corners && !linear) fail("interpolate", "expected a linear mode with align_corners");
  const int dims = x.dim() - 2;
  const int given = o.size.empty() ? static_cast<int>(o.scale_factor.size()) : o.size.dim();
  if (o.size.empty() == o.scale_factor.empty() || (given != 1 && given != dims)) {
    fail("interpolate",
         "expected either size or scale_factor, with one number or one for each of the ", dims,
         " dims after the channels, got ", o.size.dim(), " sizes and ", o.scale_factor.size(),
         " factors for an input of ", x.shape());
  }
  if (o.recompute_scale_factor && o.scale_factor.empty())
    fail("interpolate", "expected scale_factor with recompute_scale_factor");
}

ResampleAxis axis_of(const Tensor& x, const InterpolateOptions& o, int i) {
  const int64_t in = x.shape()[i + 2];
  const bool linear = o.mode == InterpolateMode::Linear || o.mode == InterpolateMode::Bilinear;
  ResampleAxis axis{.in = in,
                    .out = 0,
                    .scale = 0,
                    .linear = linear,
                    .align_corners = o.align_corners.value_or(false)};
  double factor = 0;
  if (o.size.empty()) {
    factor = o.scale_factor[o.scale_factor.size() == 1 ? 0 : static_cast<size_t>(i)];
    const double size = std::floor(static_cast<double>(in) * factor);
    if (!(factor > 0 && size < 9e15))
      fail("interpolate", "expected scale factors above 0 that give sizes below 2^53, got ",
           factor);
    axis.out = static_cast<int64_t>(size);
  } else {
    axis.out = o.size[o.size.dim() == 1 ? 0 : i];
  }
  if (axis.out < 1) {
    fail("interpolate", "expected sizes of at least 1, got ", axis.out, " for dim ", i + 2, " of ",
         x.shape());
  }
  const double whole = static_cast<double>(in) / static_cast<double>(axis.out);
  if (axis.linear && axis.align_corners) {
    axis.scale = axis.out > 1 ? static_cast<double>(in - 1) / static_cast<double>(axis.out - 1) : 0;
  } else {
    axis.scale = factor > 0 && !o.recompute_scale_factor ? 1 / factor : whole;
  }
  if (linear && axis.out == in) axis.scale = 1;  // torch copies the elements
  if (!linear) {  // torch's rounding, and its exact ratios in two dimensions
    axis.in_f32 = x.dim() == 4 || x.dtype() == DType::F32;
    if (x.dim() == 4 && axis.out == in) axis.scale = 1;
    if (x.dim() == 4 && axis.out == 2 * in) axis.scale = 0.5;
  }
  return axis;
}

}  // namespace

Tensor interpolate(const TensorArg& x, const InterpolateOptions& options) {
  check_input(x, options);
  const ResampleAxis last = axis_of(x, options, x->dim() - 3);
  if (options.mode == InterpolateMode::Area) {
    if (x->dim() == 3) return adaptive_avg_pool1d(x, last.out);
    return adaptive_avg_pool2d(x, {axis_of(x, options, 0).out, last.out});
  }
  ResampleAxis first{.in = 1, .out = 1, .scale = 1, .linear = last.linear};
  if (x->dim() == 4) first = axis_of(x, options, 0);
  ResamplePlan plan{{x->shape()[0] * x->shape()[1], first, last}, x->shape(), x->shape()};
  plan.out[x->dim() - 1] = last.out;
  if (x->dim() == 4) plan.out[2] = first.out;
  return apply<Interpolate<false>>(*x, plan);
}

Tensor pixel_shuffle(const TensorArg& x, int64_t upscale_factor) {
  const CompositeScope scope(x);
  check_defined("pixel_shuffle", x);
  const int64_t r = upscale_factor;
  const int last = x->dim() - 1;
  const bool fits =
      last >= 2 && r >= 1 && r < (int64_t{1} << 31) && x->shape()[last - 2] % (r * r) == 0;
  if (!fits) {
    fail("pixel_shuffle",
         "expected an input (..., C, H, W) whose channels upscale_factor^2 divides, got ",
         x->shape(), " and ", r);
  }
  const int64_t c = x->shape()[last - 2] / (r * r), h = x->shape()[last - 1], w = x->shape()[last];
  Shape out = x->shape();
  int64_t n = 1;
  for (int i = 0; i < last - 2; ++i) n *= out[i];
  out[last - 2] = c;
  out[last - 1] = h * r;
  out[last] = w * r;
  return reshape(permute(reshape(x, {n, c, r, r, h, w}), {0, 1, 4, 2, 5, 3}), out);
}

Tensor pixel_unshuffle(const TensorArg& x, int64_t downscale_factor) {
  const CompositeScope scope(x);
  check_defined("pixel_unshuffle", x);
  const int64_t r = downscale_factor;
  const int last = x->dim() - 1;
  if (last < 2 || r < 1 || x->shape()[last] % r != 0 || x->shape()[last - 1] % r != 0) {
    fail("pixel_unshuffle",
         "expected an input (..., C, H, W) whose sizes downscale_factor divides, got ", x->shape(),
         " and ", r);
  }
  const int64_t c = x->shape()[last - 2], h = x->shape()[last - 1] / r, w = x->shape()[last] / r;
  Shape out = x->shape();
  int64_t n = 1;
  for (int i = 0; i < last - 2; ++i) n *= out[i];
  out[last - 2] = c * r * r;
  out[last - 1] = h;
  out[last] = w;
  return reshape(permute(reshape(x, {n, c, h, r, w, r}), {0, 1, 3, 5, 2, 4}), out);
}

}  // namespace ebb
