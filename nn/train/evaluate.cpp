#include "ebb/nn/train/evaluate.h"

#include <algorithm>
#include <limits>

#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/class_numbers.h"

namespace ebb::nn {

Tensor predict(Layer& model, const data::Dataset& dataset, int64_t batch_size) {
  const NoGrad guard;
  const ModeGuard mode(model, false);
  std::vector<Tensor> parts;
  data::DataLoader loader(dataset, {.batch_size = batch_size, .device = detail::device_of(model)});
  for (const data::Batch& batch : loader) parts.push_back(model(batch.input).to(Device::cpu()));
  return cat(parts);
}

ConfusionMatrix evaluate(Layer& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size) {
  ConfusionMatrix matrix(classes);
  matrix.add(argmax(predict(model, dataset, batch_size), 1), dataset.targets());
  return matrix;
}

std::vector<std::pair<std::string, double>> validate(Layer& model, data::DataLoader& loader,
                                                     const LossFunction& loss,
                                                     const std::vector<Metric>& metrics) {
  const NoGrad guard;
  const ModeGuard mode(model, false);
  const Device device = detail::device_of(model);
  detail::RunningFigures sums(device);
  std::vector<Tensor> all_scores, all_targets;
  for (const data::Batch& batch : loader) {
    const Tensor target = batch.target.to(device);
    const Tensor scores = model(batch.input.to(device));
    sums.add("validate", scores, target, loss(scores, target), scores.size(0));
    sums.seen += scores.size(0);
    if (metrics.empty()) continue;
    all_scores.push_back(scores.to(Device::cpu()));
    all_targets.push_back(target.to(Device::cpu()));
  }
  std::vector<std::pair<std::string, double>> figures{{"val_loss", sums.mean_loss()}};
  if (sums.has_classes) figures.emplace_back("val_accuracy", sums.accuracy());
  if (metrics.empty()) return figures;
  const Tensor scores = cat(all_scores), targets = cat(all_targets);
  for (const Metric& metric : metrics)
    figures.emplace_back("val_" + metric.name, metric.compute(scores, targets));
  return figures;
}

namespace detail {

RunningFigures::RunningFigures(Device device)
    : loss_sum(zeros({}, {.dtype = DType::F64, .device = device})), correct(zeros_like(loss_sum)) {}

void RunningFigures::add(std::string_view op, const Tensor& scores, const Tensor& target,
                         const Tensor& loss, int64_t samples) {
  check_defined(op, loss);
  if (loss.numel() != 1) fail(op, "expected a loss of one element, got ", loss);
  const NoGrad guard;
  loss_sum.add_(reshape(loss.detach().to(DType::F64), {}), static_cast<double>(samples));
  has_classes =
      scores.dim() == 2 && target.dim() == 1 && detail::holds_class_numbers(target.dtype());
  if (has_classes) correct.add_(count_correct(scores.detach(), target));
}

void RunningFigures::clear() {
  seen = 0;
  for (Tensor* total : {&loss_sum, &correct}) total->zero_();
}

void RunningFigures::move_to(Device device) {
  loss_sum = loss_sum.to(device);
  correct = correct.to(device);
}

double RunningFigures::mean_loss() const {
  return loss_sum.item() / static_cast<double>(std::max<int64_t>(seen, 1));
}

double RunningFigures::accuracy() const {
  if (!has_classes) return std::numeric_limits<double>::quiet_NaN();
  return correct.item() / static_cast<double>(std::max<int64_t>(seen, 1));
}

Device device_of(const Module& model) {
  const std::vector<Tensor> parameters = model.parameters();
  return parameters.empty() ? Device::cpu() : parameters[0].device();
}

}  // namespace detail
}  // namespace ebb::nn
