// Checkpoints: all that a training needs to go on, in a folder that is always whole.
//
// A checkpoint is a folder of two files. `model.safetensors` holds the weights alone, with torch's names and layouts,
// so that PyTorch loads it strictly. `training.safetensors` holds the rest: optimizer state, generators, the epoch and
// the batches consumed, as tensors and as text.
//
// A new checkpoint is written beside the old one, as `<folder>.new`, synced, and exchanged with it in one step of the
// file system. Where the file system cannot exchange, the old one is renamed to `<folder>.old` in between. So a process
// that is killed at any moment leaves a whole checkpoint under one of the three names, and load_checkpoint finds it.
#pragma once

#include <string>
#include <string_view>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb {

struct Checkpoint {
  NamedTensors model;     ///< the weights
  NamedTensors training;  ///< everything else that is a tensor
  Metadata metadata;      ///< everything else that is not; written into training.safetensors
};

/// Writes a checkpoint in place of the one at `folder`, if any; makes the folders above it. When it throws, the old one
/// is still there. When it returns, the new one is on the disk. One process at a time may save to a folder; others may
/// load from it meanwhile. Throws Error when the disk is full or a file cannot be written, for what save_safetensors
/// refuses, and when `folder` holds files that are no checkpoint's: it would have to delete them.
void save_checkpoint(const std::string& folder, const Checkpoint& checkpoint);

/// Reads the checkpoint at `folder`; when that is missing, since a save was cut off, the one in `<folder>.new` if it is
/// whole, else the one in `<folder>.old`. Changes nothing on the disk.
/// Throws Error when there is none, or for what load_safetensors refuses. A damaged checkpoint at `folder` is an error:
/// an older one is not taken for it.
Checkpoint load_checkpoint(const std::string& folder);

/// True when load_checkpoint would find one to read, damaged or not.
bool checkpoint_exists(const std::string& folder);

/// Copies values into tensors of the same names, target by target. Devices may differ,
/// dtypes and shapes may not. Parameters that require a gradient are written to as well.
///
/// target: e.g. a module's state_dict(). One tensor may have several names in it, as a tied weight has; the source then
/// has a value for each of them, all the same. what: where the source comes from, for the error.
/// Throws Error that lists the names which are missing or unexpected or have another shape or dtype, or names of one
/// tensor with different values, before anything is changed.
void load_state(const NamedTensors& target, const NamedTensors& source, std::string_view what);

/// Throws Error when load_state() would, and changes nothing.
void check_state(const NamedTensors& target, const NamedTensors& source, std::string_view what);

/// Makes the folders above `folder` and throws Error when save_checkpoint(folder) could not write there: before hours of
/// work instead of after them. A full disk is not noticed.
void check_can_save(const std::string& folder);

}  // namespace ebb
