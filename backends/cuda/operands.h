// The operands of kernels: a pointer, a dtype, and strides over a common space of coalesced dims.
#pragma once

#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/dtype.h"
#include "ebb/core/pointwise.h"
#include "ebb/core/shape.h"
#include "ebb/core/tensor.h"

namespace ebb::cuda {

/// Returns the elements of an optional tensor, or null.
template <class T> T* data_of(const Tensor* tensor) {
  return tensor ? reinterpret_cast<T*>(tensor->raw()) : nullptr;
}

/// The elements that a kernel visits, in row-major order.
struct Space {
  int64_t numel;
  int64_t size[kMaxDims];
  int dims;
  bool narrow;  ///< numel fits 32 bits: cheaper divisions
};

struct Strides {
  int64_t step[kMaxDims];
};

/// Coalesces shape and `count` lists of strides over it, and converts them for a kernel.
inline Space make_space(Shape shape, Shape* strides, int count, Strides* out) {
  coalesce(shape, strides, count);
  Space space{shape.numel(), {}, shape.dim(), false};
  space.narrow = space.numel < INT32_MAX;
  for (int d = 0; d < shape.dim(); ++d) {
    space.size[d] = shape[d];
    for (int k = 0; k < count; ++k) out[k].step[d] = strides[k][d];
  }
  return space;
}

namespace detail {
template <class Int>
__device__ int64_t offset_in(const Space& space, const Strides& strides, Int at) {
  int64_t offset = 0;
  for (int d = space.dims - 1; d > 0; --d) {
    const Int size = static_cast<Int>(space.size[d]), next = at / size;
    offset += static_cast<int64_t>(at - next * size) * strides.step[d];
    at = next;
  }
  return offset + static_cast<int64_t>(at) * strides.step[0];
}
}  // namespace detail

/// Returns the offset of the element with row-major number `at`, in elements.
__device__ inline int64_t offset_of(const Space& space, const Strides& strides, int64_t at) {
  return space.narrow ? detail::offset_in<uint32_t>(space, strides, static_cast<uint32_t>(at))
                      : detail::offset_in<uint64_t>(space, strides, static_cast<uint64_t>(at));
}

/// Converts an element by the rule of Tensor::to(DType). A value that an integer cannot represent
/// gives 0; callers check such values.
template <class To, class From> __device__ To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_same_v<To, uint8_t> && std::is_same_v<From, int64_t>) {
    return x >= 0 && x <= 255 ? static_cast<uint8_t>(x) : uint8_t{0};
  } else if constexpr (std::is_same_v<To, uint8_t> && std::is_floating_point_v<From>) {
    return x > From(-1) && x < From(256) ? static_cast<uint8_t>(x) : uint8_t{0};
  } else if constexpr (std::is_same_v<To, int64_t> && std::is_floating_point_v<From>) {
    return x >= From(-0x1p63) && x < From(0x1p63) ? static_cast<int64_t>(x) : int64_t{0};
  } else {
    return static_cast<To>(x);
  }
}

/// Returns the element at an offset of a tensor of any dtype, as an operand of a formula that
/// computes in T.
template <class T> __device__ T load_as(const void* data, DType dtype, int64_t offset) {
  switch (dtype) {
    case DType::F32: return operand_as<T>(static_cast<const float*>(data)[offset]);
    case DType::F64: return operand_as<T>(static_cast<const double*>(data)[offset]);
    case DType::I64: return operand_as<T>(static_cast<const int64_t*>(data)[offset]);
    case DType::U8: return operand_as<T>(static_cast<const uint8_t*>(data)[offset]);
    default: return operand_as<T>(static_cast<const bool*>(data)[offset]);
  }
}

/// Stores a result of a formula. u8 keeps the lowest 8 bits, as in torch, and bool is true unless x
/// is 0.
template <class T> __device__ void store_as(void* data, DType dtype, int64_t offset, T x) {
  switch (dtype) {
    case DType::F32: static_cast<float*>(data)[offset] = static_cast<float>(x); break;
    case DType::F64: static_cast<double*>(data)[offset] = static_cast<double>(x); break;
    case DType::I64: static_cast<int64_t*>(data)[offset] = static_cast<int64_t>(x); break;
    case DType::U8: static_cast<uint8_t*>(data)[offset] = static_cast<uint8_t>(x); break;
    default: static_cast<bool*>(data)[offset] = x != T(0); break;
  }
}

/// 16 bytes, which one instruction loads or stores.
template <class T> inline constexpr int kPack = 16 / sizeof(T);
template <class T, int V> struct alignas(sizeof(T) * V) Pack { T v[V]; };

inline bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

}  // namespace ebb::cuda
