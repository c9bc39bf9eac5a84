#include "ebb/nn/train/callbacks.h"

#include <algorithm>
#include <cmath>

#include "ebb/core/creation.h"
#include "ebb/core/error.h"
#include "ebb/nn/serialize/checkpoint.h"
#include "ebb/nn/train/trainer.h"

namespace ebb::nn {
namespace {

constexpr std::string_view kWeights = "weights.";

// Returns the number of a state, a tensor of one element.
const Tensor& number_of(const NamedTensors& state, std::string_view name, DType dtype,
                        std::string_view owner) {
  for (const auto& [key, tensor] : state) {
    if (key == name && tensor.dtype() == dtype && tensor.numel() == 1) return tensor;
  }
  fail(owner, "the state has no usable entry '", name, "'");
}

int64_t count_of(const NamedTensors& state, std::string_view name, std::string_view owner) {
  constexpr int64_t kMost = int64_t{1} << 53;
  const auto count = number_of(state, name, DType::I64, owner).item<int64_t>();
  if (count < 0 || count > kMost)
    fail(owner, name, " ", count, " is out of range: expected 0 to 2^53");
  return count;
}

NamedTensors copies_of(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace_back(name, tensor.detach().clone());
  return copies;
}

}  // namespace

Best::Best(std::string figure, Mode mode, double min_delta)
    : figure_(std::move(figure)),
      mode_(mode),
      min_delta_(min_delta),
      value_(mode == Mode::Min ? std::numeric_limits<double>::infinity()
                               : -std::numeric_limits<double>::infinity()) {
  if (!(min_delta >= 0) || std::isinf(min_delta))
    fail("Best", "expected a finite min_delta >= 0, got ", min_delta);
}

bool Best::improves(const EpochRecord& record) {
  const double value = record.at(figure_);
  const bool improved =
      mode_ == Mode::Min ? value < value_ - min_delta_ : value > value_ + min_delta_;
  if (improved) {
    value_ = value;
    epoch_ = record.epoch;
  }
  return improved;
}

// The name contains the figure, so that a state of another figure is not compared with it.
std::string Best::entry() const {
  return (mode_ == Mode::Min ? "smallest." : "largest.") + figure_;
}

NamedTensors Best::state_dict() const {
  return {{entry(), scalar(value_, {.dtype = DType::F64})},
          {"best_epoch", scalar(epoch_, {.dtype = DType::I64})}};
}

void Best::load_state_dict(const NamedTensors& state, std::string_view owner) {
  const double value = number_of(state, entry(), DType::F64, owner).item();
  epoch_ = count_of(state, "best_epoch", owner);
  value_ = value;
}

EarlyStopping::EarlyStopping(EarlyStoppingOptions options)
    : options_(std::move(options)), best_(options_.monitor, options_.mode, options_.min_delta) {
  if (options_.patience < 1)
    fail("EarlyStopping", "expected patience >= 1, got ", options_.patience);
}

void EarlyStopping::on_start(Trainer& trainer) {
  if (!last_.empty()) load_state(trainer.model().state_dict(), last_, "EarlyStopping");
  last_.clear();
  if (trainer.history().empty()) {  // a new training
    best_ = Best(options_.monitor, options_.mode, options_.min_delta);
    waited_ = 0;
    weights_.clear();
  }
  if (stopped()) trainer.finish();
}

void EarlyStopping::on_epoch_end(Trainer& trainer, const EpochRecord& record) {
  if (best_.improves(record)) {
    waited_ = 0;
    if (options_.restore_best_weights) weights_ = copies_of(trainer.model().state_dict());
  } else {
    ++waited_;
  }
  if (stopped()) trainer.finish();
}

void EarlyStopping::on_end(Trainer& trainer, bool finished) {
  if (weights_.empty()) return;
  const NamedTensors state = trainer.model().state_dict();
  if (!finished) last_ = copies_of(state);
  load_state(state, weights_, "EarlyStopping");
}

NamedTensors EarlyStopping::state_dict() const {
  NamedTensors state = best_.state_dict();
  state.emplace_back("waited", scalar(waited_, {.dtype = DType::I64}));
  for (const auto& [name, tensor] : weights_)
    state.emplace_back(std::string(kWeights) + name, tensor);
  return state;
}

void EarlyStopping::load_state_dict(const NamedTensors& state, const Trainer& trainer) {
  const int64_t waited = count_of(state, "waited", name());
  const NamedTensors model = trainer.model().state_dict();
  NamedTensors weights;
  for (const auto& [key, tensor] : state) {
    if (key.starts_with(kWeights)) weights.emplace_back(key.substr(kWeights.size()), tensor);
  }
  if (!weights.empty()) check_state(model, weights, "the best weights of EarlyStopping");
  best_.load_state_dict(state, name());
  waited_ = waited;
  weights_ = std::move(weights);
  last_.clear();
}

BestModel::BestModel(std::string path, BestModelOptions options)
    : path_(std::move(path)), best_(std::move(options.monitor), options.mode, 0) {}

void BestModel::on_epoch_end(Trainer& trainer, const EpochRecord& record) {
  if (best_.improves(record) && trainer.group().is_first())
    save_safetensors(path_, trainer.model().state_dict());
}

void BestModel::load_state_dict(const NamedTensors& state, const Trainer&) {
  best_.load_state_dict(state, name());
}

void CsvLog::on_epoch_end(Trainer& trainer, const EpochRecord&) {
  if (trainer.group().is_first()) write_csv(path_, trainer.history());
}

void StopOnNaN::on_epoch_end(Trainer&, const EpochRecord& record) {
  for (const char* figure : {"loss", "val_loss"}) {
    if (!record.has(figure) || std::isfinite(record.at(figure))) continue;
    fail("StopOnNaN", figure, " of epoch ", record.epoch, " is ", record.at(figure),
         ": DetectAnomaly names the op that computes the first NaN");
  }
}

std::shared_ptr<EarlyStopping> early_stopping(EarlyStoppingOptions options) {
  return std::make_shared<EarlyStopping>(std::move(options));
}
std::shared_ptr<BestModel> best_model(std::string path, BestModelOptions options) {
  return std::make_shared<BestModel>(std::move(path), std::move(options));
}
std::shared_ptr<CsvLog> csv_log(std::string path) {
  return std::make_shared<CsvLog>(std::move(path));
}
std::shared_ptr<StopOnNaN> stop_on_nan() { return std::make_shared<StopOnNaN>(); }

}  // namespace ebb::nn
