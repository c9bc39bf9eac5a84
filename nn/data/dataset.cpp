#include "ebb/nn/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ebb/core/cuda.h"
#include "ebb/core/host_vector.h"
#include "ebb/core/random.h"
#include "ebb/core/training.h"
#include "ebb/nn/class_numbers.h"

namespace ebb::data {
namespace {

void check_part(std::string_view name, const Tensor& tensor) {
  check_defined("Dataset", tensor);
  if (tensor.dim() == 0)
    fail("Dataset", name, " must have a first dimension, the samples; got a 0-d tensor");
}

Tensor ascending(std::vector<int64_t> indices) {
  std::sort(indices.begin(), indices.end());
  return from_data(indices, {static_cast<int64_t>(indices.size())});
}

// Divides groups of sample numbers into a training and a test part. The running sum of the shares
// is rounded, so that the total is right too.
Split split_groups(std::string_view op, const std::vector<std::vector<int64_t>>& groups,
                   double fraction, uint64_t seed) {
  if (!(fraction > 0 && fraction < 1))
    fail(op, "expected a test fraction between 0 and 1, got ", fraction);
  Generator generator{seed};
  std::vector<int64_t> train, test;
  int64_t seen = 0, drawn = 0;
  for (const std::vector<int64_t>& group : groups) {
    const auto n = static_cast<int64_t>(group.size());
    seen += n;
    const int64_t due = std::llround(fraction * static_cast<double>(seen)) - drawn;
    drawn += due;
    const Tensor order = randperm(n, &generator);
    const int64_t* chosen = order.data<int64_t>();
    for (int64_t i = 0; i < n; ++i)
      (i < due ? test : train).push_back(group[static_cast<size_t>(chosen[i])]);
  }
  if (train.empty() || test.empty()) {
    fail(op, "a test fraction of ", fraction, " leaves a part of ", seen, " samples empty");
  }
  return {ascending(std::move(train)), ascending(std::move(test))};
}

}  // namespace

Dataset::Dataset(const Tensor& inputs, const Tensor& targets, std::vector<std::string> class_names)
    : class_names_(std::move(class_names)) {
  check_part("inputs", inputs);
  check_part("targets", targets);
  if (inputs.size(0) != targets.size(0)) {
    fail("Dataset", "inputs ", inputs.shape(), " and targets ", targets.shape(),
         " differ in their first size");
  }
  if (inputs.device() != targets.device()) {
    fail("Dataset", "inputs are on ", inputs.device(), " and targets on ", targets.device(),
         ": expected one device");
  }
  inputs_ = inputs.detach().contiguous();
  targets_ = targets.detach().contiguous();
}

Dataset Dataset::take(const Tensor& indices) const {
  check_defined("take", indices);
  if (indices.dtype() != DType::I64 || indices.dim() != 1) {
    fail("take", "expected indices i64 (M,), got ", indices.dtype(), " ", indices.shape());
  }
  const std::vector<int64_t> rows = indices.to_vector<int64_t>();
  for (int64_t row : rows) {
    if (row < 0 || row >= size())
      fail("take", "index ", row, " is out of range for ", size(), " samples");
  }
  if (rows.empty() && size() == 0) return *this;
  const int64_t start = 0;
  auto [inputs, targets] = detail::take_samples(*this, indices.contiguous().to(device()), &start,
                                                indices.numel(), false);
  return Dataset(inputs, targets, class_names_);
}

int64_t Dataset::bytes() const {
  int64_t total = 0;
  for (const Tensor* t : {&inputs_, &targets_}) {
    if (t->defined()) total += t->numel() * static_cast<int64_t>(size_of(t->dtype()));
  }
  return total;
}

Dataset Dataset::to(Device device) const {
  return size() == 0 ? *this : Dataset(inputs_.to(device), targets_.to(device), class_names_);
}

Dataset Dataset::to_if_it_fits(Device device) const {
  if (device == Device::cpu() || device == this->device()) return to(device);
  return bytes() <= cuda::memory_stats().available_bytes / 2 ? to(device) : *this;
}

namespace detail {

std::pair<Tensor, Tensor> take_samples(const Dataset& dataset, const Tensor& order,
                                       const int64_t* position, int64_t count, bool unit_float) {
  const auto rows_of = [&](const Tensor& source, bool to_float) {
    Shape shape = source.shape();
    shape[0] = count;
    return empty(shape,
                 {.dtype = to_float && source.dtype() == DType::U8 ? DType::F32 : source.dtype(),
                  .device = source.device()});
  };
  std::pair taken(rows_of(dataset.inputs(), unit_float), rows_of(dataset.targets(), false));
  const RowsTaken tensors[] = {{&dataset.inputs(), &taken.first},
                               {&dataset.targets(), &taken.second}};
  training_kernels(dataset.device()).take_rows(tensors, order, position);
  return taken;
}

}  // namespace detail

Split split(int64_t size, double test_fraction, uint64_t seed) {
  if (size < 0) fail("split", "expected a number of samples, got ", size);
  auto all = host_vector<int64_t>("split", size);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  return split_groups("split", {all}, test_fraction, seed);
}

Split stratified_split(const Tensor& targets, double test_fraction, uint64_t seed) {
  constexpr std::string_view kOp = "stratified_split";
  nn::detail::check_class_numbers(kOp, "targets (N)", targets);
  if (targets.dim() != 1) fail(kOp, "expected targets (N,), got ", targets.shape());
  std::map<int64_t, std::vector<int64_t>> by_class;
  const std::vector<int64_t> values = targets.to_vector<int64_t>();
  for (size_t i = 0; i < values.size(); ++i) by_class[values[i]].push_back(static_cast<int64_t>(i));
  std::vector<std::vector<int64_t>> groups;
  for (auto& [value, members] : by_class) groups.push_back(std::move(members));
  return split_groups(kOp, groups, test_fraction, seed);
}

}  // namespace ebb::data
