#include "ebb/nn/train/training_state.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "ebb/nn/serialize/shown.h"

namespace ebb::nn::detail {
namespace {

constexpr std::string_view kOp = "resume", kOptimizerPrefix = "optimizer.",
                           kHistoryPrefix = "history.", kCallbackPrefix = "callbacks.";
constexpr size_t kOldFacts = 3, kFacts = 6;

Tensor integers(const std::vector<int64_t>& values) {
  return from_data(values, {static_cast<int64_t>(values.size())});
}

// Returns a text such as "600 samples in batches of 32, seed 1, shuffle true".
std::string described(const std::vector<int64_t>& facts, size_t count) {
  std::string text = to_text(facts[0]) + " samples in batches of " + to_text(facts[1]) + ", seed " +
                     to_text(static_cast<uint64_t>(facts[2]));
  constexpr std::string_view names[] = {"shuffle", "drop_last", "unit_float"};
  for (size_t i = kOldFacts; i < count; ++i)
    text.append(", ").append(names[i - kOldFacts]).append(facts[i] != 0 ? " true" : " false");
  return text;
}

// Adds a tensor (2, n) for each figure: the epochs that have it, counted from 0, and its values.
void add_history(NamedTensors& tensors, const std::vector<EpochRecord>& history) {
  if (history.empty()) return;
  std::vector<std::string> names;
  std::vector<int64_t> numbers;
  for (const EpochRecord& record : history) {
    numbers.push_back(record.epoch);
    for (const auto& [name, value] : record.values)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  tensors.emplace_back("epochs", integers(numbers));
  for (const std::string& name : names) {
    std::vector<double> rows, values;
    for (size_t i = 0; i < history.size(); ++i) {
      if (!history[i].has(name)) continue;
      rows.push_back(static_cast<double>(i));
      values.push_back(history[i].at(name));
    }
    const auto count = static_cast<int64_t>(rows.size());
    rows.insert(rows.end(), values.begin(), values.end());
    tensors.emplace_back(std::string(kHistoryPrefix) + name, from_data(rows, {2, count}));
  }
}

std::vector<EpochRecord> history_of(const NamedTensors& tensors, const std::string& from) {
  std::vector<EpochRecord> history;
  for (const auto& [key, tensor] : tensors) {
    if (key != "epochs" || tensor.dtype() != DType::I64) continue;
    for (int64_t epoch : tensor.to_vector<int64_t>()) {
      const int64_t before = history.empty() ? 0 : history.back().epoch;
      if (epoch <= before) fail(kOp, from, ": epoch ", epoch, " after epoch ", before);
      history.push_back({.epoch = epoch});
    }
  }
  for (const auto& [name, tensor] : with_prefix(tensors, kHistoryPrefix)) {
    if (tensor.dtype() != DType::F64 || tensor.dim() != 2 || tensor.size(0) != 2) {
      fail(kOp, from, ": history of ", ebb::detail::shown(name),
           ": expected f64 of shape (2, n), got ", tensor.dtype(), " of shape ", tensor.shape());
    }
    const std::vector<double> column = tensor.to_vector<double>();
    const size_t count = column.size() / 2;
    for (size_t i = 0; i < count; ++i) {
      const double row = column[i];
      if (!(row >= 0 && row < static_cast<double>(history.size())) || row != std::floor(row) ||
          history[static_cast<size_t>(row)].has(name))
        fail(kOp, from, ": history of ", ebb::detail::shown(name), ": no epoch ", row);
      history[static_cast<size_t>(row)].values.emplace_back(name, column[count + i]);
    }
  }
  for (const char* always : {"loss", "lr"}) {
    for (const EpochRecord& record : history) {
      if (!record.has(always))
        fail(kOp, from, ": the checkpoint has no ", always, " of epoch ", record.epoch);
    }
  }
  return history;
}

class Entries {
 public:
  Entries(const NamedTensors& tensors, const std::string& from) : tensors_(tensors), from_(from) {}

  const Tensor& take(std::string_view name, DType dtype,
                     std::initializer_list<size_t> counts) const {
    for (const auto& [key, tensor] : tensors_) {
      const auto fits = [&, n = static_cast<size_t>(tensor.numel())](size_t c) { return c == n; };
      if (key == name && tensor.dtype() == dtype &&
          std::any_of(counts.begin(), counts.end(), fits)) {
        return tensor;
      }
    }
    fail(kOp, from_, ": the checkpoint has no usable entry '", name, "'");
  }
  std::vector<int64_t> integers(std::string_view name, std::initializer_list<size_t> counts) const {
    return take(name, DType::I64, counts).to_vector<int64_t>();
  }

 private:
  const NamedTensors& tensors_;
  const std::string& from_;
};

}  // namespace

std::string callback_prefix(const std::vector<std::shared_ptr<Callback>>& callbacks, size_t k) {
  const std::string_view name = callbacks[k]->name();
  const auto earlier = std::count_if(callbacks.begin(), callbacks.begin() + static_cast<int64_t>(k),
                                     [&](const auto& other) { return other->name() == name; });
  return std::string(name) + (earlier > 0 ? "." + std::to_string(earlier + 1) : "") + "/";
}

NamedTensors with_prefix(const NamedTensors& tensors, std::string_view prefix) {
  NamedTensors found;
  for (const auto& [key, tensor] : tensors)
    if (key.starts_with(prefix)) found.emplace_back(key.substr(prefix.size()), tensor);
  return found;
}

std::vector<int64_t> facts_of(const data::DataLoader& loader) {
  const data::LoaderOptions& o = loader.options();
  const bool scaled = o.unit_float && loader.dataset().inputs().dtype() == DType::U8;
  return {loader.dataset().size(),
          o.batch_size,
          static_cast<int64_t>(o.seed),
          o.shuffle,
          o.drop_last,
          scaled};
}

NamedTensors to_tensors(const TrainingState& state) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : state.optimizer)
    tensors.emplace_back(std::string(kOptimizerPrefix) + name, tensor);
  tensors.emplace_back("position", integers({state.epoch, state.consumed}));
  tensors.emplace_back("generator", integers({static_cast<int64_t>(state.generator.seed),
                                              static_cast<int64_t>(state.generator.offset)}));
  tensors.emplace_back("loader", integers(state.loader));
  tensors.emplace_back("counts", integers({state.correct, state.seen}));
  tensors.emplace_back("loss_sum", scalar(state.loss_sum, {.dtype = DType::F64}));
  add_history(tensors, state.history);
  for (const auto& [name, tensor] : state.callbacks)
    tensors.emplace_back(std::string(kCallbackPrefix) + name, tensor);
  return tensors;
}

