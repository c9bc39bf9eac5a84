// DLPack: tensors that pass between libraries in one process, without a copy.
//
//   dlpack::DLManagedTensorVersioned* t = to_dlpack_versioned(x);  // e.g. for a Python capsule
//   Tensor y = from_dlpack(t);                                     // shares the elements of x
//
// The structs of namespace dlpack have the layout of version 1.0 of the format, under its names. A
// pointer to a struct of another library's dlpack.h may be passed after a reinterpret_cast. Format:
// https://dmlc.github.io/dlpack/latest/c_api.html.
#pragma once

#include <cstdint>

#include "ebb/core/tensor.h"

namespace ebb::dlpack {

inline constexpr uint32_t kMajorVersion = 1, kMinorVersion = 0;
/// Device types: the CPU, a CUDA GPU, and memory of the CPU that was pinned by CUDA.
inline constexpr int32_t kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3;
/// Codes of element types.
inline constexpr uint8_t kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4, kDLComplex = 5,
                         kDLBool = 6;
/// Flags of DLManagedTensorVersioned.
inline constexpr uint64_t kReadOnly = 1, kIsCopied = 2;

struct DLDevice {
  int32_t device_type, device_id;
};

struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};

struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  ///< in elements; null if the tensor is row-major without gaps
  uint64_t byte_offset;
};

struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor* self);  ///< may be null
};

struct DLPackVersion {
  uint32_t major, minor;
};

struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);  ///< may be null
  uint64_t flags;
  DLTensor dl_tensor;
};

}  // namespace ebb::dlpack

namespace ebb {

/// Returns a struct that shares the elements, strides included. They live until its deleter is
/// called, which the receiver does once.
///
/// Writes of the receiver are not counted as in-place changes, so it must not write to a tensor
/// that a graph has saved. On a GPU, call cuda::synchronize() before the receiver reads on another
/// stream. Throws Error for an undefined tensor and one that requires grad: pass x.detach().
///
///     dlpack::DLManagedTensor* t = to_dlpack(ones({2}));
///     t->deleter(t);
dlpack::DLManagedTensor* to_dlpack(const Tensor& tensor);
/// Does the same in the form that carries a version.
dlpack::DLManagedTensorVersioned* to_dlpack_versioned(const Tensor& tensor);

/// Returns a tensor that shares the elements of a struct, strides included, and takes it over: the
/// deleter is called once, with the last tensor that views the elements, or at once if this throws.
///
/// Throws Error for a null pointer; for element types other than those of Ebb (float32, float64,
/// int64, uint8, bool), because another one needs a copy; for devices other than the CPU and CUDA;
/// for more than kMaxDims dims, negative sizes or strides, shapes that are too large, and elements
/// that are not aligned; for a major version other than 1 and a tensor that is read-only.
///
///     Tensor x = from_dlpack(to_dlpack(ones({2})));  // [1, 1]
Tensor from_dlpack(dlpack::DLManagedTensor* managed);
Tensor from_dlpack(dlpack::DLManagedTensorVersioned* managed);

}  // namespace ebb
