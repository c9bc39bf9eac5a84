#include "ebb/nn/layers/upsampling.h"

#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

Upsample::Upsample(UpsampleOptions options) : options_(std::move(options)) {
  if (options_.size.empty() == options_.scale_factor.empty())
    fail("Upsample", "expected either size or scale_factor");
}

std::string Upsample::extra_repr() const {
  constexpr const char* kModes[] = {"nearest", "linear", "bilinear", "area"};
  std::string text;
  if (!options_.size.empty()) {
    text = detail::options_text({{"size", options_.size}});
  } else if (options_.scale_factor.size() == 1) {
    text = detail::options_text({{"scale_factor", options_.scale_factor[0]}});
  } else {
    for (double factor : options_.scale_factor)
      text += (text.empty() ? "scale_factor=(" : ", ") + detail::Repr(factor).text();
    text += ")";
  }
  return text + ", " + detail::options_text({{"mode", kModes[static_cast<int>(options_.mode)]}});
}

}  // namespace ebb::nn
