// Trainer: the loop of training a model, with progress, checkpoints, resuming and a clean stop on
// Ctrl-C.
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

/// Computes the loss to minimise, a tensor of one element, from the model's output and the targets
/// of one batch.
using LossFunction = std::function<Tensor(const Tensor& scores, const Tensor& target)>;

struct TrainerOptions {
  int64_t epochs = 10;
  /// The folder of the checkpoint, which is written after epochs and when training is stopped.
  /// Empty: no checkpoint.
  std::string checkpoint = {};
  /// The minimal number of seconds between checkpoints. With 0 each epoch writes one. The last
  /// epoch always does. Writing waits for the disk, which takes 10 ms and more.
  double checkpoint_every = 0;
  /// Continues from the checkpoint, bit for bit as if training had not stopped (with the same CPU,
  /// number of threads and library versions).
  bool resume = false;
  /// Returns the factor of the learning rate (of the optimizer's base_lr()) for the progress of
  /// this training, which is 0 at the first step and below 1 at the last. After run() the factor is
  /// 1.
  std::function<double(double progress)> lr_schedule = {};
  /// Prints nothing.
  bool quiet = false;
  /// On a GPU, runs the steps of whole batches as one CUDA graph (cuda::CapturedStep).
  bool capture = false;
};

/// Trains a model, with a progress line, checkpoints, resuming, and a clean stop on Ctrl-C.
///
///     nn::Trainer trainer(model, optimizer, loader, nn::CrossEntropyLoss(), {.epochs = 10, .checkpoint = "runs/a"});
///     if (!trainer.run()) return 130;  // stopped by Ctrl-C; the checkpoint is saved
///
/// Several trainers may run in different threads at the same time, each with its own model,
/// optimizer and loader. Thread-safety: any thread may call stop(). One thread at a time may call
/// the other members.
class Trainer {
 public:
  /// Keeps references to model, optimizer and loader, which must outlive the trainer. model is a
  /// Layer, or a Module with Tensor forward(const Tensor&). The loss determines the kind of
  /// targets. If they are one class number per sample, the progress line shows accuracy too. Throws
  /// Error for invalid options.
  template <class M>
  Trainer(M& model, Optimizer& optimizer, data::DataLoader& loader, LossFunction loss,
          TrainerOptions options)
      : Trainer(as_layer(model), optimizer, loader, std::move(loss), std::move(options)) {}

  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the last epoch. Returns false if Ctrl-C (SIGINT), SIGTERM or stop() stopped it.
  ///
  /// When it is stopped, it finishes the current batch and saves a checkpoint. A resumed training,
  /// or another run(), continues there. A signal that the program ignores stays ignored. A second
  /// signal has the effect that it had before run(). A model in evaluation mode is put into
  /// training mode. If the model is in training mode, its parts keep their modes.
  ///
  /// Throws Error at the start if the folder of the checkpoint cannot be written, or if another
  /// training saves there. When resuming, throws Error if the checkpoint is missing, damaged, or
  /// from another architecture, another optimizer or other batches. Model, optimizer and random
  /// numbers have then not changed.
  bool run();

  /// Makes run() stop after the current batch, as Ctrl-C does. The loss function, a schedule or
  /// another thread may call it. If run() is not active, the next run() stops after its first
  /// batch.
  void stop() noexcept { stop_asked_.store(true); }

  /// Returns true if a stop was requested during run(). If run() still returned true, training had
  /// already finished.
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
  Tensor first_parameter_;  // has the device of the model; undefined if the model has no parameters
  int64_t first_epoch_ = 0, first_batch_ = 0;
  // running sums of the epoch, which are saved; f64, on the device of the model
  Tensor loss_sum_, correct_;
  int64_t seen_ = 0;
  bool has_classes_ = false;  // the targets are class numbers, so accuracy is defined
  // the captured step, and the tensors from which it reads its batch
  Tensor input_, target_;
  std::unique_ptr<cuda::CapturedStep> captured_;
  // during run(): saves to the folder of the checkpoint
  std::unique_ptr<CheckpointWriter> writer_;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
  std::atomic<bool> stop_asked_ = false;
  const detail::StopSignals* signals_ = nullptr;  // during run()
  bool interrupted_ = false;
  double seconds_ = 0;
  int64_t epochs_run_ = 0;
};

/// Returns the outputs of the model for the samples of a data set: (N, ...), on the CPU. They are
/// computed in evaluation mode, batch by batch, without a graph. Afterwards, also after an
/// exception, every module has its previous mode.
Tensor predict(Layer& model, const data::Dataset& dataset, int64_t batch_size = 1000);
template <class M>
Tensor predict(M& model, const data::Dataset& dataset, int64_t batch_size = 1000) {
  return predict(*as_layer(model), dataset, batch_size);
}

/// Returns the confusion matrix of a classifier over a data set whose targets are class numbers
/// (N).
ConfusionMatrix evaluate(Layer& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size = 1000);
template <class M>
ConfusionMatrix evaluate(M& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size = 1000) {
  return evaluate(*as_layer(model), dataset, classes, batch_size);
}

}  // namespace ebb::nn
