// Callbacks for most trainings: early stopping, a file with the best model, a CSV log, and an error
// if the loss is not a number.
//
//   nn::Trainer trainer(model, optimizer, loader, nn::CrossEntropyLoss(),
//                       {.epochs = 100,
//                        .validation = &validation,
//                        .callbacks = {nn::early_stopping({.patience = 5}),
//                                      nn::csv_log("runs/a/history.csv")}});
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "ebb/nn/train/callback.h"

namespace ebb::nn {

/// The direction in which a figure improves.
enum class Mode : uint8_t { Min, Max };

/// The best value of a figure so far. NaN is never better.
class Best {
 public:
  /// min_delta: smaller changes are not improvements. Throws Error if it is negative or not finite.
  Best(std::string figure, Mode mode, double min_delta);

  /// Returns true if the record is better than the best one so far, and makes it the best.
  bool improves(const EpochRecord& record);
  double value() const { return value_; }
  int64_t epoch() const { return epoch_; }  ///< 0 before the first
  const std::string& figure() const { return figure_; }

  NamedTensors state_dict() const;
  void load_state_dict(const NamedTensors& state, std::string_view owner);

 private:
  std::string entry() const;

  std::string figure_;
  Mode mode_;
  double min_delta_, value_;
  int64_t epoch_ = 0;
};

struct EarlyStoppingOptions {
  std::string monitor = "val_loss";
  double min_delta = 0;
  int64_t patience = 3;
  Mode mode = Mode::Min;
  bool restore_best_weights = true;
};

/// Ends the training after `patience` epochs without an improvement of a figure.
///
/// With restore_best_weights, the model has the weights of its best epoch when run() returns or
/// throws. If a Trainer has several such callbacks, the first one decides. The model of the
/// checkpoint is that of the last epoch, and the best weights are part of the callback's state. A
/// resumed training therefore continues from the last epoch: after Ctrl-C, or with more epochs, or
/// with more patience.
class EarlyStopping : public Callback {
 public:
  /// Throws Error unless patience >= 1.
  explicit EarlyStopping(EarlyStoppingOptions options = {});

  std::string_view name() const override { return "early_stopping"; }
  void on_start(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochRecord& record) override;
  void on_end(Trainer& trainer, bool finished) override;
  NamedTensors state_dict() const override;
  void load_state_dict(const NamedTensors& state, const Trainer& trainer) override;

  /// Returns the epoch with the best figure, counted from 1; 0 before the first.
  int64_t best_epoch() const { return best_.epoch(); }
  double best_value() const { return best_.value(); }
  /// Returns true if it has ended the training.
  bool stopped() const { return waited_ >= options_.patience; }

 private:
  EarlyStoppingOptions options_;
  Best best_;
  int64_t waited_ = 0;
  NamedTensors weights_;  // of the best epoch
  NamedTensors last_;     // the last weights, while a training that can continue has the best ones
};

struct BestModelOptions {
  std::string monitor = "val_loss";
  Mode mode = Mode::Min;
};

/// Saves the weights as a safetensors file after each epoch that is better than all earlier ones.
class BestModel : public Callback {
 public:
  explicit BestModel(std::string path, BestModelOptions options = {});

  std::string_view name() const override { return "best_model"; }
  void on_epoch_end(Trainer& trainer, const EpochRecord& record) override;
  NamedTensors state_dict() const override { return best_.state_dict(); }
  void load_state_dict(const NamedTensors& state, const Trainer& trainer) override;

 private:
  std::string path_;
  Best best_;
};

/// Writes the figures of all epochs to a CSV file after each epoch (see write_csv).
class CsvLog : public Callback {
 public:
  explicit CsvLog(std::string path) : path_(std::move(path)) {}

  std::string_view name() const override { return "csv_log"; }
  void on_epoch_end(Trainer& trainer, const EpochRecord& record) override;

 private:
  std::string path_;
};

/// Throws Error after an epoch whose loss, or validation loss, is not finite.
class StopOnNaN : public Callback {
 public:
  std::string_view name() const override { return "stop_on_nan"; }
  void on_epoch_end(Trainer& trainer, const EpochRecord& record) override;
};

// Create callbacks for TrainerOptions::callbacks.
std::shared_ptr<EarlyStopping> early_stopping(EarlyStoppingOptions options = {});
std::shared_ptr<BestModel> best_model(std::string path, BestModelOptions options = {});
std::shared_ptr<CsvLog> csv_log(std::string path);
std::shared_ptr<StopOnNaN> stop_on_nan();

}  // namespace ebb::nn
