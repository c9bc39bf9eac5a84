#include "ebb/nn/train/trainer.h"

#include <csignal>
#include <limits>
#include <memory>

#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/nn/serialize/checkpoint.h"
#include "ebb/nn/train/progress.h"

namespace ebb::nn {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

volatile std::sig_atomic_t stop_requested = 0;

extern "C" void request_stop(int) { stop_requested = 1; }

// While it lives, Ctrl-C asks for a stop; a second one ends the process as usual.
class StopOnSignal {
 public:
  StopOnSignal() {
    stop_requested = 0;
    struct sigaction action = {};
    action.sa_handler = request_stop;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &interrupt_);
    sigaction(SIGTERM, &action, &terminate_);
  }
  ~StopOnSignal() {
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGTERM, &terminate_, nullptr);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  struct sigaction interrupt_ = {}, terminate_ = {};
};

constexpr const char* kOptimizerPrefix = "optimizer.";

Tensor integers(std::initializer_list<int64_t> values) {
  return from_data(std::vector<int64_t>(values), {static_cast<int64_t>(values.size())});
}

// Where a model computes: where its first parameter lies.
Device device_of(const Module& model) {
  const std::vector<Tensor> parameters = model.parameters();
  return parameters.empty() ? Device::cpu() : parameters[0].device();
}

}  // namespace

Trainer::Trainer(Layer& model, Optimizer& optimizer, data::DataLoader& loader, LossFunction loss,
                 TrainerOptions options)
    : model_(model),
      optimizer_(optimizer),
      loader_(loader),
      loss_(std::move(loss)),
      options_(std::move(options)),
      base_lr_(optimizer.lr()),
      device_(device_of(model)),
      loss_sum_(zeros({}, {.dtype = DType::F64, .device = device_})),
      correct_(zeros({}, {.dtype = DType::F64, .device = device_})) {
  if (options_.epochs < 1) fail("Trainer", "expected at least 1 epoch, got ", options_.epochs);
  if (options_.capture && device_ == Device::cpu())
    fail("Trainer", "capture needs a model on a GPU, this one is on the cpu");
  if (options_.resume && options_.checkpoint.empty())
    fail("Trainer", "resuming needs a checkpoint folder");
}

bool Trainer::run() {
  if (options_.resume) restore();
  const StopOnSignal guard;
  std::unique_ptr<Progress> progress;
  if (!options_.quiet) {
    progress = std::make_unique<Progress>(samples_before(options_.epochs, 0),
                                          samples_before(first_epoch_, first_batch_));
  }
  model_.train();
  for (int64_t epoch = first_epoch_; epoch < options_.epochs; ++epoch) {
    const auto start = Clock::now();
    const bool goes_on = run_epoch(epoch, progress.get());
    interrupted_ = stop_requested != 0;
    if (!goes_on) return false;
    seconds_ += seconds_since(start);
    ++epochs_run_;
  }
  return true;
}

bool Trainer::run_epoch(int64_t epoch, Progress* progress) {
  const std::string label =
      "epoch " + std::to_string(epoch + 1) + "/" + std::to_string(options_.epochs);
  loader_.set_epoch(epoch);
  if (epoch == first_epoch_ && first_batch_ > 0) {
    loader_.skip(first_batch_);
  } else {
    seen_ = 0;
    for (Tensor* total : {&loss_sum_, &correct_}) total->zero_();
  }
  for (const data::Batch& batch : loader_) {
    if (options_.lr_schedule) {
      const auto steps = static_cast<double>(loader_.size() * options_.epochs);
      optimizer_.set_lr(base_lr_ *
                        options_.lr_schedule(static_cast<double>(optimizer_.steps()) / steps));
    }
    train_batch(batch);
    const int64_t done = samples_before(epoch, loader_.consumed());
    if (progress && progress->is_due()) progress->update(label, done, mean_loss(), accuracy());
    if (stop_requested && loader_.consumed() < loader_.size()) {
      save(epoch, loader_.consumed());
      return false;
    }
  }
  if (progress)
    progress->finish_epoch(label, samples_before(epoch + 1, 0), mean_loss(), accuracy());
  const bool is_last = epoch + 1 == options_.epochs;
  const bool stop =
      stop_requested !=
      0;  // asked once: a stop that comes later must not end the run without a checkpoint
  if (is_last || stop || seconds_since(saved_) >= options_.checkpoint_every) save(epoch + 1, 0);
  return is_last || !stop;
}

void Trainer::train_batch(const data::Batch& batch) {
  const bool whole = batch.input.size(0) == loader_.options().batch_size;
  if (options_.capture && whole) {
    if (!captured_) {
      input_ = empty_like(batch.input.to(device_));
      target_ = empty_like(batch.target.to(device_));
      captured_ = std::make_unique<cuda::CapturedStep>([this] { step(input_, target_); });
    }
    input_.copy_(batch.input);
    target_.copy_(batch.target);
    (*captured_)();
  } else {
    step(batch.input.to(device_), batch.target.to(device_));
  }
  seen_ += batch.input.size(0);
}

