// Averages of gradients over ranks, between backward() and the step() of an optimizer.
#pragma once

#include <vector>

#include "ebb/nn/distributed/group.h"
#include "ebb/nn/module.h"

namespace ebb::distributed {

/// Replaces each gradient by its mean over all ranks: ((g0 + g1) + g2 + ...) / N.
///
/// Every rank gets the same bits, which are those of one process that runs backward() for the
/// batches of ranks 0, 1, ... in this order and multiplies the sums by 1 / N. If each rank's loss
/// is the mean over its samples, and all have equally many, this is the gradient of the mean over
/// the global batch. Parameters without a gradient are skipped. Throws Error on every rank, and
/// changes nothing, if names, shapes or dtypes differ, or if a parameter has a gradient on some
/// ranks only.
///
///     loss.backward();
///     distributed::average_gradients(model);
///     optimizer.step();
void average_gradients(const std::vector<nn::NamedTensor>& parameters,
                       const Group& group = Group::world());
inline void average_gradients(const nn::Module& model, const Group& group = Group::world()) {
  average_gradients(model.named_parameters(), group);
}

}  // namespace ebb::distributed
