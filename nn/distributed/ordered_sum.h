// Sums over ranks in the order of the ranks, so that they have the same bits in every run and on
// every rank, and those of one process that adds the same tensors one after the other.
#pragma once

#include <vector>

#include "ebb/core/communicator.h"
#include "ebb/core/tensor.h"

namespace ebb::distributed::detail {

/// Replaces each tensor by ((x0 + x1) + x2 + ...) * scale, where xr is that of rank r.
///
/// The tensors are contiguous, on the CPU, f32 or f64, and have the same numbers of elements on all
/// ranks. They are copied to buckets of at most Communicator::kMostBytes, each of one dtype. Ranks
/// of one node write a bucket to shared memory, where each rank sums one slice of it. Otherwise
/// slice r of all ranks is sent to rank r, summed there, and gathered by all: 2 (N - 1) / N of the
/// bytes leave each rank, as in a ring.
void sum_over_ranks(Communicator& engine, const std::vector<Tensor>& tensors, double scale);

}  // namespace ebb::distributed::detail
