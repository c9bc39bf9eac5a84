#include "ebb/nn/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "ebb/core/host_vector.h"
#include "ebb/core/random.h"
#include "ebb/nn/class_numbers.h"

namespace ebb::data {
namespace {

void check_part(std::string_view name, const Tensor& tensor) {
  check_defined("Dataset", tensor);
  if (tensor.dim() == 0)
    fail("Dataset", name, " must have a first dimension, the samples; got a 0-d tensor");
  if (tensor.device() != Device::cpu())
    fail("Dataset", name, " must be on the cpu, got ", tensor.device());
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
  return Dataset(take_rows(inputs_, rows), take_rows(targets_, rows), class_names_);
}

Tensor take_rows(const Tensor& source, std::span<const int64_t> rows) {
  Shape shape = source.shape();
  shape[0] = static_cast<int64_t>(rows.size());
  Tensor out = empty(shape, {.dtype = source.dtype()});
  if (out.numel() == 0) return out;
  const size_t bytes = static_cast<size_t>(out.numel()) / rows.size() * size_of(source.dtype());
  const std::byte* from = source.raw();
  std::byte* to = out.raw();
  for (int64_t row : rows) {
    std::memcpy(to, from + static_cast<size_t>(row) * bytes, bytes);
    to += bytes;
  }
  return out;
}

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
