#include "ebb/nn/train/trainer.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>

#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/nn/class_numbers.h"
#include "ebb/nn/distributed/agreement.h"
#include "ebb/nn/distributed/average.h"
#include "ebb/nn/train/progress.h"
#include "ebb/nn/train/training_state.h"

namespace ebb::nn {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Returns the device of a model, which is that of its first parameter.
Tensor first_parameter(const Module& model) {
  const std::vector<Tensor> parameters = model.parameters();
  return parameters.empty() ? Tensor() : parameters[0];
}

// Calls a function at the end of a scope.
template <class F> class AtEnd {
 public:
  explicit AtEnd(F f) : f_(std::move(f)) {}
  ~AtEnd() { f_(); }
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;

 private:
  F f_;
};

void check_options(const TrainerOptions& options, const data::DataLoader& loader) {
  constexpr int64_t kMostSamples = int64_t{1} << 53;
  const int64_t samples = loader.dataset().size();
  if (samples == 0) fail("Trainer", "the loader has no samples: it was moved from");
  if (options.epochs < 1) fail("Trainer", "expected at least 1 epoch, got ", options.epochs);
  if (options.epochs > kMostSamples / samples) {
    fail("Trainer", options.epochs, " epochs of ", samples, " samples are more than 2^53 samples");
  }
  if (options.resume && options.checkpoint.empty())
    fail("Trainer", "resuming needs a checkpoint folder");
  if (!options.metrics.empty() && !options.validation)
    fail("Trainer", "metrics need validation data");
  if (!(options.checkpoint_every >= 0))
    fail("Trainer", "expected checkpoint_every >= 0, got ", options.checkpoint_every);
  std::vector<std::string> names{"loss", "accuracy"};
  for (const Metric& metric : options.metrics) {
    if (!metric.compute) fail("Trainer", "the metric '", metric.name, "' has no function");
    if (std::find(names.begin(), names.end(), metric.name) != names.end())
      fail("Trainer", "two figures of the validation are called '", metric.name, "'");
    names.push_back(metric.name);
  }
  std::vector<std::string> prefixes;
  for (size_t k = 0; k < options.callbacks.size(); ++k) {
    const auto begin = options.callbacks.begin();
    if (!options.callbacks[k]) fail("Trainer", "a callback is null");
    if (std::find(begin, begin + static_cast<int64_t>(k), options.callbacks[k]) !=
        begin + static_cast<int64_t>(k))
      fail("Trainer", "the callback '", options.callbacks[k]->name(), "' is given twice");
    prefixes.push_back(detail::callback_prefix(options.callbacks, k));
    if (std::find(prefixes.begin(), prefixes.end() - 1, prefixes.back()) != prefixes.end() - 1)
      fail("Trainer", "two callbacks save their state as '", prefixes.back(), "'");
  }
}

void check_can_capture(Device device) {
  if (device == Device::cpu())
    fail("Trainer", "capture needs a model on a GPU, this one is on the cpu");
}

}  // namespace

Trainer::Trainer(std::shared_ptr<Layer> model, Optimizer& optimizer, data::DataLoader& loader,
                 LossFunction loss, TrainerOptions options)
    : model_(std::move(model)),
      optimizer_(optimizer),
      loader_(loader),
      loss_(std::move(loss)),
      options_(std::move(options)),
      first_parameter_(first_parameter(*model_)),
      running_(device()) {
  check_options(options_, loader_);
  if (!loss_) fail("Trainer", "the loss has no function");
  if (options_.capture) check_can_capture(device());
}

Device Trainer::device() const {
  return first_parameter_.defined() ? first_parameter_.device() : Device::cpu();
}

bool Trainer::is_data_on_device() const {
  return device() != Device::cpu() && loader_.dataset().device() == device();
}

// The model may have been moved. The sums follow, and a captured step is discarded.
void Trainer::follow_model() {
  const Device now = device();
  if (running_.loss_sum.device() == now) return;
  if (options_.capture) check_can_capture(now);
  captured_.reset();
  input_ = target_ = Tensor();
  running_.move_to(now);
}

