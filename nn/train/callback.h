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
  int64_t epoch = 0;  ///< 1 for the first
  std::vector<std::pair<std::string, double>> values = {};

  bool has(std::string_view name) const;
  /// Throws Error that lists the names which exist.
  double at(std::string_view name) const;
};

/// Writes one line for each epoch as CSV, with a header: epoch, then the names of the figures. A
/// figure that an epoch lacks is empty. The file is replaced in one step.
/// Throws Error if the file cannot be written.
void write_csv(const std::string& path, const std::vector<EpochRecord>& history);

/// Is told of the course of a training. A class of your own overrides what it needs:
///
///     struct Print : nn::Callback {
///       std::string_view name() const override { return "print"; }
///       void on_epoch_end(nn::Trainer&, const nn::EpochRecord& record) override {
///         std::cout << record.epoch << ": " << record.at("val_loss") << "\n";
///       }
///     };
///
/// An exception of a callback ends run(), which throws it; the checkpoint then is that of an
/// earlier epoch. To continue, make a new Trainer that resumes.
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
  /// Runs at the end of run(), also when it throws, in the reverse order of the callbacks.
  /// finished: the training ended; false if it was stopped and can go on.
  virtual void on_end(Trainer& trainer, bool finished);

  /// Returns what a resumed training needs to go on as if it had not stopped.
  virtual NamedTensors state_dict() const;
  /// Takes that state. Throws Error if it does not fit, and then changes nothing.
  virtual void load_state_dict(const NamedTensors& state, const Trainer& trainer);
};

}  // namespace ebb::nn
