// Trainer: the loop of training a model, with progress, checkpoints, resuming and a clean stop on Ctrl-C.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "ebb/core/cuda.h"
#include "ebb/nn/data/loader.h"
#include "ebb/nn/module.h"
#include "ebb/nn/optim/optimizer.h"
#include "ebb/nn/serialize/checkpoint.h"
#include "ebb/nn/train/metrics.h"
#include "ebb/nn/train/stop_signals.h"

namespace ebb::nn {

/// Computes the loss to minimise, a tensor of one element, from the model's output and the targets of one batch.
using LossFunction = std::function<Tensor(const Tensor& scores, const Tensor& target)>;

struct TrainerOptions {
  int64_t epochs = 10;
  /// A folder, written after epochs and when the training is stopped; none when empty.
  std::string checkpoint = {};
  /// The least number of seconds between checkpoints. The last epoch always writes one, and with 0 each epoch does.
  /// Writing waits for the disk: 10 ms and more.
  double checkpoint_every = 0;
  /// Go on from the checkpoint: bit for bit as if the training had not stopped (same CPU, threads and library versions).
  bool resume = false;
  /// The factor on the learning rate of the optimizer (its base_lr()) by the share of this training's steps that have
  /// been made: 0 at the first step, below 1 at the last. The factor is 1 again after run().
  std::function<double(double progress)> lr_schedule = {};
  /// No output.
  bool quiet = false;
  /// On a GPU: run the steps of whole batches as one CUDA graph (cuda::CapturedStep).
  bool capture = false;
};

/// Trains a model: batches, loss, backward, optimizer step, with progress, checkpoints, resuming and a clean stop.
///
///     nn::Trainer trainer(model, optimizer, loader, nn::CrossEntropyLoss(), {.epochs = 10, .checkpoint = "runs/a"});
///     if (!trainer.run()) return 130;  // stopped by Ctrl-C; the checkpoint is saved
///
/// Several trainers may run in several threads at once, each with a model, optimizer and loader of its own.
/// Thread-safety: stop() may be called from any thread, all else from one thread at a time.
class Trainer {
 public:
  /// Keeps references: model, optimizer and loader outlive the trainer. model: a Layer, or a Module with
  /// Tensor forward(const Tensor&). Targets may be of any kind that the loss takes; where they are one class number a
  /// sample, progress shows accuracy too.
  /// Throws Error for options that make no sense.
  template <class M>
  Trainer(M& model, Optimizer& optimizer, data::DataLoader& loader, LossFunction loss,
          TrainerOptions options)
      : Trainer(as_layer(model), optimizer, loader, std::move(loss), std::move(options)) {}

  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the last epoch. Returns false when Ctrl-C (SIGINT), SIGTERM or stop() stopped it: the batch in hand is
  /// finished and a checkpoint is saved, so that a resume goes on there, as does run() when it is called again.
  /// A signal that the program ignores is ignored; a second one does what it did before run(). A model in evaluation
  /// mode is put into training mode; in one that is in training mode each part keeps the mode that it has.
  /// Throws Error at the start when the checkpoint's folder cannot be written or another training saves there, and when
  /// resuming from a checkpoint that is missing, damaged, of another architecture or optimizer, or of a training with
  /// other batches; then model, optimizer and random numbers are as they were.
  bool run();

  /// Asks run() to stop after the batch in hand, as Ctrl-C does: from the loss function, a schedule or another thread.
  /// While nothing runs it asks the next run(), which then stops after its first batch.
  void stop() noexcept { stop_asked_.store(true); }

  /// Returns true if a stop was asked for during run(). If run() still returned true, training had already finished.
  bool interrupted() const { return interrupted_; }

  /// Returns the seconds that the finished epochs took.
  double seconds() const { return seconds_; }
  /// Returns the number of epochs that were finished.
  int64_t epochs_run() const { return epochs_run_; }

 private:
  Trainer(std::shared_ptr<Layer> model, Optimizer& optimizer, data::DataLoader& loader,
          LossFunction loss, TrainerOptions options);
  bool run_epochs(class Progress* progress);
  bool run_epoch(int64_t epoch, class Progress* progress);
  void train_batch(const data::Batch& batch);
  void step(const Tensor& input, const Tensor& target);
  Device device() const;
  void follow_model();
  bool should_stop() const;
  double mean_loss() const;
  double accuracy() const;
  void save(int64_t epoch, int64_t consumed);
  void restore();
  int64_t samples_before(int64_t epoch, int64_t consumed) const;

  std::shared_ptr<Layer> model_;
  Optimizer& optimizer_;
  data::DataLoader& loader_;
  LossFunction loss_;
  TrainerOptions options_;
  Tensor first_parameter_;  // tells where the model is; undefined when it has none
  int64_t first_epoch_ = 0, first_batch_ = 0;
  // running sums of the epoch, saved with it; f64, on the model's device
  Tensor loss_sum_, correct_;
  int64_t seen_ = 0;
  bool has_classes_ = false;  // the targets are class numbers: accuracy has a meaning
  // the captured step and where it reads its batch
  Tensor input_, target_;
  std::unique_ptr<cuda::CapturedStep> captured_;
  // during run(): the right to save to the checkpoint's folder
  std::unique_ptr<CheckpointWriter> writer_;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
  std::atomic<bool> stop_asked_ = false;
  const detail::StopSignals* signals_ = nullptr;  // while run() runs
  bool interrupted_ = false;
  double seconds_ = 0;
  int64_t epochs_run_ = 0;
};

/// Returns the model's outputs for the samples of a data set: (N, ...), on the CPU, computed in evaluation mode, batch by
/// batch, without a graph. Every module is in its own mode again afterwards, also when it throws.
Tensor predict(Layer& model, const data::Dataset& dataset, int64_t batch_size = 1000);
template <class M>
Tensor predict(M& model, const data::Dataset& dataset, int64_t batch_size = 1000) {
  return predict(*as_layer(model), dataset, batch_size);
}

/// Returns the confusion matrix of a classifier over a data set whose targets are class numbers (N).
ConfusionMatrix evaluate(Layer& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size = 1000);
template <class M>
ConfusionMatrix evaluate(M& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size = 1000) {
  return evaluate(*as_layer(model), dataset, classes, batch_size);
}

}  // namespace ebb::nn
