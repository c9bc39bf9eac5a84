// Class numbers: the tensors that metrics, losses and data sets accept as numbers of classes.
#pragma once

#include <string_view>

#include "ebb/core/tensor.h"

namespace ebb::nn::detail {

/// Returns true for the dtypes of class numbers: i64 and u8.
constexpr bool holds_class_numbers(DType dtype) {
  return dtype == DType::I64 || dtype == DType::U8;
}

/// Throws Error that names op and `what` if the tensor is undefined or does not have class numbers.
/// Scores are never converted to class numbers silently.
inline void check_class_numbers(std::string_view op, std::string_view what, const Tensor& tensor) {
  check_defined(op, tensor);
  if (!holds_class_numbers(tensor.dtype()))
    fail(op, what, " must be i64 or u8, got ", tensor.dtype(), " ", tensor.shape());
}

}  // namespace ebb::nn::detail
