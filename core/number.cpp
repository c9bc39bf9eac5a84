#include "ebb/core/number.h"

namespace ebb {

int64_t Scalar::truncated(std::string_view op) const {
  const double whole = std::trunc(floating_);
  if (!(whole >= -0x1p63 && whole < 0x1p63)) fail(op, *this, " does not fit i64");
  return static_cast<int64_t>(whole);
}

void Scalar::refuse_range(std::string_view op, bool is_signed, size_t bytes) const {
  fail(op, *this, " does not fit ", is_signed ? "a signed" : "an unsigned", " integer of ",
       8 * bytes, " bits");
}

void Scalar::check_exact(std::string_view op, DType dtype) const {
  if (ebb::is_floating(dtype) || dtype == DType::Bool) return;
  if (is_floating() && std::trunc(floating_) != floating_) fail(op, *this, " is not an integer");
  const int64_t integer = is_floating() ? truncated(op) : integer_;
  if (dtype == DType::U8 && (integer < 0 || integer > 255))
    fail(op, *this, " does not fit ", dtype, ": expected 0 to 255");
}

Scalar Scalar::operator-() const {
  if (is_floating()) return -floating_;
  if (integer_ == std::numeric_limits<int64_t>::min()) return -static_cast<double>(integer_);
  return -integer_;
}

std::string to_text(Scalar value) {
  if (value.is_bool()) return value.to_double() != 0 ? "true" : "false";
  return value.is_floating() ? to_text(value.to_double())
                             : std::to_string(value.to<int64_t>("number"));
}

}  // namespace ebb
