// HeadsShape: the option of the ops split_heads and join_heads.
#pragma once

#include "ebb/core/tensor.h"

namespace ebb::detail {

/// Sizes of the packed (outer, inner, parts heads width).
struct HeadsShape {
  int64_t outer, inner, heads, width;
  bool batch_first;

  int64_t batch() const { return batch_first ? outer : inner; }
  int64_t steps() const { return batch_first ? inner : outer; }
  /// Returns part `part` of `parts` of a contiguous packed tensor, as (N, H, T, D).
  Tensor part_of(const Tensor& packed, int64_t part, int64_t parts) const {
    const int64_t row = parts * heads * width, by_outer = inner * row;
    return make_view(packed, {batch(), heads, steps(), width},
                     {batch_first ? by_outer : row, width, batch_first ? row : by_outer, 1},
                     part * heads * width);
  }
  Shape cut() const { return {batch() * heads, steps(), width}; }
  Shape by_head() const { return {batch(), heads, steps(), width}; }
};

}  // namespace ebb::detail
