#include "ebb/nn/train/training_state.h"

#include <algorithm>
#include <string_view>

namespace ebb::nn::detail {
namespace {

constexpr std::string_view kOp = "resume", kOptimizerPrefix = "optimizer.";
constexpr size_t kOldFacts = 3, kFacts = 6;

Tensor integers(const std::vector<int64_t>& values) {
  return from_data(values, {static_cast<int64_t>(values.size())});
}

// Returns "600 samples in batches of 32, seed 1, shuffle true, ..."
std::string described(const std::vector<int64_t>& facts, size_t count) {
  std::string text = to_text(facts[0]) + " samples in batches of " + to_text(facts[1]) + ", seed " +
                     to_text(static_cast<uint64_t>(facts[2]));
  constexpr std::string_view names[] = {"shuffle", "drop_last", "unit_float"};
  for (size_t i = kOldFacts; i < count; ++i)
    text.append(", ").append(names[i - kOldFacts]).append(facts[i] != 0 ? " true" : " false");
  return text;
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
  for (const auto& [key, tensor] : tensors) {
    if (key.starts_with(kOptimizerPrefix))
      state.optimizer.emplace_back(key.substr(kOptimizerPrefix.size()), tensor);
  }
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
  int64_t steps = 0;
  for (const auto& [name, tensor] : state.optimizer) {
    if (name == "step") steps = tensor.item<int64_t>();
  }
  // Each batch is one step of the optimizer, which may have made other steps before this training.
  if (state.consumed > loader.size() || state.epoch > steps / loader.size() ||
      state.epoch * loader.size() + state.consumed > steps) {
    fail(kOp, from, ": position ", state.consumed, " of epoch ", state.epoch,
         " is out of range: an epoch has ", loader.size(), " batches, and the optimizer has made ",
         steps, " steps");
  }
}

}  // namespace ebb::nn::detail
