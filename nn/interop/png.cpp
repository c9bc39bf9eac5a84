#include "ebb/nn/interop/png.h"

#include <zlib.h>

#include <cstring>

namespace ebb::detail {
namespace {

void put_big_endian(std::string& to, uint32_t n) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(n >> shift);
}

void put_chunk(std::string& to, std::string_view type, std::string_view data) {
  put_big_endian(to, static_cast<uint32_t>(data.size()));
  const std::string content = std::string(type) + std::string(data);
  to += content;
  put_big_endian(to, static_cast<uint32_t>(crc32_z(
                         0, reinterpret_cast<const Bytef*>(content.data()), content.size())));
}

}  // namespace

std::string encode_png(std::string_view op, const Tensor& pixels) {
  check_defined(op, pixels);
  const Shape& shape = pixels.shape();
  constexpr int64_t kMostSide = 1 << 14;
  const bool fits = pixels.dtype() == DType::U8 && shape.dim() == 3 && shape[0] > 0 &&
                    shape[1] > 0 && shape[0] <= kMostSide && shape[1] <= kMostSide &&
                    (shape[2] == 1 || shape[2] == 3 || shape[2] == 4);
  if (!fits) {
    fail(op, "expected u8 pixels (H, W, C) with 1, 3 or 4 channels and sides of 1 to ", kMostSide,
         ", got ", pixels.dtype(), " ", shape);
  }
  const Tensor dense = pixels.contiguous();
  const auto row = static_cast<size_t>(shape[1] * shape[2]), rows = static_cast<size_t>(shape[0]);
  std::string lines;
  lines.reserve(rows * (row + 1));
  for (size_t i = 0; i < rows; ++i) {
    lines += '\0';  // no filter
    lines.append(reinterpret_cast<const char*>(dense.raw()) + i * row, row);
  }
  uLongf length = compressBound(static_cast<uLong>(lines.size()));
  std::string packed(length, '\0');
  if (compress(reinterpret_cast<Bytef*>(packed.data()), &length,
               reinterpret_cast<const Bytef*>(lines.data()),
               static_cast<uLong>(lines.size())) != Z_OK)
    fail(op, "out of memory");
  packed.resize(length);

  std::string header;
  put_big_endian(header, static_cast<uint32_t>(shape[1]));
  put_big_endian(header, static_cast<uint32_t>(shape[0]));
  header += static_cast<char>(8);  // bits per channel
  header += static_cast<char>(shape[2] == 1 ? 0 : shape[2] == 3 ? 2 : 6);
  header.append(3, '\0');  // compression, filter, interlace
  std::string file = "\x89PNG\r\n\x1A\n";
  put_chunk(file, "IHDR", header);
  put_chunk(file, "IDAT", packed);
  put_chunk(file, "IEND", "");
  return file;
}

}  // namespace ebb::detail
