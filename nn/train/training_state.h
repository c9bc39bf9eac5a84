// What a checkpoint holds of a training besides the weights, and the checks that a resume makes of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ebb/core/random.h"
#include "ebb/nn/data/loader.h"
#include "ebb/nn/optim/optimizer.h"
#include "ebb/nn/serialize/safetensors.h"

namespace ebb::nn::detail {

struct TrainingState {
  int64_t epoch = 0;            ///< that it goes on with
  int64_t consumed = 0;         ///< batches of this epoch that it has trained on
  Generator generator;          ///< the default generator of the thread that trains
  std::vector<int64_t> loader;  ///< facts_of() the loader
  // running sums of the epoch
  int64_t correct = 0, seen = 0;
  double loss_sum = 0;
  NamedTensors optimizer;  ///< its state_dict()
};

/// Returns what the sequence of batches depends on: samples, batch_size, seed, shuffle, drop_last and unit_float. A
/// checkpoint that was written before the last three were noted holds only the first three.
std::vector<int64_t> facts_of(const data::DataLoader& loader);

/// Returns the state as tensors, for Checkpoint::training.
NamedTensors to_tensors(const TrainingState& state);

/// Returns the state that the tensors hold. from: the file, for errors. Throws Error when an entry is missing, has
/// another dtype or size, or holds a number out of range.
TrainingState from_tensors(const NamedTensors& tensors, const std::string& from);

/// Throws Error unless a training with this optimizer and loader can go on from the state: the loader makes the same
/// batches, as far as both tell; the optimizer takes its state; the position is one that it can have reached.
void check_resumable(const TrainingState& state, const data::DataLoader& loader,
                     const Optimizer& optimizer, const std::string& from);

}  // namespace ebb::nn::detail
