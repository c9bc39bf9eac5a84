#include "ebb/nn/data/idx.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "ebb/nn/data/gz_file.h"

namespace ebb::data {
namespace {

constexpr std::string_view kOp = "read_idx";
// The largest number of bytes that deflate produces from one byte (zlib's technical details).
constexpr int64_t kMostGrowth = 1032;

uint32_t big_endian(const unsigned char* b) {
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | uint32_t{b[3]};
}

// The element types of the format, by the third byte of the file: their size in the file, and their
// dtype in the tensor.
struct ElementType {
  unsigned char code;
  size_t bytes;
  DType dtype;
};
constexpr ElementType kTypes[] = {{0x08, 1, DType::U8},  {0x09, 1, DType::I64},
                                  {0x0B, 2, DType::I64}, {0x0C, 4, DType::I64},
                                  {0x0D, 4, DType::F32}, {0x0E, 8, DType::F64}};

// Reads big-endian elements of type From into a tensor of type To. got receives the number of bytes
// that were read.
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
  ElementType type;
  Shape shape;
  int64_t bytes;   // size of all elements in the file
  int64_t result;  // size of all elements in the tensor
};

Header read_header(GzFile& file, const std::string& path) {
  unsigned char magic[4];
  if (file.read(magic, 4) < 4)
    fail(kOp, path, " is not an IDX file: shorter than its magic number");
  if (magic[0] != 0 || magic[1] != 0)
    fail(kOp, path, " is not an IDX file: its magic number does not begin with two zeros");
  const auto type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                 [&](const ElementType& t) { return t.code == magic[2]; });
  if (type == std::end(kTypes))
    fail(kOp, path, ": unknown element type ", int{magic[2]}, " (known are 8, 9, 11, 12, 13, 14)");
  const int dims = magic[3];
  if (dims < 1 || dims > kMaxDims)
    fail(kOp, path, ": expected 1 to ", kMaxDims, " dimensions, got ", dims);

  Header header{*type, {}, static_cast<int64_t>(type->bytes), 0};
  // Ignores sizes of 0, because neither bytes nor strides may overflow.
  auto most = static_cast<int64_t>(size_of(type->dtype));
  for (int i = 0; i < dims; ++i) {
    unsigned char size[4];
    if (file.read(size, 4) < 4) fail(kOp, path, " is truncated: it ends within its header");
    const int64_t n = big_endian(size);
    header.shape.push_back(n);
    if (__builtin_mul_overflow(most, std::max<int64_t>(n, 1), &most))
      fail(kOp, path, ": sizes ", header.shape, " are too large");
    header.bytes *= n;
  }
  header.result = header.shape.numel() * static_cast<int64_t>(size_of(type->dtype));
  return header;
}

// Throws Error unless a file of this size can contain the elements that its header states. It
// allocates no memory.
void check_size(GzFile& file, const std::string& path, const Header& header) {
  const bool packed = file.is_compressed();
  const int64_t size = file.size_on_disk();
  const int64_t most = packed ? size > std::numeric_limits<int64_t>::max() / kMostGrowth
                                    ? std::numeric_limits<int64_t>::max()
                                    : size * kMostGrowth
                              : size - file.bytes_read();
  if (header.bytes > most) {
    fail(kOp, path, " is truncated: ", header.shape, " takes ", header.bytes, " bytes, ", size,
         packed ? " compressed bytes hold at most " : " bytes hold ", most);
  }
}

}  // namespace

Tensor read_idx(const std::string& path, const IdxOptions& options) {
  GzFile file(kOp, path, std::numeric_limits<int64_t>::max());
  const Header header = read_header(file, path);
  check_size(file, path, header);
  if (header.result > options.max_bytes) {
    fail(kOp, path, ": ", header.shape, " takes ", header.result, " bytes as ", header.type.dtype,
         ", more than max_bytes ", options.max_bytes, ": raise that option to read it");
  }
  size_t got = 0;
  Tensor elements = read_elements(file, header.type.code, header.shape, got);
  if (got < static_cast<size_t>(header.bytes)) {
    fail(kOp, path, " is truncated: ", header.shape, " takes ", header.bytes,
         " bytes, the file holds ", got);
  }
  char extra;
  if (file.read(&extra, 1) != 0)
    fail(kOp, path, " goes on after the last element of ", header.shape);
  return elements;
}

}  // namespace ebb::data
