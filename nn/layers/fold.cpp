#include "ebb/nn/layers/fold.h"

namespace ebb::nn {
namespace {

// Returns sizes as torch prints them: 3 for one number, (3, 2) for two.
std::string given(const Shape& numbers) {
  return numbers.dim() == 1 ? std::to_string(numbers[0]) : to_text(numbers);
}

std::string windows_text(const Shape& kernel_size, const UnfoldOptions& options) {
  return "kernel_size=" + given(kernel_size) + ", dilation=" + given(options.dilation) +
         ", padding=" + given(options.padding) + ", stride=" + given(options.stride);
}

}  // namespace

std::string Unfold::extra_repr() const { return windows_text(kernel_size_, options_); }

std::string Fold::extra_repr() const {
  return "output_size=" + given(output_size_) + ", " + windows_text(kernel_size_, options_);
}

}  // namespace ebb::nn
