// Callback: code that runs after each epoch of a Trainer, with state that its checkpoints save.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb::nn {

class Trainer;

/// The figures of one epoch, in this order: "loss" and "accuracy" of the training, "lr" of the last
/// step, and with validation data "val_loss", "val_accuracy" and the metrics as "val_" + name.
/// Accuracies exist only if the targets are class numbers.
struct EpochRecord {
  int64_t epoch = 0;  ///< counted from 1
  std::vector<std::pair<std::string, double>> values = {};

  bool has(std::string_view name) const;
  /// Returns the figure of that name. Throws Error that lists the names if there is none.
  double at(std::string_view name) const;
};

/// Writes one line for each epoch as CSV, with a header: epoch, then the names of the figures. A
/// figure that an epoch does not have is empty. The file is replaced atomically. Throws Error if it
/// cannot be written.
void write_csv(const std::string& path, const std::vector<EpochRecord>& history);

/// An object whose functions a Trainer calls during a training. Derived classes override what they
/// need:
///
///     struct Print : nn::Callback {
///       std::string_view name() const override { return "print"; }
///       void on_epoch_end(nn::Trainer&, const nn::EpochRecord& record) override {
///         std::cout << record.epoch << ": " << record.at("val_loss") << "\n";
///       }
///     };
///
/// If a callback throws, run() ends and rethrows the exception. The checkpoint is then that of an
/// earlier epoch. To continue, construct a new Trainer that resumes.
class Callback {
 public:
  Callback() = default;
  virtual ~Callback() = default;
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

  /// Returns the name under which checkpoints save the state.
  virtual std::string_view name() const = 0;
  /// Runs before the first batch, after a resume has restored everything.
  virtual void on_start(Trainer& trainer);
  /// Runs after each epoch and its validation, before the checkpoint is saved.
  virtual void on_epoch_end(Trainer& trainer, const EpochRecord& record);
  /// Runs at the end of run(), in the reverse order of the callbacks, also if run() throws.
  /// `finished` is false if the training was stopped and can continue.
  virtual void on_end(Trainer& trainer, bool finished);

  /// Returns the state with which a resumed training continues as if it had not been stopped.
  virtual NamedTensors state_dict() const;
  /// Restores a state. Throws Error if it does not fit, and changes nothing then.
  virtual void load_state_dict(const NamedTensors& state, const Trainer& trainer);
};

}  // namespace ebb::nn
