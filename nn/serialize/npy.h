// NumPy's files: one array (.npy), or named arrays in a ZIP archive (.npz).
//
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Files are written
// in version 1.0, little-endian and row-major; versions 1.0 to 3.0 of either byte order are read.
#pragma once

#include <string>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb {

/// Writes a tensor of any dtype, device and strides as <f4, <f8, <i8, |u1 or |b1.
///
/// The file replaces an old one in one step, as with save_safetensors. Throws Error that names the
/// path if it cannot be written, and for an undefined tensor.
///
///     save_npy("x.npy", ones({2, 3}));  // numpy.load("x.npy").shape == (2, 3)
void save_npy(const std::string& path, const Tensor& tensor);

/// Reads an array as a contiguous tensor on the CPU. No value changes: f2 becomes f32; i1, i2, i4,
/// u2, u4 and u8 become i64; f4, f8, i8, u1 and b1 keep their type.
///
/// The content is checked before it is used, and time and memory are proportional to the size of
/// the file. Throws Error that names the path if
/// - the file is missing, truncated, longer than its array or not a regular file,
/// - it does not start with the magic bytes and a known version, or its header is not that of an
///   array,
/// - the array has another element type (complex, text, objects, records), more than kMaxDims dims,
///   or a u8 of 2^63 or more, which i64 does not have.
///
///     Tensor x = load_npy("x.npy");  // after numpy.save("x.npy", array)
Tensor load_npy(const std::string& path);

struct NpzOptions {
  bool compressed = false;  ///< as numpy.savez_compressed
};

/// Writes tensors as the arrays NAME.npy of an archive, which numpy.load opens by their names.
///
/// Throws Error as save_npy does, for a name that is empty, occurs twice or is not UTF-8, and for
/// more than 65535 tensors or 4 GB.
///
///     save_npz("xy.npz", {{"x", x}, {"y", y}});
void save_npz(const std::string& path, const NamedTensors& tensors, NpzOptions options = {});

/// Reads all arrays of an archive, in its order and without the ending ".npy" of their names.
///
/// Throws Error as load_npy does, also if the directory of the archive does not fit the file, if a
/// check sum is wrong, if a name occurs twice, and for other ways of compression, encryption and
/// archives of more than 4 GB (ZIP64).
///
///     NamedTensors arrays = load_npz("xy.npz");
NamedTensors load_npz(const std::string& path);

}  // namespace ebb
