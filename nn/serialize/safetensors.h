// The safetensors format: named tensors in one file, which PyTorch, JAX and others read and write as well.
//
// A file is the length of the header (8 bytes, little-endian), a JSON header, then the elements of the tensors, without
// gaps. Source: https://github.com/huggingface/safetensors (README, "Format").
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

/// Tensors and their names, in an order of their own.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
/// Free text by key.
using Metadata = std::map<std::string, std::string>;

/// What a file holds.
struct SafeTensors {
  NamedTensors tensors;  ///< in the order of the header, on the CPU, without a graph
  Metadata metadata;

  /// The tensor of that name; null when there is none.
  const Tensor* find(std::string_view name) const;
};

/// Writes tensors of any dtype, device and strides to a file, as F32, F64, I64, U8 and BOOL.
///
/// The file is written under a hidden name in the same folder, synced, and renamed over `path`: a process that is killed
/// leaves at `path` either the old file or the whole new one. In the header tensors are in the order given; their elements
/// are by falling element size, so that each is aligned.
/// Throws Error naming the path when it cannot be written (no such folder, disk full) or another process is saving to it;
/// or naming the tensor when a name comes twice, is "__metadata__" or is not UTF-8, or a tensor is undefined. The old file
/// is untouched then, with one exception: when the folder cannot be synced, the new file is in place and may be lost with
/// the power.
void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const Metadata& metadata = {});

/// Reads a whole file. Nothing of it is believed before it is checked, and no memory is asked for that the file does
/// not fill.
///
/// Time and memory grow with the size of the file. Names of the file are escaped and shortened in messages.
/// Throws Error naming the path, and the tensor, when the file is missing, truncated or not a regular file, its header is
/// longer than the file or 100 MB, has more than a million names or is not JSON of this format, a name comes twice, a dtype is none of F32, F64, I64, U8, BOOL, a
/// shape has more than kMaxDims sizes or does not fit its bytes, tensors overlap, leave holes or end before or behind
/// the end of the file, or a BOOL is neither 0 nor 1.
SafeTensors load_safetensors(const std::string& path);

}  // namespace ebb
