// Comparing and copying state between the ranks of a group, so that they train the same model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ebb/nn/distributed/group.h"
#include "ebb/nn/module.h"
#include "ebb/nn/optim/optimizer.h"
#include "ebb/nn/serialize/safetensors.h"

namespace ebb::distributed {

/// Gives all ranks the parameters, the buffers and the optimizer state of rank 0, and the position
/// of its default_generator().
///
/// Throws Error on every rank, before anything is copied, if names, shapes, dtypes or learning
/// rates differ; it names the first difference and its rank. Trainer calls it. A plain loop calls
/// it where ranks may start from different weights:
///
///     distributed::synchronize(model, optimizer);
void synchronize(nn::Module& model, nn::Optimizer& optimizer, const Group& group = Group::world());

namespace detail {

/// Throws Error with the same message on every rank unless all have the same lines. It names the
/// first line that differs from rank 0's, and its rank.
void check_same(const Group& group, std::string_view op, const std::vector<std::string>& lines);

/// Returns one line per tensor: "0.weight: f32 (128, 64)".
std::vector<std::string> described(const NamedTensors& tensors);

/// Throws Error on every rank unless the tensors have the same bits on all of them.
/// when: "after the first step".
void check_same_bits(const Group& group, std::string_view op, const NamedTensors& tensors,
                     std::string_view when);

/// Returns the tensors of rank 0, of any number, on all ranks. The other ranks pass nothing.
NamedTensors broadcast_tensors(const Group& group, const NamedTensors& tensors);

/// The part of synchronize() after the comparison.
void copy_state(const Group& group, nn::Module& model, nn::Optimizer& optimizer);

}  // namespace detail
}  // namespace ebb::distributed
