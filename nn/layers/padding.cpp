#include "ebb/nn/layers/padding.h"

#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

template <int kDims, PadMode kMode>
Shape detail::Padding<kDims, kMode>::sides(const char* name, const Shape& padding) {
  if (padding.dim() != 1 && padding.dim() != 2 * kDims) {
    fail(name, "expected padding of one number or of ", 2 * kDims, ", got ", padding);
  }
  Shape all;
  for (int i = 0; i < 2 * kDims; ++i) all.push_back(padding[padding.dim() == 1 ? 0 : i]);
  return all;
}

template <int kDims, PadMode kMode>
Tensor detail::Padding<kDims, kMode>::forward_as(const char* name, const Tensor& x,
                                                 const Shape& padding, double value) {
  check_defined(name, x);
  // Constants are also added to inputs without channels, as in torch.
  const int least = kMode == PadMode::Constant ? kDims : kDims + 1;
  if (x.dim() < least || (kMode != PadMode::Constant && x.dim() > kDims + 2)) {
    fail(name, "expected an input ",
         kDims == 1 ? "(C, L) or (N, C, L)" : "(C, H, W) or (N, C, H, W)", ", got ", x.shape());
  }
  return pad(x, padding, kMode, value);
}

std::string ConstantPad1d::extra_repr() const {
  return "padding=" + to_text(pad_) + ", " + detail::options_text({{"value", value_}});
}
std::string ConstantPad2d::extra_repr() const {
  return "padding=" + to_text(pad_) + ", " + detail::options_text({{"value", value_}});
}

template class detail::Padding<1, PadMode::Constant>;
template class detail::Padding<2, PadMode::Constant>;
template class detail::Padding<1, PadMode::Reflect>;
template class detail::Padding<2, PadMode::Reflect>;
template class detail::Padding<1, PadMode::Replicate>;
template class detail::Padding<2, PadMode::Replicate>;
template class detail::Padding<1, PadMode::Circular>;
template class detail::Padding<2, PadMode::Circular>;

}  // namespace ebb::nn
