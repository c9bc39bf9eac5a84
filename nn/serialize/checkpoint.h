// Checkpoints: everything that a training needs to continue, in a folder that is complete at all
// times.
//
// A checkpoint is a folder with two files. `model.safetensors` has only the weights, with torch's
// names and layouts, so that PyTorch loads it strictly. `training.safetensors` has the rest as
// tensors and text: optimizer state, generators, the epoch and the batches consumed. Both files
// have the same id, a hash of their content, so the files of two checkpoints are never mixed, and
// equal checkpoints are equal files.
//
// A new checkpoint of a folder `runs/x` is written as `runs/.x.ebb-new` and synced. It is then
// exchanged with `runs/x` in one step of the file system. If the file system cannot exchange, the
// old one is first renamed to `runs/.x.ebb-old`. A process that is killed at any time therefore
// leaves a complete checkpoint under one of the three names, and load_checkpoint finds it. Ebb
// deletes only files that it wrote itself, and does not follow links in these names.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ebb/nn/serialize/load_state.h"
#include "ebb/nn/serialize/safetensors.h"

namespace ebb {

/// The content of a checkpoint.
struct Checkpoint {
  NamedTensors model;     ///< the weights
  NamedTensors training;  ///< all other tensors
  Metadata metadata;      ///< everything that is not a tensor; written to training.safetensors
};

/// Saves checkpoints to a folder. Only one writer at a time can exist for a folder.
///
///     CheckpointWriter writer("runs/x");  // throws if the folder cannot be written or is in use
///     writer.save(checkpoint);
///
/// Other processes can load from the folder. The writer holds a lock on `runs/.x.ebb-lock`, which
/// ends with the process. On a file system without locks a second writer is not detected.
/// Thread-safety: one thread at a time may use a writer.
class CheckpointWriter {
 public:
  /// Creates the folders above `folder` and takes the lock. Throws Error if they cannot be written,
  /// if another process or thread has a writer for the folder, or if `folder` has files that do not
  /// belong to a checkpoint, because saving would delete them.
  explicit CheckpointWriter(const std::string& folder);
  ~CheckpointWriter();
  CheckpointWriter(CheckpointWriter&&) noexcept;
  CheckpointWriter& operator=(CheckpointWriter&&) noexcept;

  /// Replaces the checkpoint in the folder, if there is one. When it returns, the new checkpoint is
  /// on the disk.
  ///
  /// Throws Error if the disk is full or a file cannot be written, and for tensors that
  /// save_safetensors does not accept. The old checkpoint then still exists, with one exception
  /// that the message names: if the folder above cannot be synced at the end, the new checkpoint is
  /// in place and may be lost in a power failure.
  void save(const Checkpoint& checkpoint);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Saves one checkpoint, with a CheckpointWriter for the duration of the call.
void save_checkpoint(const std::string& folder, const Checkpoint& checkpoint);

/// Reads the checkpoint at `folder`. If that is missing because a save was interrupted, it reads
/// the new one if it is complete, else the old one. It changes nothing on the disk.
///
/// Throws Error if there is no checkpoint, for files that load_safetensors does not accept, and if
/// the two files belong to different checkpoints. A damaged checkpoint at `folder` is an error; an
/// older one does not replace it.
Checkpoint load_checkpoint(const std::string& folder);

/// Returns true if load_checkpoint would find a checkpoint, damaged or not.
bool checkpoint_exists(const std::string& folder);

/// Creates the folders above `folder`. Throws Error if save_checkpoint(folder) could not write
/// there, so that a program fails before hours of work instead of after them. It does not detect a
/// full disk.
void check_can_save(const std::string& folder);

}  // namespace ebb
