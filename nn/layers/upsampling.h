// Layers that resize images. Formulas and errors: autograd/ops/resampling.h.
#pragma once

#include <string>

#include "ebb/autograd/ops/resampling.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

using UpsampleOptions = InterpolateOptions;

/// Returns interpolate of (N, C, L) or (N, C, H, W).
///
///     nn::Upsample twice({.scale_factor = {2}, .mode = InterpolateMode::Bilinear});
class Upsample : public Layer {
 public:
  explicit Upsample(UpsampleOptions options);
  Tensor forward(const Tensor& x) const override { return interpolate(x, options_); }
  std::string extra_repr() const override;

 private:
  UpsampleOptions options_;
};

/// Returns pixel_shuffle of (..., C r^2, H, W).
class PixelShuffle : public Layer {
 public:
  explicit PixelShuffle(int64_t upscale_factor) : upscale_factor_(upscale_factor) {}
  Tensor forward(const Tensor& x) const override { return pixel_shuffle(x, upscale_factor_); }
  std::string extra_repr() const override {
    return "upscale_factor=" + std::to_string(upscale_factor_);
  }

 private:
  int64_t upscale_factor_;
};

/// Returns pixel_unshuffle of (..., C, H r, W r).
class PixelUnshuffle : public Layer {
 public:
  explicit PixelUnshuffle(int64_t downscale_factor) : downscale_factor_(downscale_factor) {}
  Tensor forward(const Tensor& x) const override { return pixel_unshuffle(x, downscale_factor_); }
  std::string extra_repr() const override {
    return "downscale_factor=" + std::to_string(downscale_factor_);
  }

 private:
  int64_t downscale_factor_;
};

}  // namespace ebb::nn
