#include "ebb/nn/layers/fold.h"

#include "ebb/nn/layers/repr.h"

namespace ebb::nn {
namespace {

std::string windows_text(const Shape& kernel_size, const UnfoldOptions& options) {
  return detail::options_text({{"kernel_size", kernel_size},
                               {"dilation", options.dilation},
                               {"padding", options.padding},
                               {"stride", options.stride}});
}

}  // namespace

std::string Unfold::extra_repr() const { return windows_text(kernel_size_, options_); }

std::string Fold::extra_repr() const {
  return detail::options_text({{"output_size", output_size_}}) + ", " +
         windows_text(kernel_size_, options_);
}

}  // namespace ebb::nn
