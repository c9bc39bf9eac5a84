#include "ebb/nn/serialize/elements.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace ebb::detail {
namespace {

using Kind = ElementType::Kind;

constexpr ElementType kTypes[] = {
    {"F32", 4, Kind::Float},
    {"F64", 8, Kind::Float},
    {"I64", 8, Kind::Signed},
    {"U8", 1, Kind::Unsigned},
    {"BOOL", 1, Kind::Bool},
    {"F16", 2, Kind::Float, 5, 10},
    {"BF16", 2, Kind::Float, 8, 7},
    {"F8_E5M2", 1, Kind::Float, 5, 2},
    {"F8_E4M3", 1, Kind::Float, 4, 3, false},
    {"I8", 1, Kind::Signed},
    {"I16", 2, Kind::Signed},
    {"I32", 4, Kind::Signed},
    {"U16", 2, Kind::Unsigned},
    {"U32", 4, Kind::Unsigned},
    {"U64", 8, Kind::Unsigned},
};
static_assert(std::endian::native == std::endian::little, "files are little-endian");

// Returns the value of a float of few bits. Types without infinity have one NaN, all bits set.
float decode(const ElementType& type, uint32_t bits) {
  const int m = type.mantissa_bits, e = type.exponent_bits;
  const uint32_t mantissa = bits & ((1u << m) - 1), top = (1u << e) - 1;
  const uint32_t exponent = bits >> m & top, sign = bits >> (m + e) << 31;
  const int bias = (1 << (e - 1)) - 1;
  const bool is_special = exponent == top && (type.has_infinity || mantissa == (1u << m) - 1);
  if (exponent == 0) {
    const float size = std::ldexp(static_cast<float>(mantissa), 1 - bias - m);
    return sign ? -size : size;
  }
  const uint32_t wide = is_special ? 0xFFu : exponent + 127u - static_cast<uint32_t>(bias);
  return std::bit_cast<float>(sign | wide << 23 | mantissa << (23 - m));
}

// Returns a little-endian number of up to 8 bytes.
uint64_t bits_at(const std::byte* from, size_t bytes) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, bytes);
  return bits;
}

int64_t sign_extended(uint64_t bits, size_t bytes) {
  const auto unused = static_cast<unsigned>(64 - 8 * bytes);
  return static_cast<int64_t>(bits << unused) >> unused;
}

void convert(const ElementType& type, const std::byte* from, std::byte* to, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bits = bits_at(from + i * type.bytes, type.bytes);
    if (type.kind == Kind::Float) {
      const float value = decode(type, static_cast<uint32_t>(bits));
      std::memcpy(to + i * sizeof value, &value, sizeof value);
    } else {
      const int64_t value =
          type.kind == Kind::Signed ? sign_extended(bits, type.bytes) : static_cast<int64_t>(bits);
      std::memcpy(to + i * sizeof value, &value, sizeof value);
    }
  }
}

void swap_bytes(std::byte* elements, size_t bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) std::reverse(elements + i * bytes, elements + (i + 1) * bytes);
}

// Throws Error for values that are not of the dtype.
void check_values(std::string_view op, std::string_view what, const ElementType& type,
                  const std::byte* elements, size_t count) {
  if (type.kind == Kind::Bool) {
    if (std::any_of(elements, elements + count, [](std::byte b) { return b > std::byte{1}; }))
      fail(op, what, "a BOOL is neither 0 nor 1");
  } else if (type.kind == Kind::Unsigned && type.bytes == 8) {
    for (size_t i = 0; i < count; ++i) {
      const uint64_t value = bits_at(elements + i * 8, 8);
      if (value >> 63) fail(op, what, "the U64 ", value, " does not fit i64");
    }
  }
}

}  // namespace

DType ElementType::dtype() const {
  switch (kind) {
    case Kind::Float: return bytes == 8 ? DType::F64 : DType::F32;
    case Kind::Bool: return DType::Bool;
    default: return kind == Kind::Unsigned && bytes == 1 ? DType::U8 : DType::I64;
  }
}

const ElementType* element_type(std::string_view name) {
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const ElementType& type) { return type.name == name; });
  return found == std::end(kTypes) ? nullptr : found;
}

const ElementType& element_type(DType dtype) { return kTypes[static_cast<size_t>(dtype)]; }

Tensor read_elements(std::string_view op, std::string_view what, const ElementType& type,
                     const Shape& shape, const std::function<void(void*, size_t)>& read,
                     bool swapped) {
  Tensor tensor = empty(shape, {.dtype = type.dtype()});
  const size_t count = static_cast<size_t>(tensor.numel()), wide = size_of(tensor.dtype());
  const bool is_direct = type.bytes == wide;
  constexpr size_t kBlock = 1 << 14;  // elements
  std::vector<std::byte> buffer(is_direct ? 0 : std::min(count, kBlock) * type.bytes);
  const size_t step = is_direct ? std::max<size_t>(count, 1) : kBlock;
  for (size_t done = 0; done < count; done += step) {
    const size_t n = std::min(step, count - done);
    std::byte* const to = tensor.raw() + done * wide;
    std::byte* const raw = is_direct ? to : buffer.data();
    read(raw, n * type.bytes);
    if (swapped) swap_bytes(raw, type.bytes, n);
    check_values(op, what, type, raw, n);
    if (!is_direct) convert(type, raw, to, n);
  }
  return tensor;
}

}  // namespace ebb::detail
