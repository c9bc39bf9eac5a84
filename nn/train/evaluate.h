// Runs a model on data without training it: predictions, confusion matrix, validation.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ebb/nn/data/loader.h"
#include "ebb/nn/distributed/group.h"
#include "ebb/nn/module.h"
#include "ebb/nn/train/callback.h"
#include "ebb/nn/train/metrics.h"

namespace ebb::nn {

/// Computes the loss to minimize, a tensor of one element, from the model's output and the targets
/// of one batch.
using LossFunction = std::function<Tensor(const Tensor& scores, const Tensor& target)>;

/// A figure of a model: its name, and a function that computes it from the outputs for all samples
/// and their targets, which are on the CPU.
///
///     nn::Metric mae{"mae", [](const Tensor& scores, const Tensor& target) {
///                      return nn::l1_loss(scores, target).item();
///                    }};
struct Metric {
  std::string name;
  std::function<double(const Tensor& scores, const Tensor& target)> compute;
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

/// Returns "val_loss", the mean of the loss over all samples; "val_accuracy" if the targets are
/// class numbers; and each metric as "val_" + name. The model is in evaluation mode during the
/// call, and no graph is recorded. The ranks of a group share the samples, and all return the
/// figures of all samples. Throws Error if the loss has more than one element.
std::vector<std::pair<std::string, double>> validate(Layer& model, data::DataLoader& loader,
                                                     const LossFunction& loss,
                                                     const std::vector<Metric>& metrics = {},
                                                     const distributed::Group& group = {});
template <class M>
std::vector<std::pair<std::string, double>> validate(M& model, data::DataLoader& loader,
                                                     const LossFunction& loss,
                                                     const std::vector<Metric>& metrics = {},
                                                     const distributed::Group& group = {}) {
  return validate(*as_layer(model), loader, loss, metrics, group);
}

namespace detail {

/// Sums of the loss and of correct predictions over samples, on one device. Adding to them does not
/// wait for the device.
struct RunningFigures {
  explicit RunningFigures(Device device);

  /// Adds a batch. Throws Error that names op unless loss has one element.
  void add(std::string_view op, const Tensor& scores, const Tensor& target, const Tensor& loss,
           int64_t samples);
  /// Returns the sums over all ranks of a group.
  RunningFigures over(const distributed::Group& group) const;
  void clear();
  void move_to(Device device);
  double mean_loss() const;
  double accuracy() const;  ///< NaN unless the targets were class numbers

  Tensor loss_sum, correct;  // f64
  int64_t seen = 0;  // counted by the caller, because a captured step is not run by the host
  bool has_classes = false;
};

/// Returns the device of a model's first parameter; the CPU if it has none.
Device device_of(const Module& model);

}  // namespace detail
}  // namespace ebb::nn
