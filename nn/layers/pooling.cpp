#include "ebb/nn/layers/pooling.h"

#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

using detail::options_text;

namespace {

// Returns the text of the options that all pooling layers have.
std::string window_text(const Shape& kernel_size, const Shape& stride, const Shape& padding) {
  return options_text({{"kernel_size", kernel_size},
                       {"stride", stride.empty() ? kernel_size : stride},
                       {"padding", padding}});
}

}  // namespace

template <auto kPool, auto kPoolWithIndices>
std::string detail::MaxPool<kPool, kPoolWithIndices>::extra_repr() const {
  return window_text(kernel_size_, options_.stride, options_.padding) + ", " +
         options_text({{"dilation", options_.dilation}, {"ceil_mode", options_.ceil_mode}});
}
template class detail::MaxPool<ebb::max_pool1d, ebb::max_pool1d_with_indices>;
template class detail::MaxPool<ebb::max_pool2d, ebb::max_pool2d_with_indices>;

Tensor AvgPool1d::forward(const Tensor& x) const {
  const AvgPool1dOptions& o = options_;
  return avg_pool1d(x, kernel_size_, o.stride, o.padding, o.ceil_mode, o.count_include_pad);
}
// torch prints tuples here.
std::string AvgPool1d::extra_repr() const {
  const Shape& stride = options_.stride.empty() ? kernel_size_ : options_.stride;
  return "kernel_size=" + to_text(kernel_size_) + ", stride=" + to_text(stride) +
         ", padding=" + to_text(options_.padding);
}

Tensor AvgPool2d::forward(const Tensor& x) const {
  const AvgPool2dOptions& o = options_;
  return avg_pool2d(x, kernel_size_, o.stride, o.padding, o.ceil_mode, o.count_include_pad,
                    o.divisor_override);
}
std::string AvgPool2d::extra_repr() const {
  return window_text(kernel_size_, options_.stride, options_.padding);
}

template <auto kPool> std::string detail::AdaptivePool<kPool>::extra_repr() const {
  const auto number = [&](int i) {
    return output_size_[i] ? std::to_string(*output_size_[i]) : std::string("None");
  };
  const std::string size =
      output_size_.count() == 1 ? number(0) : "(" + number(0) + ", " + number(1) + ")";
  return "output_size=" + size;
}
template class detail::AdaptivePool<ebb::adaptive_avg_pool1d>;
template class detail::AdaptivePool<ebb::adaptive_avg_pool2d>;
template class detail::AdaptivePool<ebb::adaptive_max_pool1d>;
template class detail::AdaptivePool<ebb::adaptive_max_pool2d>;

}  // namespace ebb::nn
