// Pictures in PNG format. Internal to nn/.
#pragma once

#include <string>

#include "ebb/core/tensor.h"

namespace ebb::detail {

/// Returns the bytes of a PNG file. pixels: u8 of shape (H, W, C) on the CPU, with C = 1 for gray,
/// 3 for RGB and 4 for RGBA. Throws Error that names op for other tensors.
std::string encode_png(std::string_view op, const Tensor& pixels);

}  // namespace ebb::detail
