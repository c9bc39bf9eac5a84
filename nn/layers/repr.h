// The options of layers as text, as Python prints them. The layers' extra_repr() functions use it.
#pragma once

#include <concepts>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "ebb/core/shape.h"

namespace ebb::nn::detail {

/// A value as Python prints it: True, 3, 0.01, 1.0, 'tanh', None; a list of one number as this
/// number, and a longer one as a tuple.
class Repr {
 public:
  Repr(std::same_as<bool> auto value) : text_(value ? "True" : "False") {}
  Repr(int64_t value) : text_(std::to_string(value)) {}
  Repr(double value);
  Repr(std::optional<double> value) : Repr(value ? Repr(*value) : Repr()) {}
  Repr(const Shape& sizes);
  Repr(const char* value) : text_("'" + std::string(value) + "'") {}

  const std::string& text() const { return text_; }

 private:
  Repr() : text_("None") {}

  std::string text_;
};

/// Returns options by name, joined by commas.
///
///     options_text({{"kernel_size", Shape{2, 3}}, {"ceil_mode", false}})
///     // "kernel_size=(2, 3), ceil_mode=False"
std::string options_text(std::initializer_list<std::pair<const char*, Repr>> options);

}  // namespace ebb::nn::detail
