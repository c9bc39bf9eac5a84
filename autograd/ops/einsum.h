// Einstein's summation.
#pragma once

#include <string_view>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the sum of products that an equation describes, as torch.einsum does.
///
/// The equation has one letter for each dim of each operand, with commas between operands, and
/// after "->" the letters of the result. It sums over the letters that the result lacks. Without
/// "->" the result has the letters that appear once, in alphabetical order. A letter that an
/// operand has twice takes the diagonal. "..." denotes dims that broadcast. Operands are multiplied
/// from left to right as matrix products. Throws Error if letters have different sizes, or if the
/// equation does not fit the operands.
///
///     Tensor a = ones({2, 3}), b = ones({3, 4});
///     Tensor y = einsum("ij,jk->ik", {a, b});  // matmul(a, b)
///     Tensor trace = einsum("ii", {ones({2, 2})});  // 2
///
/// Composed in einsum.cpp. Test: einsum in rows_sorting.cpp.
Tensor einsum(std::string_view equation, const TensorsArg& operands);

}  // namespace ebb
