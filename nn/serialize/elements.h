// The element types of files, and their conversion to the five dtypes of Ebb. Internal to the
// readers of this folder.
//
// The rule of all readers is that no value changes:
//
//   | in the file                     | in Ebb |                                               |
//   |---------------------------------|--------|-----------------------------------------------|
//   | F16, BF16, F8_E4M3, F8_E5M2     | f32    | has all of their values                       |
//   | F32, F64, I64, U8, BOOL         | same   | a BOOL that is neither 0 nor 1 is an Error    |
//   | I8, I16, I32, U16, U32          | i64    |                                               |
//   | U64                             | i64    | Error for a value of 2^63 or more             |
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>

#include "ebb/core/tensor.h"

namespace ebb::detail {

/// An element type of a file, with its name in safetensors.
struct ElementType {
  enum class Kind : uint8_t { Float, Signed, Unsigned, Bool };

  std::string_view name;
  size_t bytes;
  Kind kind;
  /// Of a floating type without a C++ type.
  int exponent_bits = 0, mantissa_bits = 0;
  bool has_infinity = true;

  /// Returns the dtype that has all values of this type.
  DType dtype() const;
};

/// Returns the type with a name of safetensors ("BF16"), or null if there is none.
const ElementType* element_type(std::string_view name);
/// Returns the type that stores a dtype as it is.
const ElementType& element_type(DType dtype);

/// Reads elements into a new tensor of shape `shape`, converted to type.dtype().
///
/// read: copies that many bytes, the next of the file, to an address. swapped: the bytes of each
/// element are in big-endian order. Throws Error that names op, with `what` in front, for a value
/// that the dtype does not have.
Tensor read_elements(std::string_view op, std::string_view what, const ElementType& type,
                     const Shape& shape, const std::function<void(void*, size_t)>& read,
                     bool swapped = false);

}  // namespace ebb::detail
