#include "ebb/nn/train/evaluate.h"

#include <algorithm>
#include <limits>

#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/training.h"
#include "ebb/nn/class_numbers.h"

namespace ebb::nn {

Tensor predict(Layer& model, const data::Dataset& dataset, int64_t batch_size) {
  const NoGrad guard;
  const ModeGuard mode(model, false);
  std::vector<Tensor> parts;
  const Device device = detail::device_of(model);
  const bool copies = dataset.device() == Device::cpu();
  data::DataLoader loader(dataset,
                          {.batch_size = batch_size, .device = copies ? device : dataset.device()});
  for (const data::Batch& batch : loader)
    parts.push_back(model(batch.input.to(device)).to(Device::cpu()));
  return cat(parts);
}

ConfusionMatrix evaluate(Layer& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size) {
  ConfusionMatrix matrix(classes);
  matrix.add(argmax(predict(model, dataset, batch_size), 1), dataset.targets());
  return matrix;
}

namespace {

// Restricts a loader to one rank's part for a scope. A group of one changes nothing.
class [[nodiscard]] ShardScope {
 public:
  ShardScope(data::DataLoader& loader, const distributed::Group& group)
      : loader_(loader), before_(loader.shard()), is_shared_(group.size() > 1) {
    if (is_shared_) loader_.shard(group.rank(), group.size());
  }
  ~ShardScope() {
    if (is_shared_) loader_.shard(before_.first, before_.second);
  }
  ShardScope(const ShardScope&) = delete;
  ShardScope& operator=(const ShardScope&) = delete;

 private:
  data::DataLoader& loader_;
  const std::pair<int64_t, int64_t> before_;
  const bool is_shared_;
};

// Returns the rows of all ranks in the order of the batches, from those of this rank by batch. An
// undefined tensor is a batch without rows.
Tensor in_order(const std::vector<Tensor>& batches, const distributed::Group& group) {
  if (group.size() == 1) return cat(batches);
  std::vector<int64_t> rows;
  std::vector<Tensor> own;
  for (const Tensor& batch : batches) {
    rows.push_back(batch.defined() ? batch.size(0) : 0);
    if (batch.defined()) own.push_back(batch);
  }
  const Tensor counts = from_data(rows, {static_cast<int64_t>(rows.size())});
  const std::vector<Tensor> all_counts = group.all_gather(counts);
  const std::vector<Tensor> all = group.all_gather(own.empty() ? empty({0}) : cat(own));
  std::vector<Tensor> parts;
  std::vector<int64_t> at(all.size());
  for (int64_t k = 0; k < counts.numel(); ++k) {
    for (size_t r = 0; r < all.size(); ++r) {
      const auto n = all_counts[r][k].item<int64_t>();
      if (n > 0) parts.push_back(slice(all[r], 0, at[r], at[r] + n));
      at[r] += n;
    }
  }
  return cat(parts);
}

}  // namespace

std::vector<std::pair<std::string, double>> validate(Layer& model, data::DataLoader& loader,
                                                     const LossFunction& loss,
                                                     const std::vector<Metric>& metrics,
                                                     const distributed::Group& group) {
  const NoGrad guard;
  const ModeGuard mode(model, false);
  const ShardScope shard(loader, group);
  const Device device = detail::device_of(model);
  detail::RunningFigures sums(device);
  std::vector<Tensor> all_scores, all_targets;
  for (const data::Batch& batch : loader) {
    if (batch.input.size(0) == 0) {
      all_scores.emplace_back();
      all_targets.emplace_back();
      continue;
    }
    const Tensor target = batch.target.to(device);
    const Tensor scores = model(batch.input.to(device));
    sums.add("validate", scores, target, loss(scores, target), scores.size(0));
    sums.seen += scores.size(0);
    if (metrics.empty()) continue;
    all_scores.push_back(scores.to(Device::cpu()));
    all_targets.push_back(target.to(Device::cpu()));
  }
  sums = sums.over(group);
  std::vector<std::pair<std::string, double>> figures{{"val_loss", sums.mean_loss()}};
  if (sums.has_classes) figures.emplace_back("val_accuracy", sums.accuracy());
  if (metrics.empty()) return figures;
  const Tensor scores = in_order(all_scores, group), targets = in_order(all_targets, group);
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
  if (loss.device() != loss_sum.device())
    fail(op, "expected a loss on ", loss_sum.device(), ", got one on ", loss.device());
  const Tensor value = loss.detach().to(loss.is_floating_point() ? loss.dtype() : DType::F64);
  FiguresArgs figures{
      .loss = &value, .samples = static_cast<double>(samples), .loss_sum = &loss_sum};
  has_classes =
      scores.dim() == 2 && target.dim() == 1 && detail::holds_class_numbers(target.dtype());
  Tensor rows, classes;
  if (has_classes) {
    detail::check_class_scores(op, scores, target);
    rows = scores.detach().contiguous();
    classes = target.contiguous();
    figures.scores = &rows;
    figures.target = &classes;
    figures.correct = &correct;
  }
  training_kernels(loss_sum.device()).add_figures(figures);
}

RunningFigures RunningFigures::over(const distributed::Group& group) const {
  RunningFigures all = *this;
  if (group.size() == 1) return all;
  const std::vector<double> own{loss_sum.item(), correct.item(), static_cast<double>(seen),
                                has_classes ? 1.0 : 0.0};
  const Tensor sums = from_data(own, {4});
  group.all_reduce(sums);
  const auto device = loss_sum.device();
  all.loss_sum = sums[0].clone().to(device);
  all.correct = sums[1].clone().to(device);
  all.seen = sums[2].item<int64_t>();
  all.has_classes = sums[3].item() > 0;
  return all;
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
