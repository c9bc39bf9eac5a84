#include "ebb/nn/data/idx.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <type_traits>
#include <vector>

#include "ebb/nn/data/gz_file.h"

namespace ebb::data {
namespace {

constexpr std::string_view kOp = "read_idx";
constexpr size_t kMostGrowth =
    1032;  // deflate makes no more bytes than this of one (zlib's technical details)

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

// The elements of type From that follow, big-endian, as a tensor of type To; got is the bytes that there were.
template <class From, class To>
Tensor read_elements(GzFile& file, const Shape& shape, size_t& got) {
  Tensor out = empty(shape, {.dtype = dtype_of<To>});
  To* to = out.mutable_data<To>();
  if constexpr (sizeof(From) == 1 && std::is_same_v<From, To>) {
    got = file.read(to, static_cast<size_t>(out.numel()));
    return out;
  }
  std::vector<char> chunk;
  for (int64_t left = out.numel(); left > 0;) {
    const int64_t n = std::min(left, int64_t{1} << 16);
    chunk.resize(static_cast<size_t>(n) * sizeof(From));
    const size_t bytes = file.read(chunk.data(), chunk.size());
    got += bytes;
    if (bytes < chunk.size()) break;
    for (int64_t i = 0; i < n; ++i) {
      char* element = chunk.data() + static_cast<size_t>(i) * sizeof(From);
      if constexpr (std::endian::native == std::endian::little)
        std::reverse(element, element + sizeof(From));
      From value;
      std::memcpy(&value, element, sizeof(From));
      *to++ = static_cast<To>(value);
    }
    left -= n;
  }
  return out;
}

Tensor read_elements(GzFile& file, unsigned char code, const Shape& shape, size_t& got) {
  switch (code) {
    case 0x08: return read_elements<uint8_t, uint8_t>(file, shape, got);
    case 0x09: return read_elements<int8_t, int64_t>(file, shape, got);
    case 0x0B: return read_elements<int16_t, int64_t>(file, shape, got);
    case 0x0C: return read_elements<int32_t, int64_t>(file, shape, got);
    case 0x0D: return read_elements<float, float>(file, shape, got);
    default: return read_elements<double, double>(file, shape, got);
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
  if (element == 0)
    fail(kOp, path, ": unknown element type ", int{magic[2]}, " (known are 8, 9, 11, 12, 13, 14)");
  const int dims = magic[3];
  if (dims < 1 || dims > kMaxDims)
    fail(kOp, path, ": expected 1 to ", kMaxDims, " dimensions, got ", dims);

  Header header{magic[2], {}, element};
  int64_t most = static_cast<int64_t>(
      element);  // as if no size were 0: neither bytes nor strides may overflow
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
  size_t got = 0;
  Tensor elements;
  if (header.bytes / kMostGrowth <= std::filesystem::file_size(path)) {
    elements = read_elements(file, header.code, header.shape, got);
  } else {  // the header promises what cannot be there: count what is, and ask for no memory
    char chunk[1 << 12];
    for (size_t n = sizeof chunk; n == sizeof chunk; got += n) n = file.read(chunk, sizeof chunk);
  }
  if (got < header.bytes) {
    fail(kOp, path, " is truncated: ", header.shape, " takes ", header.bytes,
         " bytes, the file holds ", got);
  }
  char extra;
  if (file.read(&extra, 1) != 0)
    fail(kOp, path, " goes on after the last element of ", header.shape);
  return elements;
}

}  // namespace ebb::data