bool Trainer::should_stop() const {
  return stop_asked_.load() || (signals_ && signals_->arrived());
}

bool Trainer::run() {
  check_options(options_, loader_);
  captured_.reset();  // it refers to the tensors of a loader that may have been replaced
  input_ = target_ = Tensor();
  follow_model();
  const AtEnd unlock([this, shard = loader_.shard()] {
    writer_.reset();
    loader_.shard(shard.first, shard.second);
  });
  join_ranks();
  if (options_.resume) restore();
  else if (!options_.checkpoint.empty() && options_.group.is_first())
    writer_ = std::make_unique<CheckpointWriter>(options_.checkpoint);
  const detail::StopSignals signals(options_.group.size() > 1);
  signals_ = &signals;
  const AtEnd cleanup([&] {
    signals_ = nullptr;
    stop_asked_ = false;
    if (options_.lr_schedule) optimizer_.set_lr_factor(1);
  });
  interrupted_ = false;
  std::unique_ptr<Progress> progress;
  if (prints()) {
    if (first_epoch_ >= options_.epochs) {
      std::printf("nothing left to train: epoch %lld of %lld\n",
                  static_cast<long long>(first_epoch_), static_cast<long long>(options_.epochs));
    }
    progress = std::make_unique<Progress>(samples_before(options_.epochs, 0),
                                          samples_before(first_epoch_, first_batch_));
  }
  if (!model_->is_training()) model_->train();
  const bool finished = run_with_callbacks(progress.get());
  interrupted_ = options_.group.any_of(should_stop()) != 0;
  return finished;
}

bool Trainer::run_with_callbacks(Progress* progress) {
  if (first_epoch_ == 0 && first_batch_ == 0) history_.clear();
  finish_asked_ = false;
  bool finished = false;
  try {
    for (const std::shared_ptr<Callback>& callback : options_.callbacks) callback->on_start(*this);
    finish_asked_ = options_.group.any_of(finish_asked_) != 0;
    if (finish_asked_ && prints() && first_epoch_ < options_.epochs)
      std::printf("nothing left to train: a callback has ended this training\n");
    finished = run_epochs(progress);
  } catch (...) {
    end_callbacks(false, std::current_exception());
  }
  end_callbacks(finished, nullptr);
  return finished;
}

