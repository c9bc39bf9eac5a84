// Einstein's summation.
#pragma once

#include <string_view>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the sum of products that an equation describes: a letter for each dim of each operand, separated by commas,
/// and, behind "->", the letters of the result; letters that are not there are summed over (torch.einsum).
///
/// Without "->" the result has the letters that appear once, in alphabetical order. A letter that an operand has twice
/// takes its diagonal. "..." stands for dims that broadcast. Operands are joined from left to right as matrix products.
/// Throws Error for letters whose sizes differ and equations that do not fit the operands.
///
///     einsum("ij,jk->ik", {a, b});     // matmul(a, b)
///     einsum("bhqd,bhkd->bhqk", {q, k});
///     einsum("ii", {a});               // the trace
Tensor einsum(std::string_view equation, const TensorsArg& operands);

}  // namespace ebb
