// The header of a .npy file. Internal to npy.cpp.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ebb/nn/serialize/elements.h"

namespace ebb::detail {

struct NpyHeader {
  const ElementType* type = nullptr;
  bool swapped = false;  ///< big-endian
  bool fortran_order = false;
  Shape shape;
};

/// Returns the magic bytes, version 1.0 and the header, padded to a multiple of 64 bytes.
std::string print_npy_header(DType dtype, const Shape& shape);

/// Parses the text of a header: a dict of Python with the keys descr, fortran_order and shape.
/// Throws Error that starts with `what` for any other text, in time proportional to its length.
NpyHeader parse_npy_header(std::string_view op, std::string_view what, std::string_view text);

}  // namespace ebb::detail
