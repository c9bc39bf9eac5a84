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

/// The most names that a header may have, of tensors and of metadata: no real file comes near.
inline constexpr size_t kMostNames = 1'000'000;

/// Returns the header as one line of JSON. Throws Error naming path when a name is not UTF-8.
std::string print_header(const std::string& path, const SafeTensorsHeader& header);

/// Parses a header that may hold anything, in time and memory that grow with its length. Each entry alone is right
/// afterwards: a known dtype, a shape whose bytes and strides can be counted, as many bytes as its shape takes. Throws Error
/// naming path and tensor otherwise, and for more than kMostNames names.
SafeTensorsHeader parse_header(const std::string& path, std::string_view text);

}  // namespace ebb::detail
