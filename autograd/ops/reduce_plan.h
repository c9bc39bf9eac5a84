// How a reduction reads its input: shared by the ops that reduce.
#pragma once

#include <string_view>

#include "ebb/core/backend.h"
#include "ebb/core/tensor.h"

namespace ebb::detail {

/// The dims that are reduced, the shapes of the result, and the input as (outer, n, inner).
struct ReducePlan {
  bool reduced[kMaxDims] = {};
  Shape kept;  ///< with size 1 in the reduced dims
  Shape out;   ///< as the caller wants it
  RowsShape rows;
  bool adjacent;  ///< the reduced dims are neighbours: no need to move elements
};

/// Throws Error naming op for an undefined tensor, and for dims that are out of range or named twice.
ReducePlan plan_reduction(std::string_view op, const Tensor& x, const Shape& dims, bool keepdim);
/// Throws Error naming op when something has to be made of no elements.
void check_not_empty(std::string_view op, const ReducePlan& plan, const Tensor& x);
/// Reduces x without recording. Sums and products of integers are i64.
Tensor reduce(ReduceKind kind, const ReducePlan& plan, const Tensor& x);

}  // namespace ebb::detail