// One step, and its loss and hits added to the sums where the model lies: nothing here waits for the device.
void Trainer::step(const Tensor& input, const Tensor& target) {
  const Tensor scores = model_(input);
  const Tensor loss = loss_(scores, target);
  optimizer_.zero_grad();
  loss.backward();
  optimizer_.step();
  const NoGrad guard;
  loss_sum_.add_(loss.detach().to(DType::F64), static_cast<double>(input.size(0)));
  has_classes_ = scores.dim() == 2 && target.dim() == 1 && !is_floating(target.dtype());
  if (has_classes_) correct_.add_(count_correct(scores.detach(), target));
}

double Trainer::mean_loss() const {
  return loss_sum_.item() / static_cast<double>(std::max<int64_t>(seen_, 1));
}

double Trainer::accuracy() const {
  if (!has_classes_) return std::numeric_limits<double>::quiet_NaN();
  return correct_.item() / static_cast<double>(std::max<int64_t>(seen_, 1));
}

int64_t Trainer::samples_before(int64_t epoch, int64_t consumed) const {
  const int64_t batch = loader_.options().batch_size, samples = loader_.dataset().size();
  const int64_t per_epoch = loader_.options().drop_last ? loader_.size() * batch : samples;
  return epoch * per_epoch + std::min(consumed * batch, per_epoch);
}

void Trainer::save(int64_t epoch, int64_t consumed) {
  if (options_.checkpoint.empty()) return;
  Checkpoint checkpoint;
  checkpoint.model = model_.state_dict();
  for (const auto& [name, tensor] : optimizer_.state_dict()) {
    checkpoint.training.emplace_back(kOptimizerPrefix + name, tensor);
  }
  const Generator& g = default_generator();
  checkpoint.training.emplace_back("position", integers({epoch, consumed}));
  checkpoint.training.emplace_back(
      "generator", integers({static_cast<int64_t>(g.seed), static_cast<int64_t>(g.offset)}));
  checkpoint.training.emplace_back("loader",
                                   integers({loader_.dataset().size(), loader_.options().batch_size,
                                             static_cast<int64_t>(loader_.options().seed)}));
  checkpoint.training.emplace_back("counts", integers({correct_.item<int64_t>(), seen_}));
  checkpoint.training.emplace_back("loss_sum", loss_sum_);
  save_checkpoint(options_.checkpoint, checkpoint);
  saved_ = Clock::now();
}

void Trainer::restore() {
  Checkpoint checkpoint = load_checkpoint(options_.checkpoint);
  const std::string& from = options_.checkpoint;
  NamedTensors optimizer_state;
  const auto take = [&](std::string_view name, int64_t count) {
    for (const auto& [key, tensor] : checkpoint.training) {
      if (key == name && tensor.numel() == count) return tensor.to_vector<int64_t>();
    }
    fail("resume", from, ": the checkpoint has no usable entry '", name, "'");
  };
  for (const auto& [key, tensor] : checkpoint.training) {
    if (key.starts_with(kOptimizerPrefix))
      optimizer_state.emplace_back(key.substr(std::string_view(kOptimizerPrefix).size()), tensor);
  }
  const auto position = take("position", 2), generator = take("generator", 2),
             counts = take("counts", 2);
  const std::vector<int64_t> loader{loader_.dataset().size(), loader_.options().batch_size,
                                    static_cast<int64_t>(loader_.options().seed)};
  const auto saved = take("loader", 3);
  if (saved != loader) {
    fail("resume", from, ": was trained on ", saved[0], " samples in batches of ", saved[1],
         " with seed ", saved[2], ", now ", loader[0], ", ", loader[1], " and ", loader[2],
         ": the order of samples would differ");
  }
  double loss_sum = 0;
  for (const auto& [key, tensor] : checkpoint.training) {
    if (key == "loss_sum" && tensor.numel() == 1) loss_sum = tensor.item();
  }
  if (position[0] < 0 || position[1] < 0 || position[1] > loader_.size()) {
    fail("resume", from, ": position ", position[1], " of epoch ", position[0], " is out of range");
  }
  load_state(model_.state_dict(), checkpoint.model, from);
  optimizer_.load_state_dict(optimizer_state);
  default_generator() = {static_cast<uint64_t>(generator[0]), static_cast<uint64_t>(generator[1])};
  first_epoch_ = position[0];
  first_batch_ = position[1];
  correct_.fill_(static_cast<double>(counts[0]));
  seen_ = counts[1];
  loss_sum_.fill_(loss_sum);
}

Tensor predict(Layer& model, const data::Dataset& dataset, int64_t batch_size) {
  const NoGrad guard;
  const bool was_training = model.is_training();
  model.eval();
  std::vector<Tensor> parts;
  data::DataLoader loader(dataset, {.batch_size = batch_size, .device = device_of(model)});
  for (const data::Batch& batch : loader) parts.push_back(model(batch.input).to(Device::cpu()));
  model.train(was_training);
  return cat(parts);
}

ConfusionMatrix evaluate(Layer& model, const data::Dataset& dataset, int64_t classes,
                         int64_t batch_size) {
  ConfusionMatrix matrix(classes);
  matrix.add(argmax(predict(model, dataset, batch_size), 1), dataset.targets());
  return matrix;
}

}  // namespace ebb::nn
