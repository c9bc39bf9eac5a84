// Counts the memory that the State of a structural op keeps alive, field by field, because State is
// an aggregate.
#pragma once

#include <type_traits>
#include <vector>

#include "ebb/autograd/graph/saved.h"

namespace ebb::detail {

struct AnyField {
  template <class T> operator T() const;
};
template <class T, class... Fields> constexpr int field_count() {
  if constexpr (sizeof...(Fields) > 8) return 0;
  else if constexpr (requires { T{Fields()..., AnyField()}; })
    return field_count<T, Fields..., AnyField>();
  else return static_cast<int>(sizeof...(Fields));
}

template <class T> int64_t bytes_of(const T& value);

template <class... Fields> int64_t sum_of_bytes(const Fields&... fields) {
  return (int64_t{0} + ... + bytes_of(fields));
}

/// Returns the bytes of the tensors in a value: a Tensor, a Saved, a list of them, or an aggregate
/// of at most 8 such fields.
template <class T> int64_t bytes_of(const T& value) {
  if constexpr (std::is_same_v<T, Saved>) {
    return value.bytes();
  } else if constexpr (std::is_same_v<T, Tensor>) {
    return Saved(value).bytes();
  } else if constexpr (requires {
                         std::is_same_v<typename T::value_type, Tensor>;
                         value.begin();
                       }) {
    int64_t bytes = 0;
    if constexpr (std::is_same_v<typename T::value_type, Tensor> ||
                  std::is_same_v<typename T::value_type, Saved>) {
      for (const auto& element : value) bytes += bytes_of(element);
    }
    return bytes;
  } else if constexpr (std::is_aggregate_v<T> && std::is_class_v<T>) {
    constexpr int count = field_count<T>();
    if constexpr (count == 1) {
      const auto& [a] = value;
      return sum_of_bytes(a);
    } else if constexpr (count == 2) {
      const auto& [a, b] = value;
      return sum_of_bytes(a, b);
    } else if constexpr (count == 3) {
      const auto& [a, b, c] = value;
      return sum_of_bytes(a, b, c);
    } else if constexpr (count == 4) {
      const auto& [a, b, c, d] = value;
      return sum_of_bytes(a, b, c, d);
    } else if constexpr (count == 5) {
      const auto& [a, b, c, d, e] = value;
      return sum_of_bytes(a, b, c, d, e);
    } else if constexpr (count == 6) {
      const auto& [a, b, c, d, e, f] = value;
      return sum_of_bytes(a, b, c, d, e, f);
    } else {
      return 0;
    }
  } else {
    return 0;
  }
}

}  // namespace ebb::detail
