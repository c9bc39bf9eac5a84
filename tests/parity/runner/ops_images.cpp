// Resizing, moving pixels, and bilinear forms.
#include "ebb/autograd/ops/resampling.h"
#include "ebb/nn/layers/bilinear.h"
#include "ops.h"

namespace ebb::parity {
namespace {

InterpolateMode mode_of(Arguments& a) {
  std::string name = "nearest";
  a.read("mode", name);
  constexpr std::pair<std::string_view, InterpolateMode> kModes[] = {
      {"nearest", InterpolateMode::Nearest},
      {"linear", InterpolateMode::Linear},
      {"bilinear", InterpolateMode::Bilinear},
      {"area", InterpolateMode::Area}};
  for (const auto& [text, mode] : kModes) {
    if (text == name) return mode;
  }
  throw Problem("unknown mode '" + name + "'");
}

Call interpolate_call(Arguments& a) {
  InterpolateOptions options{.mode = mode_of(a)};
  std::vector<int64_t> size;
  if (a.read("size", size)) options.size = Shape(size);
  a.read("scale_factor", options.scale_factor);
  bool align_corners = false;
  if (a.read("align_corners", align_corners)) options.align_corners = align_corners;
  a.read("recompute_scale_factor", options.recompute_scale_factor);
  return [x = a.input(), options]() -> Tensors { return {interpolate(x, options)}; };
}

template <Tensor (*f)(const TensorArg&, int64_t)> Call with_factor(Arguments& a, const char* name) {
  return
      [x = a.input(), factor = a.required<int64_t>(name)]() -> Tensors { return {f(x, factor)}; };
}
Call pixel_shuffle_call(Arguments& a) { return with_factor<pixel_shuffle>(a, "upscale_factor"); }
Call pixel_unshuffle_call(Arguments& a) {
  return with_factor<pixel_unshuffle>(a, "downscale_factor");
}

Call bilinear_call(Arguments& a) {
  return [x = a.inputs(3, 4)]() -> Tensors {
    return {nn::bilinear(x[0], x[1], x[2], x.size() > 3 ? x[3] : Tensor())};
  };
}

constexpr Op kOps[] = {
    {"interpolate", interpolate_call},
    {"pixel_shuffle", pixel_shuffle_call},
    {"pixel_unshuffle", pixel_unshuffle_call},
    {"bilinear", bilinear_call},
};

}  // namespace

std::span<const Op> image_ops() { return kOps; }

}  // namespace ebb::parity
