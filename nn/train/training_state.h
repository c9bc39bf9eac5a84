// The state of a training in a checkpoint, except the weights, and the checks when it is resumed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/core/random.h"
#include "ebb/nn/data/loader.h"
#include "ebb/nn/optim/optimizer.h"
#include "ebb/nn/serialize/safetensors.h"
#include "ebb/nn/train/callback.h"

namespace ebb::nn::detail {

struct TrainingState {
  int64_t epoch = 0;            ///< the epoch in which training continues
  int64_t consumed = 0;         ///< batches of this epoch that are done
  Generator generator;          ///< the default generator of the thread that trains
  std::vector<int64_t> loader;  ///< the result of facts_of()
  // running sums of the epoch
  int64_t correct = 0, seen = 0;
  double loss_sum = 0;
  NamedTensors optimizer;  ///< its state_dict()
  std::vector<EpochRecord> history;
  NamedTensors callbacks;  ///< their state_dicts, each behind its callback_prefix()
};

/// Returns "early_stopping/" for a callback of that name, "early_stopping.2/" for the second one.
std::string callback_prefix(const std::vector<std::shared_ptr<Callback>>& callbacks, size_t k);

/// Returns the tensors whose names start with prefix, without it.
NamedTensors with_prefix(const NamedTensors& tensors, std::string_view prefix);

/// Returns the values that the sequence of batches depends on: samples, batch_size, seed, shuffle,
/// drop_last and unit_float. Older checkpoints have only the first three.
std::vector<int64_t> facts_of(const data::DataLoader& loader);

/// Returns the state as tensors, for Checkpoint::training.
NamedTensors to_tensors(const TrainingState& state);

/// Returns the state in the tensors. from: the file, for errors. Throws Error if an entry is
/// missing, has another dtype or size, or contains a number out of range.
TrainingState from_tensors(const NamedTensors& tensors, const std::string& from);

/// Throws Error unless a training with this optimizer and loader can continue from the state: the
/// loader makes the same batches, as far as both are known, the optimizer accepts its state, and
/// the position is possible.
void check_resumable(const TrainingState& state, const data::DataLoader& loader,
                     const Optimizer& optimizer, const std::string& from);

}  // namespace ebb::nn::detail
