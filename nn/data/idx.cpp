#include "ebb/nn/data/idx.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "ebb/nn/data/gz_file.h"

namespace ebb::data {
namespace {

constexpr std::string_view kOp = "read_idx";

uint32_t big_endian(const unsigned char* b) {
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | uint32_t{b[3]};
}

// Bytes of one element by the type code, the third byte of the file; 0 when there is no such type.
size_t element_size(unsigned char code) {
  switch (code) {
    case 0x08:
    case 0x09: return 1;
    case 0x0B: return 2;
    case 0x0C:
    case 0x0D: return 4;
    case 0x0E: return 8;
    default: return 0;
  }
}

// Elements of type From in big-endian order, as a tensor of type To.
template <class From, class To> Tensor decode(const std::string& bytes, const Shape& shape) {
  Tensor out = empty(shape, {.dtype = dtype_of<To>});
  To* to = out.mutable_data<To>();
  for (int64_t i = 0; i < out.numel(); ++i) {
    char element[sizeof(From)];
    std::memcpy(element, bytes.data() + static_cast<size_t>(i) * sizeof(From), sizeof(From));
    if constexpr (std::endian::native == std::endian::little) std::reverse(element, element + sizeof(From));
    to[i] = static_cast<To>(std::bit_cast<From>(element));
  }
  return out;
}

Tensor decode(unsigned char code, const std::string& bytes, const Shape& shape) {
  switch (code) {
    case 0x08: return decode<uint8_t, uint8_t>(bytes, shape);
    case 0x09: return decode<int8_t, int64_t>(bytes, shape);
    case 0x0B: return decode<int16_t, int64_t>(bytes, shape);
    case 0x0C: return decode<int32_t, int64_t>(bytes, shape);
    case 0x0D: return decode<float, float>(bytes, shape);
    default: return decode<double, double>(bytes, shape);
  }
}

struct Header {
  unsigned char code;
  Shape shape;
  size_t bytes;  // of all elements
};

Header read_header(GzFile& file, const std::string& path) {
  unsigned char magic[4];
  if (file.read(magic, 4) < 4) fail(kOp, path, " is no IDX file: shorter than its magic number");
  if (magic[0] != 0 || magic[1] != 0)
    fail(kOp, path, " is no IDX file: its magic number does not begin with two zeros");
  const size_t element = element_size(magic[2]);
  if (element == 0) fail(kOp, path, ": unknown element type ", int{magic[2]}, " (known are 8, 9, 11, 12, 13, 14)");
  const int dims = magic[3];
  if (dims < 1 || dims > kMaxDims) fail(kOp, path, ": expected 1 to ", kMaxDims, " dimensions, got ", dims);

  Header header{magic[2], {}, element};
  int64_t most = static_cast<int64_t>(element);  // as if no size were 0: neither bytes nor strides may overflow
  for (int i = 0; i < dims; ++i) {
    unsigned char size[4];
    if (file.read(size, 4) < 4) fail(kOp, path, " is truncated: it ends within its header");
    const int64_t n = big_endian(size);
    header.shape.push_back(n);
    header.bytes *= static_cast<size_t>(n);
    if (__builtin_mul_overflow(most, std::max<int64_t>(n, 1), &most)) {
      fail(kOp, path, ": sizes ", header.shape, " are too large");
    }
  }
  return header;
}

}  // namespace

Tensor read_idx(const std::string& path) {
  GzFile file(kOp, path);
  const Header header = read_header(file, path);
  std::string bytes;
  const size_t got = file.append(bytes, header.bytes);
  if (got < header.bytes) {
    fail(kOp, path, " is truncated: ", header.shape, " takes ", header.bytes, " bytes, the file holds ", got);
  }
  char extra;
  if (file.read(&extra, 1) != 0) fail(kOp, path, " goes on after the last element of ", header.shape);
  return decode(header.code, bytes, header.shape);
}

}  // namespace ebb::data
