// Element types: f32 and f64 for computing, i64 for class indices, u8 for images, bool for masks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

namespace ebb {

enum class DType : uint8_t { F32, F64, I64, U8, Bool };

inline constexpr DType f32 = DType::F32;
inline constexpr DType f64 = DType::F64;
inline constexpr DType i64 = DType::I64;
inline constexpr DType u8 = DType::U8;
inline constexpr DType boolean = DType::Bool;
inline constexpr int kDTypeCount = 5;

/// Returns the bytes of one element.
constexpr size_t size_of(DType t) {
  constexpr size_t sizes[kDTypeCount] = {4, 8, 8, 1, 1};
  return sizes[static_cast<int>(t)];
}

/// Returns "f32", "f64", "i64", "u8" or "bool".
constexpr std::string_view name_of(DType t) {
  constexpr std::string_view names[kDTypeCount] = {"f32", "f64", "i64", "u8", "bool"};
  return names[static_cast<int>(t)];
}

constexpr bool is_floating(DType t) { return t == DType::F32 || t == DType::F64; }

inline std::string to_text(DType t) { return std::string(name_of(t)); }
std::ostream& operator<<(std::ostream& out, DType dtype);

template <class T> struct DTypeOf {
  static_assert(sizeof(T) == 0,
                "elements are of type float, double, int64_t, uint8_t or bool; to_vector(), item() "
                "and from_data() convert other integers");
};
template <> struct DTypeOf<float> { static constexpr DType value = DType::F32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::F64; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::I64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::U8; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::Bool; };

/// The DType of a C++ element type.
template <class T> inline constexpr DType dtype_of = DTypeOf<T>::value;

/// Calls body(T{}) with the C++ type of a floating dtype. REQUIRES is_floating(t).
template <class Body> decltype(auto) dispatch_floating(DType t, Body&& body) {
  return t == DType::F32 ? body(float{}) : body(double{});
}

/// Calls body(T{}) with the C++ type of any dtype.
template <class Body> decltype(auto) dispatch_all(DType t, Body&& body) {
  switch (t) {
    case DType::F32: return body(float{});
    case DType::F64: return body(double{});
    case DType::I64: return body(int64_t{});
    case DType::U8: return body(uint8_t{});
    default: return body(bool{});
  }
}

}  // namespace ebb
