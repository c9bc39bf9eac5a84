// Trainer: the loop of training a model, with progress, checkpoints, resuming and a clean stop on Ctrl-C.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "ebb/core/cuda.h"
#include "ebb/nn/data/loader.h"
#include "ebb/nn/module.h"
#include "ebb/nn/optim/optimizer.h"
#include "ebb/nn/train/metrics.h"

namespace ebb::nn {

/// The scalar to be made small, from what the model gave for a batch and the batch's targets.
using LossFunction = std::function<Tensor(const Tensor& scores, const Tensor& target)>;

struct TrainerOptions {
  int64_t epochs = 10;
  std::string checkpoint = {};  ///< a folder, written after epochs and on Ctrl-C; none when empty
  double checkpoint_every =
      0;  ///< seconds: an epoch that ends sooner after the last checkpoint writes none, unless it
          ///< is the last one. 0: each writes one. Writing waits for the disk: 10 ms and more
  bool resume =
      false;  ///< go on from the checkpoint: bit for bit as if it had not stopped (same CPU, threads and
              ///< library versions)
  std::function<double(double progress)> lr_schedule =
      {};              ///< factor on the learning rate by the share of all steps done
  bool quiet = false;  ///< no output
  bool capture =
      false;  ///< on a GPU: run the steps of whole batches as one CUDA graph (cuda::CapturedStep)
};

class Trainer {
 public:
  /// Keeps references: model, optimizer and loader outlive the trainer. Targets may be of any kind that the loss takes;
  /// where they are one class number a sample, progress shows accuracy too.
  Trainer(Layer& model, Optimizer& optimizer, data::DataLoader& loader, LossFunction loss,
          TrainerOptions options);

  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the last epoch. False when Ctrl-C (SIGINT) or SIGTERM stopped it: the batch in hand is finished and a
  /// checkpoint is saved, so that --resume goes on there; the caller exits with 130.
  /// Throws Error when resuming from a checkpoint that is missing, damaged, of another architecture, or of a training
  /// with other batches or seed; then model and optimizer are as they were.
  bool run();

  /// Whether Ctrl-C or SIGTERM came during run(): so late, where run() gave true, that the training was finished all
  /// the same. A program that has more to do may stop then.
  bool interrupted() const { return interrupted_; }

  /// Seconds that the finished epochs took, and how many there were in this run.
  double seconds() const { return seconds_; }
  int64_t epochs_run() const { return epochs_run_; }

 private:
  bool run_epoch(int64_t epoch, class Progress* progress);
  void train_batch(const data::Batch& batch);
  void step(const Tensor& input, const Tensor& target);
  double mean_loss() const;
  double accuracy() const;
  void save(int64_t epoch, int64_t consumed);
  void restore();
  int64_t samples_before(int64_t epoch, int64_t consumed) const;

  Layer& model_;
  Optimizer& optimizer_;
  data::DataLoader& loader_;
  LossFunction loss_;
  TrainerOptions options_;
  double base_lr_;
  Device device_;  // the model's
  int64_t first_epoch_ = 0, first_batch_ = 0;
  // running sums of the epoch, saved with it; f64, on the device
  Tensor loss_sum_, correct_;
  int64_t seen_ = 0;
  bool has_classes_ = false;  // the targets are class numbers: accuracy has a meaning
  // the captured step and where it reads its batch
  Tensor input_, target_;
  std::unique_ptr<cuda::CapturedStep> captured_;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
  bool interrupted_ = false;
  double seconds_ = 0;
  int64_t epochs_run_ = 0;
};

/// What the model gives for the samples of a data set: (N, ...), on the CPU, in evaluation mode, batch by batch,
/// without a graph.
Tensor predict(Layer& model, const data::Dataset& dataset, int64_t batch_size = 1000);

/// The confusion matrix of a classifier over a data set whose targets are class numbers (N).
ConfusionMatrix evaluate(Layer& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size = 1000);

}  // namespace ebb::nn
