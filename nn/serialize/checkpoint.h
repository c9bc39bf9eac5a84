// Checkpoints: all that a training needs to go on, in a folder that is always whole.
//
// A checkpoint is a folder of two files. `model.safetensors` holds the weights alone, with torch's names and layouts,
// so that PyTorch loads it strictly. `training.safetensors` holds the rest: optimizer state, generators, the epoch and
// the batches consumed, as tensors and as text. Both hold the same id, a hash of their content, so that the model of one
// checkpoint is never taken for that of another, and equal checkpoints are equal files.
//
// For a folder `runs/x` a new checkpoint is written as `runs/.x.ebb-new`, synced, and exchanged with `runs/x` in one step
// of the file system. Where the file system cannot exchange, the old one is renamed to `runs/.x.ebb-old` in between. So a
// process that is killed at any moment leaves a whole checkpoint under one of the three names, and load_checkpoint finds
// it. Ebb deletes only files that it wrote itself, and follows no link in those names.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb {

/// The content of a checkpoint.
struct Checkpoint {
  NamedTensors model;     ///< the weights
  NamedTensors training;  ///< everything else that is a tensor
  Metadata metadata;      ///< everything else that is not; written into training.safetensors
};

/// The right to save checkpoints to a folder, which one owner at a time has.
///
///     CheckpointWriter writer("runs/x");  // fails at once when the folder cannot be written or is in use
///     writer.save(checkpoint);
///
/// Others may load from the folder meanwhile. The right is a lock on `runs/.x.ebb-lock`, which ends with the process; on a
/// file system without locks nothing tells a second owner. Thread-safety: one thread at a time uses a writer.
class CheckpointWriter {
 public:
  /// Makes the folders above `folder` and takes the lock. Throws Error when they cannot be written, when another process or
  /// thread saves there, and when `folder` holds files that are not a checkpoint's: a save would have to delete them.
  explicit CheckpointWriter(const std::string& folder);
  ~CheckpointWriter();
  CheckpointWriter(CheckpointWriter&&) noexcept;
  CheckpointWriter& operator=(CheckpointWriter&&) noexcept;

  /// Writes a checkpoint in place of the one in the folder, if any. When it returns, the new one is on the disk.
  ///
  /// Throws Error when the disk is full or a file cannot be written, and for what save_safetensors refuses. The old one is
  /// still there then, with one exception, which the message names: when the folder above cannot be synced at the end, the
  /// new one is in place, and may be lost if the power fails.
  void save(const Checkpoint& checkpoint);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Saves one checkpoint with a CheckpointWriter that lives as long as the call.
void save_checkpoint(const std::string& folder, const Checkpoint& checkpoint);

/// Reads the checkpoint at `folder`; when that is missing, since a save was cut off, the new one if it is whole, else the old
/// one. Changes nothing on the disk.
/// Throws Error when there is none, for what load_safetensors refuses, and when the two files are not of one checkpoint. A
/// damaged checkpoint at `folder` is an error: an older one is not taken for it.
Checkpoint load_checkpoint(const std::string& folder);

/// Returns true when load_checkpoint would find one to read, damaged or not.
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