TrainingState from_tensors(const NamedTensors& tensors, const std::string& from) {
  const Entries entries(tensors, from);
  TrainingState state;
  const auto position = entries.integers("position", {2});
  state.epoch = position[0];
  state.consumed = position[1];
  if (state.epoch < 0 || state.consumed < 0) {
    fail(kOp, from, ": position ", state.consumed, " of epoch ", state.epoch, " is out of range");
  }
  const auto generator = entries.integers("generator", {2});
  state.generator = {static_cast<uint64_t>(generator[0]), static_cast<uint64_t>(generator[1])};
  state.loader = entries.integers("loader", {kOldFacts, kFacts});
  const auto counts = entries.integers("counts", {2});
  state.correct = counts[0];
  state.seen = counts[1];
  if (state.correct < 0 || state.correct > state.seen || state.seen > int64_t{1} << 53) {
    fail(kOp, from, ": ", state.correct, " of ", state.seen,
         " samples classified rightly is out of range");
  }
  state.loss_sum = entries.take("loss_sum", DType::F64, {1}).item();
  state.optimizer = with_prefix(tensors, kOptimizerPrefix);
  state.history = history_of(tensors, from);
  state.callbacks = with_prefix(tensors, kCallbackPrefix);
  return state;
}

void check_resumable(const TrainingState& state, const data::DataLoader& loader,
                     const Optimizer& optimizer, const std::string& from) {
  const std::vector<int64_t> now = facts_of(loader);
  const size_t known = state.loader.size();
  if (!std::equal(state.loader.begin(), state.loader.end(), now.begin())) {
    fail(kOp, from, ": was trained on ", described(state.loader, known), ", now on ",
         described(now, known), ": another sequence of batches");
  }
  optimizer.check_state_dict(state.optimizer);
  int64_t steps = 0, pending = 0;
  for (const auto& [name, tensor] : state.optimizer) {
    if (name == "step") steps = tensor.item<int64_t>();
    if (name == "accumulated") pending = tensor.item<int64_t>();
  }
  // Each batch is one step() of the optimizer, which may have made other steps before this
  // training.
  steps = checked_add(kOp, checked_mul(kOp, steps, optimizer.grad_options().accumulate), pending);
  if (state.consumed > loader.size() || state.epoch > steps / loader.size() ||
      state.epoch * loader.size() + state.consumed > steps) {
    fail(kOp, from, ": position ", state.consumed, " of epoch ", state.epoch,
         " is out of range: an epoch has ", loader.size(), " batches, and the optimizer has made ",
         steps, " steps");
  }
}

}  // namespace ebb::nn::detail
