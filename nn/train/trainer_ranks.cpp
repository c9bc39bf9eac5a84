// The parts of Trainer that concern several ranks.
#include <algorithm>

#include "ebb/autograd/ops/operators.h"
#include "ebb/core/creation.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/nn/distributed/agreement.h"
#include "ebb/nn/distributed/average.h"
#include "ebb/nn/train/trainer.h"

namespace ebb::nn {
namespace {

// Draws that are not made by rows of the batch advance the generators of the ranks differently.
void copy_generator(const distributed::Group& group, int root) {
  Generator& generator = default_generator();
  const Tensor offset = from_data(std::vector{static_cast<int64_t>(generator.offset)}, {1});
  group.broadcast(offset, root);
  generator.offset = static_cast<uint64_t>(offset.item<int64_t>());
}

}  // namespace

// Checks that all ranks make the same training, and copies the state of rank 0 to the others.
void Trainer::join_ranks() {
  const distributed::Group& group = options_.group;
  if (group.size() == 1) return;
  if (options_.capture) fail("Trainer", "capture is for one rank, this run has ", group.size());
  // Gradients are averaged, and weights compared, through the model.
  const std::vector<Tensor> known = model_->parameters();
  for (const auto& [name, p] : optimizer_.named_parameters()) {
    const auto is_p = [&p](const Tensor& other) { return p.impl() == other.impl(); };
    if (std::ranges::none_of(known, is_p)) {
      fail("Trainer", "the optimizer has '", name,
           "', which is not a parameter of the model: with several ranks, register it there");
    }
  }
  std::vector<std::string> lines;
  const auto add = [&](std::string_view name, const auto& value) {
    lines.push_back(std::string(name) + " " + to_text(value));
  };
  const auto add_loader = [&](const std::string& name, const data::DataLoader& loader) {
    const data::LoaderOptions& o = loader.options();
    // Without the device: on ranks that share a GPU, it depends on the memory that was left.
    add(name + "inputs", loader.dataset().inputs().shape());
    add(name + "inputs", loader.dataset().inputs().dtype());
    add(name + "targets", loader.dataset().targets().shape());
    add(name + "targets", loader.dataset().targets().dtype());
    add(name + "batch_size", o.batch_size);
    add(name + "shuffle", o.shuffle);
    add(name + "seed", o.seed);
    add(name + "drop_last", o.drop_last);
    add(name + "unit_float", o.unit_float);
    add(name + "transform", static_cast<bool>(o.transform));
  };
  add_loader("loader.", loader_);
  if (options_.validation) add_loader("validation.", *options_.validation);
  for (const Metric& metric : options_.metrics) add("metric", metric.name);
  for (const auto& callback : options_.callbacks) add("callback", callback->name());
  add("epochs", options_.epochs);
  add("checkpoint", !options_.checkpoint.empty());
  add("resume", options_.resume);
  add("lr_schedule", static_cast<bool>(options_.lr_schedule));
  add("next epoch", first_epoch_);
  add("next batch", first_batch_);
  for (size_t k = 0; k < optimizer_.groups(); ++k) add("lr", optimizer_.base_lr(k));
  const GradOptions& g = optimizer_.grad_options();
  add("scale", g.scale);
  add("max_norm", g.max_norm);
  add("max_value", g.max_value);
  add("accumulate", g.accumulate);
  for (std::string& line : distributed::detail::described(model_->state_dict()))
    lines.push_back(std::move(line));
  for (const std::string& line : distributed::detail::described(optimizer_.state_dict()))
    lines.push_back("optimizer state " + line);
  distributed::detail::check_same(group, "Trainer", lines);
  // Sums of a run that ended while it accumulated differ between ranks, and belong to all.
  if (optimizer_.accumulated() > 0) distributed::average_gradients(*model_, group);
  distributed::detail::copy_state(group, *model_, optimizer_);
  loader_.shard(group.rank(), group.size());
  is_first_step_ = true;
}

// Makes one step with this rank's part of a batch. The mean over ranks of loss * weight is the mean
// of the loss over the batch, also where parts have different sizes.
void Trainer::train_part(const data::Batch& batch) {
  const distributed::Group& group = options_.group;
  const BatchRows rows = loader_.rows_of(loader_.consumed() - 1);
  optimizer_.zero_grad();
  if (rows.count > 0) {
    const BatchRowsScope scope(rows);
    const Tensor input = batch.input.to(device()), target = batch.target.to(device());
    const Tensor scores = (*model_)(input);
    const Tensor loss = loss_(scores, target);
    running_.add("Trainer", scores, target, loss, input.size(0));
    const double weight =
        static_cast<double>(rows.count * group.size()) / static_cast<double>(rows.total);
    (weight == 1 ? loss : loss * weight).backward();
  } else {
    const NoGrad guard;
    for (const Tensor& p : model_->parameters()) {
      if (p.requires_grad() && !p.grad().defined()) p.set_grad(zeros_like(p));
    }
  }
  if (rows.total % group.size() != 0) copy_generator(group, group.size() - 1);
  if (optimizer_.accumulated() + 1 == optimizer_.grad_options().accumulate)
    distributed::average_gradients(*model_, group);
  optimizer_.step();
  running_.seen += batch.input.size(0);
  if (is_first_step_) check_replicas("after the first step");
  is_first_step_ = false;
}

// Throws Error on every rank unless all have the same weights. Different options of optimizers, or
// other arithmetic of a CPU, would else remain unnoticed.
void Trainer::check_replicas(std::string_view when) const {
  distributed::detail::check_same_bits(options_.group, "Trainer", model_->named_parameters(), when);
}

// Buffers, such as the running means of BatchNorm, follow the part of their rank.
void Trainer::settle_ranks(std::string_view when) const {
  if (options_.group.size() == 1) return;
  check_replicas(when);
  for (const auto& [name, buffer] : model_->named_buffers()) options_.group.broadcast(buffer);
}

}  // namespace ebb::nn
