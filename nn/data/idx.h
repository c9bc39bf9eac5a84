// The IDX format of MNIST and similar data sets: a magic number, the sizes, then the elements, all
// big-endian.
#pragma once

#include <string>

#include "ebb/core/tensor.h"

namespace ebb::data {

/// Options of read_idx.
struct IdxOptions {
  int64_t max_bytes = int64_t{1} << 30;  ///< throws Error if the tensor would be larger
};

/// Reads an IDX file, plain or .gz, into a tensor of the sizes in its header.
///
/// dtype: unsigned byte -> u8; signed byte, short, int -> i64; float -> f32; double -> f64. Throws
/// Error that names the file if it is missing or not a regular file, is not an IDX file, has an
/// unknown element type, no dimension or more than kMaxDims, is larger than options.max_bytes, ends
/// early, or continues after the last element. If the header states more elements than a file of
/// this size can contain, no memory is allocated. Source: http://yann.lecun.com/exdb/mnist/ (the
/// file format at the end of the page).
///
///     Tensor images = read_idx("train-images-idx3-ubyte.gz");  // u8 (60000, 28, 28)
Tensor read_idx(const std::string& path, const IdxOptions& options = {});

}  // namespace ebb::data
