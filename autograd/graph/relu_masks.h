// Masks of ReLU that pass from a product to the product before it, so that no kernel has to apply
// them separately. For the engine and for products; users of nodes do not need this.
//
// A product that ends with ReLU may leave a mask of its results (MatmulArgs::relu_mask). If no
// other code sees the gradient of these results, the product that computes this gradient sets it to
// 0 by the mask in the same kernel.
#pragma once

#include <cstdint>

namespace ebb {

struct BackwardContext;
class Tensor;

namespace detail {

/// Facts about the gradients around a node, which the engine notes while the node's backward runs.
struct TraversalState {
  /// Bit i: the gradient of input i is not needed. Inputs from 64 on are always needed.
  uint64_t unwanted = 0;
  /// True if no hook and no recording sees the gradients between this node and its inputs.
  bool unseen = false;
  /// Bit i: the gradient of input i is still masked, see mark_masked().
  mutable uint64_t masked_results = 0;
};

/// Returns the mask of input i, if the input is the result of a ReLU at the end of an op, and only
/// that op will see its gradient. Else undefined. REQUIRES i < 64.
Tensor relu_mask_of(const BackwardContext& context, int i);
/// Notes that the gradient of input i, which this backward computes, has been masked.
void mark_masked(const BackwardContext& context, int i);
/// Returns true if the gradient of the node is 0 already where its ReLU gave 0, because all of its
/// terms have been masked.
bool is_masked(const BackwardContext& context);

}  // namespace detail
}  // namespace ebb
