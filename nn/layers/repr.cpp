#include "ebb/nn/layers/repr.h"

#include <charconv>
#include <cmath>

namespace ebb::nn::detail {

// The shortest text that is read back as the same number. Python writes exponents below -4 and
// from 16 on, and ".0" after whole numbers.
Repr::Repr(double value) {
  const double size = std::abs(value);
  const bool exponent = size != 0 && std::isfinite(size) && (size < 1e-4 || size >= 1e16);
  char text[64];
  const auto format = exponent ? std::chars_format::scientific : std::chars_format::fixed;
  const char* end = std::to_chars(text, text + sizeof text, value, format).ptr;
  text_ = std::string(static_cast<const char*>(text), end);
  if (std::isfinite(value) && text_.find_first_of(".e") == std::string::npos) text_ += ".0";
}

Repr::Repr(const Shape& sizes)
    : text_(sizes.dim() == 1 ? std::to_string(sizes[0]) : to_text(sizes)) {}

std::string options_text(std::initializer_list<std::pair<const char*, Repr>> options) {
  std::string text;
  for (const auto& [name, value] : options) {
    if (!text.empty()) text += ", ";
    text.append(name).append("=").append(value.text());
  }
  return text;
}

}  // namespace ebb::nn::detail
