// Trainer: the loop of training a classifier, with progress, checkpoints, resuming and a clean stop on Ctrl-C.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ebb/core/cuda.h"
#include "ebb/nn/data/loader.h"
#include "ebb/nn/module.h"
#include "ebb/nn/optim.h"
#include "ebb/nn/train/metrics.h"

namespace ebb::nn {

using LossFunction = std::function<Tensor(const Tensor& scores, const Tensor& target)>;

struct TrainerOptions {
  int64_t epochs = 10;
  std::string checkpoint;  ///< a folder, written after each epoch and on Ctrl-C; none when empty
  bool resume = false;     ///< go on from the checkpoint: bit for bit as if it had not stopped (same CPU, threads and
                           ///< library versions)
  std::function<double(double progress)> lr_schedule =
      {};                ///< factor on the learning rate by the share of all steps done
  bool quiet = false;    ///< no output
  bool capture = false;  ///< on a GPU: run the steps of whole batches as one CUDA graph (cuda::CapturedStep)
};

class Trainer {
 public:
  /// Keeps references: model, optimizer and loader outlive the trainer.
  Trainer(Layer& model, Optimizer& optimizer, data::DataLoader& loader, LossFunction loss, TrainerOptions options);

  /// Trains to the last epoch. False when Ctrl-C (SIGINT) or SIGTERM stopped it: the batch in hand is finished and a
  /// checkpoint is saved, so that --resume goes on there; the caller exits with 130.
  /// Throws Error when resuming from a checkpoint that is missing, damaged, of another architecture, or of a training
  /// with other batches or seed; then model and optimizer are as they were.
  bool run();

  /// Seconds that the finished epochs took, and how many there were in this run.
  double seconds() const { return seconds_; }
  int64_t epochs_run() const { return epochs_run_; }

 private:
  bool run_epoch(int64_t epoch, class Progress* progress);
  void train_batch(const data::Batch& batch);
  void step(const Tensor& input, const Tensor& target);
  void save(int64_t epoch, int64_t consumed) const;
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
  // the captured step and where it reads its batch
  Tensor input_, target_;
  std::unique_ptr<cuda::CapturedStep> captured_;
  double seconds_ = 0;
  int64_t epochs_run_ = 0;
};

/// The confusion matrix of a classifier over a data set, in evaluation mode, batch by batch.
ConfusionMatrix evaluate(Layer& model, const data::Dataset& dataset, int64_t classes, int64_t batch_size = 1000);

}  // namespace ebb::nn
