// ReducePlan: how a reduction reads its input. Used by all ops that reduce.
#pragma once

#include <string_view>

#include "ebb/core/backend.h"
#include "ebb/core/tensor.h"

namespace ebb::detail {

/// The dims that are reduced, the shapes of the result, and the input as (outer, n, inner).
struct ReducePlan {
  bool reduced[kMaxDims] = {};
  Shape kept;  ///< the shape of the result with keepdim: size 1 in the reduced dims
  Shape out;   ///< the shape of the result
  RowsShape rows;
  bool adjacent;  ///< the reduced dims are neighbors, so elements need not be moved
};

/// Returns the plan. Throws Error that names op for an undefined tensor, and for dims that are out
/// of range or occur twice.
ReducePlan plan_reduction(std::string_view op, const Tensor& x, const Shape& dims, bool keepdim);
/// Throws Error that names op if a result would be computed from no elements.
void check_not_empty(std::string_view op, const ReducePlan& plan, const Tensor& x);
/// Reduces x without recording. Sums and products of integers are i64.
Tensor reduce(ReduceKind kind, const ReducePlan& plan, const Tensor& x);

}  // namespace ebb::detail
