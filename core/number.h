// Scalar: a C++ number as an argument of an op, and the rules by which numbers become elements.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "ebb/core/dtype.h"
#include "ebb/core/error.h"

namespace ebb {

/// A number that keeps its kind: bool, integer or floating point.
///
/// Functions take a Scalar so that 6, 6.0 and true can denote different dtypes, as in torch. It is
/// constructed from any arithmetic type. Integers are exact over the whole range of int64_t. Throws
/// Error if an unsigned integer does not fit int64_t.
///
///     Tensor a = full({2}, 6);    // i64
///     Tensor b = full({2}, 6.0);  // f32
class Scalar {
 public:
  template <std::floating_point T>
  constexpr Scalar(T value) : floating_(static_cast<double>(value)), kind_(Kind::Floating) {}
  template <std::integral T> constexpr Scalar(T value) {
    if constexpr (std::is_same_v<T, bool>) {
      kind_ = Kind::Bool;
    } else {
      if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(int64_t)) {
        if (value > static_cast<T>(std::numeric_limits<int64_t>::max()))
          fail("number", value, " does not fit i64");
      }
      kind_ = Kind::Integer;
    }
    integer_ = static_cast<int64_t>(value);
  }

  constexpr bool is_floating() const { return kind_ == Kind::Floating; }
  constexpr bool is_bool() const { return kind_ == Kind::Bool; }
  /// Returns the dtype that torch gives such a number: f32, i64 or bool.
  constexpr DType dtype() const {
    return is_floating() ? DType::F32 : is_bool() ? DType::Bool : DType::I64;
  }

  constexpr double to_double() const {
    return is_floating() ? floating_ : static_cast<double>(integer_);
  }

  /// Returns the number as a T by the rule of Tensor::to(DType): floating types round to the
  /// nearest value, bool is true unless the number is 0, and integer types drop the fraction.
  /// Throws Error that names op for NaN, infinity and values that an integer type cannot represent.
  template <class T> T to(std::string_view op) const {
    if constexpr (std::is_same_v<T, bool>) {
      return is_floating() ? floating_ != 0 : integer_ != 0;
    } else if constexpr (std::is_floating_point_v<T>) {
      return is_floating() ? static_cast<T>(floating_) : static_cast<T>(integer_);
    } else {
      const int64_t integer = is_floating() ? truncated(op) : integer_;
      if (!in_range<T>(integer)) refuse_range(op, std::is_signed_v<T>, sizeof(T));
      return static_cast<T>(integer);
    }
  }

  /// Throws Error that names op unless dtype can represent this number: i64 takes integers, u8
  /// integers from 0 to 255. Floating dtypes take every number and round it to the nearest. bool
  /// takes every number; all except 0 are true, as in torch.
  void check_exact(std::string_view op, DType dtype) const;

  Scalar operator-() const;

 private:
  enum class Kind : uint8_t { Bool, Integer, Floating };

  // As std::in_range, which does not accept character types.
  template <class T> static bool in_range(int64_t value) {
    if constexpr (sizeof(T) == sizeof(int64_t)) return std::is_signed_v<T> || value >= 0;
    else
      return value >= static_cast<int64_t>(std::numeric_limits<T>::min()) &&
             value <= static_cast<int64_t>(std::numeric_limits<T>::max());
  }
  int64_t truncated(std::string_view op) const;
  [[noreturn]] void refuse_range(std::string_view op, bool is_signed, size_t bytes) const;

  union {
    double floating_;
    int64_t integer_;
  };
  Kind kind_;
};

/// Returns "6", "true" or "0.5".
std::string to_text(Scalar value);

}  // namespace ebb
