// Trainer: the loop of training a model, with progress, checkpoints, resuming and a clean stop on
// Ctrl-C.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "ebb/core/cuda.h"
#include "ebb/nn/data/loader.h"
#include "ebb/nn/distributed/group.h"
#include "ebb/nn/module.h"
#include "ebb/nn/optim/optimizer.h"
#include "ebb/nn/serialize/checkpoint.h"
#include "ebb/nn/train/callback.h"
#include "ebb/nn/train/evaluate.h"
#include "ebb/nn/train/stop_signals.h"

namespace ebb::nn {

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
  /// On a GPU, runs the steps of whole batches as one CUDA graph (cuda::CapturedStep). If the data
  /// set is there too, the graph gathers its batch.
  bool capture = false;
  /// The data on which the model is evaluated after each epoch, or null. REQUIRES that the loader
  /// outlives the trainer.
  data::DataLoader* validation = nullptr;
  /// Figures to compute on the validation data, in addition to loss and accuracy.
  std::vector<Metric> metrics = {};
  /// Run after each epoch, in this order. Their state is part of the checkpoint.
  std::vector<std::shared_ptr<Callback>> callbacks = {};
  /// The processes that share each batch: all that mpirun started. Group() trains alone.
  distributed::Group group = distributed::Group::world();
};

/// Trains a model, with a progress line, checkpoints, resuming, and a clean stop on Ctrl-C.
///
///     nn::Trainer trainer(model, optimizer, loader, nn::CrossEntropyLoss(),
///                         {.epochs = 10, .checkpoint = "runs/a"});
///     if (!trainer.run()) return 130;  // stopped by Ctrl-C; the checkpoint is saved
///
/// The ranks of a group train one model: batch_size and all figures are those of all ranks, rank 0
/// prints and saves, and callbacks run on every rank. docs/distributed.md has the details.
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

  /// Ends the training after the current epoch, as if it were the last one, so run() returns true.
  /// Callbacks call it. In on_start() it ends the training before the first batch.
  void finish() noexcept { finish_asked_ = true; }

  /// Returns the figures of all finished epochs of this training, also of those before a resume.
  const std::vector<EpochRecord>& history() const { return history_; }
  Layer& model() const { return *model_; }
  Optimizer& optimizer() const { return optimizer_; }
  const distributed::Group& group() const { return options_.group; }

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
  bool run_with_callbacks(class Progress* progress);
  void end_callbacks(bool finished, std::exception_ptr first);
  bool run_epoch(int64_t epoch, class Progress* progress);
  void train_batch(const data::DataLoader::Iterator& batch);
  void train_captured(const data::DataLoader::Iterator& batch);
  bool can_capture(const data::DataLoader::Iterator& batch) const;
  void step(const Tensor& input, const Tensor& target);
  Device device() const;
  bool is_data_on_device() const;
  void follow_model();
  bool should_stop() const;
  void join_ranks();
  void train_part(const data::Batch& batch);
  void check_replicas(std::string_view when) const;
  void settle_ranks(std::string_view when) const;
  bool prints() const { return !options_.quiet && options_.group.is_first(); }
  EpochRecord record_of(int64_t epoch) const;
  NamedTensors callback_states() const;
  void load_callback_states(const NamedTensors& states);
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
  detail::RunningFigures running_;  // of the epoch, saved with it
  std::vector<EpochRecord> history_;
  bool finish_asked_ = false;
  bool is_first_step_ = false;
  // the captured step, and the tensors from which it reads a batch that it does not gather itself
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

}  // namespace ebb::nn
