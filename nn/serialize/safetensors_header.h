// The JSON header of a safetensors file. For safetensors.cpp alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb::detail {

struct TensorEntry {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< its bytes, counted from the end of the header
};

struct SafeTensorsHeader {
  std::vector<TensorEntry> entries;  ///< in the order of the text
  Metadata metadata;
};

/// The key of the metadata, which no tensor may have as its name.
inline constexpr std::string_view kMetadataKey = "__metadata__";

/// One line of JSON. Throws Error naming path when a name is not UTF-8.
std::string print_header(const std::string& path, const SafeTensorsHeader& header);

/// The opposite, from text that nobody vouches for. Each entry alone is right afterwards: a known dtype, a shape whose
/// bytes and strides can be counted, as many bytes as its shape takes. Throws Error naming path and tensor otherwise.
SafeTensorsHeader parse_header(const std::string& path, std::string_view text);

/// How a name from a file stands in a message: quoted, on one line, not too long.
std::string shown(std::string_view name);

}  // namespace ebb::detail
