// The JSON header of a safetensors file. Internal to safetensors.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/nn/serialize/elements.h"
#include "ebb/nn/serialize/safetensors.h"

namespace ebb::detail {

struct TensorEntry {
  std::string name;
  const ElementType* type = nullptr;
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< its range of bytes after the end of the header
};

struct SafeTensorsHeader {
  std::vector<TensorEntry> entries;  ///< in the order of the text
  Metadata metadata;
};

/// The key of the metadata, which must not be the name of a tensor.
inline constexpr std::string_view kMetadataKey = "__metadata__";

/// The largest number of names of tensors and metadata in a header. Real files have far fewer.
inline constexpr size_t kMostNames = 1'000'000;

/// Returns the header as one line of JSON. Throws Error that names path if a name is not UTF-8.
std::string print_header(const std::string& path, const SafeTensorsHeader& header);

/// Parses a header of any content, in time and memory proportional to its length. Each entry of the
/// result has a known type, a shape whose bytes and strides fit int64_t, and as many bytes as its
/// shape needs. Throws Error that names path and tensor otherwise, and for more than kMostNames
/// names.
SafeTensorsHeader parse_header(const std::string& path, std::string_view text);

}  // namespace ebb::detail
