// The safetensors format: named tensors in one file, which PyTorch, JAX and others read and write
// as well.
//
// A file is the length of the header (8 bytes, little-endian), a JSON header, then the elements of
// the tensors, without gaps. Source: https://github.com/huggingface/safetensors (README, "Format").
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

/// Tensors and their names, in order.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
/// Texts by key.
using Metadata = std::map<std::string, std::string>;

/// The content of a file.
struct SafeTensors {
  NamedTensors tensors;  ///< in the order of the header, on the CPU, without a graph
  Metadata metadata;

  /// Returns the tensor with a name, or null if there is none.
  const Tensor* find(std::string_view name) const;
};

/// Writes tensors of any dtype, device and strides to a file, as F32, F64, I64, U8 and BOOL.
///
/// The file is written under a hidden name in the same folder, synced, and renamed over `path`. A
/// process that is killed leaves the old file or the complete new one at `path`. The header lists
/// tensors in the given order. Their elements are stored in the order of decreasing element size,
/// so that each tensor is aligned.
///
/// Throws Error that names the path if it cannot be written (no such folder, disk full) or another
/// process is saving to it. Throws Error that names the tensor if a name occurs twice, is
/// "__metadata__" or is not UTF-8, or if a tensor is undefined. The old file has then not changed,
/// with one exception: if the folder cannot be synced, the new file is in place and may be lost in
/// a power failure.
void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const Metadata& metadata = {});

/// Reads a whole file. No value changes: F16, BF16, F8_E5M2 and F8_E4M3 become f32; I8, I16, I32,
/// U16, U32 and U64 become i64; F32, F64, I64, U8 and BOOL keep their type.
///
/// The content is checked before it is used, and time and memory are proportional to the size of
/// the file. Names from the file are escaped and shortened in messages. Throws Error that names the
/// path, and the tensor, if
/// - the file is missing, truncated or not a regular file,
/// - the header is longer than the file or 100 MB, has more than a million names, or is not JSON of
///   this format,
/// - a name occurs twice, a dtype is another one, a BOOL is neither 0 nor 1, or a U64 is 2^63 or
///   more, which i64 does not have,
/// - a shape has more than kMaxDims sizes or does not fit its bytes,
/// - tensors overlap, have gaps, or do not end at the end of the file.
SafeTensors load_safetensors(const std::string& path);

}  // namespace ebb
