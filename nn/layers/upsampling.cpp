#include "ebb/nn/layers/upsampling.h"

namespace ebb::nn {

Upsample::Upsample(UpsampleOptions options) : options_(std::move(options)) {
  if (options_.size.empty() == options_.scale_factor.empty())
    fail("Upsample", "expected either size or scale_factor");
}

// As PyTorch prints it: Upsample(scale_factor=2.0, mode='nearest').
std::string Upsample::extra_repr() const {
  std::string out = "size=";
  if (options_.size.empty()) {
    out = "scale_factor=";
    const bool several = options_.scale_factor.size() > 1;
    if (several) out += "(";
    for (size_t i = 0; i < options_.scale_factor.size(); ++i) {
      const std::string number = to_text(options_.scale_factor[i]);
      out += (i > 0 ? ", " : "") + number;
      if (number.find_first_of(".e") == std::string::npos) out += ".0";
    }
    if (several) out += ")";
  } else {
    out += options_.size.dim() == 1 ? std::to_string(options_.size[0]) : to_text(options_.size);
  }
  constexpr const char* kModes[] = {"nearest", "linear", "bilinear", "area"};
  return out + ", mode='" + kModes[static_cast<int>(options_.mode)] + "'";
}

}  // namespace ebb::nn