// Every callback gets its on_end(). The first exception tells most.
void Trainer::end_callbacks(bool finished, std::exception_ptr first) {
  for (auto callback = options_.callbacks.rbegin(); callback != options_.callbacks.rend();
       ++callback) {
    try {
      (*callback)->on_end(*this, finished);
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

// Stores the position where the next run() continues.
bool Trainer::run_epochs(Progress* progress) {
  for (; first_epoch_ < options_.epochs && !finish_asked_;) {
    const auto start = Clock::now();
    const bool goes_on = run_epoch(first_epoch_, progress);
    if (!goes_on && first_batch_ > 0) return false;
    seconds_ += seconds_since(start);
    ++epochs_run_;
    if (!goes_on) return false;
  }
  first_epoch_ = first_batch_ = 0;
  return true;
}

bool Trainer::run_epoch(int64_t epoch, Progress* progress) {
  const std::string label =
      "epoch " + std::to_string(epoch + 1) + "/" + std::to_string(options_.epochs);
  loader_.set_epoch(epoch);
  if (first_batch_ > 0) {
    loader_.skip(first_batch_);
  } else {
    running_.clear();
  }
  for (auto batch = loader_.begin(); batch != loader_.end(); ++batch) {
    if (options_.lr_schedule) {
      const auto batches = static_cast<double>(loader_.size());
      const double done =
          static_cast<double>(epoch) * batches + static_cast<double>(loader_.consumed() - 1);
      optimizer_.set_lr_factor(
          options_.lr_schedule(done / (batches * static_cast<double>(options_.epochs))));
    }
    train_batch(batch);
    // Ranks decide together, because signals and clocks differ between them.
    constexpr uint64_t kStop = 1, kShow = 2;
    const bool is_due = progress && progress->is_due();
    const uint64_t asked =
        options_.group.any_of((should_stop() ? kStop : 0) | (is_due ? kShow : 0));
    if (asked & kShow) {
      const detail::RunningFigures all = running_.over(options_.group);
      if (progress) {
        progress->update(label, samples_before(epoch, loader_.consumed()), all.mean_loss(),
                         all.accuracy());
      }
    }
    if ((asked & kStop) && loader_.consumed() < loader_.size()) {
      first_batch_ = loader_.consumed();
      settle_ranks("when training stopped");
      save(epoch, first_batch_);
      return false;
    }
  }
  first_epoch_ = epoch + 1;
  first_batch_ = 0;
  settle_ranks("after epoch " + std::to_string(first_epoch_));
  history_.push_back(record_of(first_epoch_));
  if (progress) progress->finish_epoch(label, samples_before(epoch + 1, 0), history_.back());
  for (const std::shared_ptr<Callback>& callback : options_.callbacks)
    callback->on_epoch_end(*this, history_.back());
  // Reads the requests once. A later stop must not end the run without a checkpoint.
  constexpr uint64_t kStop = 1, kFinish = 2, kSave = 4;
  const bool is_due = seconds_since(saved_) >= options_.checkpoint_every;
  const uint64_t asked = options_.group.any_of(
      (should_stop() ? kStop : 0) | (finish_asked_ ? kFinish : 0) | (is_due ? kSave : 0));
  finish_asked_ = (asked & kFinish) != 0;
  const bool is_last = first_epoch_ == options_.epochs || finish_asked_;
  const bool stop = (asked & kStop) != 0;
  if (is_last || stop || (asked & kSave)) save(first_epoch_, 0);
  return is_last || !stop;
}

void Trainer::train_batch(const data::DataLoader::Iterator& batch) {
  follow_model();
  if (options_.group.size() > 1) return train_part(*batch);
  if (can_capture(batch)) {
    train_captured(batch);
  } else {
    step(batch->input.to(device()), batch->target.to(device()));
  }
  running_.seen += batch.samples();
}

bool Trainer::can_capture(const data::DataLoader::Iterator& batch) const {
  if (!options_.capture || batch.samples() != loader_.options().batch_size) return false;
  const auto fits = [](const Tensor& a, const Tensor& b) {
    return !b.defined() || (a.shape() == b.shape() && a.dtype() == b.dtype());
  };
  return is_data_on_device() || (fits(batch->input, input_) && fits(batch->target, target_));
}

void Trainer::train_captured(const data::DataLoader::Iterator& batch) {
  const bool gathers = is_data_on_device();
  if (!captured_ && gathers) {
    captured_ = std::make_unique<cuda::CapturedStep>([this] {
      const data::Batch own = loader_.gather();
      step(own.input, own.target);
    });
  } else if (!captured_) {
    input_ = empty_like(batch->input.to(device()));
    target_ = empty_like(batch->target.to(device()));
    captured_ = std::make_unique<cuda::CapturedStep>([this] { step(input_, target_); });
  }
  optimizer_.check();
  if (!gathers) {
    input_.copy_(batch->input);
    target_.copy_(batch->target);
  }
  (*captured_)();
}

// Makes one step, and adds its loss and hits to the sums on the device of the model. It does not
// wait for the device.
void Trainer::step(const Tensor& input, const Tensor& target) {
  const Tensor scores = (*model_)(input);
  const Tensor loss = loss_(scores, target);
  running_.add("Trainer", scores, target, loss, input.size(0));
  optimizer_.zero_grad();
  loss.backward();
  optimizer_.step();
}

EpochRecord Trainer::record_of(int64_t epoch) const {
  const detail::RunningFigures all = running_.over(options_.group);
  EpochRecord record{.epoch = epoch, .values = {{"loss", all.mean_loss()}}};
  if (all.has_classes) record.values.emplace_back("accuracy", all.accuracy());
  record.values.emplace_back("lr", optimizer_.lr());
  if (!options_.validation) return record;
  for (auto& figure :
       validate(*model_, *options_.validation, loss_, options_.metrics, options_.group))
    record.values.push_back(std::move(figure));
  return record;
}

NamedTensors Trainer::callback_states() const {
  NamedTensors states;
  for (size_t k = 0; k < options_.callbacks.size(); ++k) {
    const std::string prefix = detail::callback_prefix(options_.callbacks, k);
    for (const auto& [name, tensor] : options_.callbacks[k]->state_dict())
      states.emplace_back(prefix + name, tensor);
  }
  return states;
}

// Callbacks without a state in the checkpoint start anew. If one throws, the states of the others
// are restored.
void Trainer::load_callback_states(const NamedTensors& states) {
  const auto load = [&](const NamedTensors& from) {
    for (size_t k = 0; k < options_.callbacks.size(); ++k) {
      const NamedTensors own =
          detail::with_prefix(from, detail::callback_prefix(options_.callbacks, k));
      if (!own.empty()) options_.callbacks[k]->load_state_dict(own, *this);
    }
  };
  NamedTensors before;
  for (const auto& [name, tensor] : callback_states()) before.emplace_back(name, tensor.clone());
  try {
    load(states);
  } catch (...) {
    load(before);
    throw;
  }
}

int64_t Trainer::samples_before(int64_t epoch, int64_t consumed) const {
  const int64_t batch = loader_.options().batch_size, samples = loader_.dataset().size();
  const int64_t per_epoch = loader_.options().drop_last ? loader_.size() * batch : samples;
  return std::min(epoch, options_.epochs) * per_epoch + std::min(consumed * batch, per_epoch);
}

void Trainer::save(int64_t epoch, int64_t consumed) {
  if (options_.checkpoint.empty()) return;
  // Gradients that are being accumulated differ between ranks; the checkpoint has their means.
  if (optimizer_.accumulated() > 0) distributed::average_gradients(*model_, options_.group);
  const detail::RunningFigures all = running_.over(options_.group);
  if (options_.group.is_first()) {
    const detail::TrainingState state{.epoch = epoch,
                                      .consumed = consumed,
                                      .generator = default_generator(),
                                      .loader = detail::facts_of(loader_),
                                      .correct = all.correct.item<int64_t>(),
                                      .seen = all.seen,
                                      .loss_sum = all.loss_sum.item(),
                                      .optimizer = optimizer_.state_dict(),
                                      .history = history_,
                                      .callbacks = callback_states()};
    writer_->save({model_->state_dict(), detail::to_tensors(state), {}});
  }
  options_.group.barrier();  // no rank ends the program while the first one writes
  saved_ = Clock::now();
}

// Checks everything before it changes anything. Only rank 0 needs the files.
void Trainer::restore() {
  const std::string& from = options_.checkpoint;
  Checkpoint checkpoint = options_.group.is_first() ? load_checkpoint(from) : Checkpoint();
  checkpoint.model = distributed::detail::broadcast_tensors(options_.group, checkpoint.model);
  checkpoint.training = distributed::detail::broadcast_tensors(options_.group, checkpoint.training);
  const detail::TrainingState state = detail::from_tensors(checkpoint.training, from);
  detail::check_resumable(state, loader_, optimizer_, from);
  check_state(model_->state_dict(), checkpoint.model, from);
  load_callback_states(state.callbacks);
  if (options_.group.is_first()) writer_ = std::make_unique<CheckpointWriter>(from);
  load_state(model_->state_dict(), checkpoint.model, from);
  optimizer_.load_state_dict(state.optimizer);
  default_generator() = state.generator;
  first_epoch_ = state.epoch;
  first_batch_ = state.consumed;
  running_.seen = state.seen;
  running_.correct.fill_(static_cast<double>(state.correct));
  running_.loss_sum.fill_(state.loss_sum);
  if (!options_.group.is_first()) running_.clear();
  history_ = state.history;
}

}  // namespace ebb::nn
