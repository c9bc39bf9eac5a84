// Unfold and Fold: convert images to columns of windows, and back.
#pragma once

#include <initializer_list>
#include <string>

#include "ebb/autograd/ops/unfold.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// Computes unfold(x, kernel_size, options): (N, C, H, W) -> (N, C kh kw, L).
class Unfold : public Layer {
 public:
  explicit Unfold(const Shape& kernel_size, const UnfoldOptions& options = {})
      : kernel_size_(kernel_size), options_(options) {}
  Unfold(std::initializer_list<int64_t> kernel_size, const UnfoldOptions& options = {})
      : Unfold(Shape(kernel_size), options) {}
  Tensor forward(const Tensor& x) const override { return unfold(x, kernel_size_, options_); }
  std::string extra_repr() const override;

 private:
  Shape kernel_size_;
  UnfoldOptions options_;
};

/// Computes fold(x, output_size, kernel_size, options): (N, C kh kw, L) -> (N, C, H, W).
class Fold : public Layer {
 public:
  Fold(const Shape& output_size, const Shape& kernel_size, const UnfoldOptions& options = {})
      : output_size_(output_size), kernel_size_(kernel_size), options_(options) {}
  Tensor forward(const Tensor& x) const override {
    return fold(x, output_size_, kernel_size_, options_);
  }
  std::string extra_repr() const override;

 private:
  Shape output_size_, kernel_size_;
  UnfoldOptions options_;
};

}  // namespace ebb::nn
