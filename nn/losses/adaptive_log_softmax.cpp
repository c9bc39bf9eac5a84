#include "ebb/nn/losses/adaptive_log_softmax.h"

#include <cmath>

#include "ebb/autograd/op.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {
namespace {

constexpr std::string_view kOp = "adaptive_log_softmax_with_loss";

std::vector<int64_t> checked_cutoffs(std::vector<int64_t> cutoffs, int64_t n_classes) {
  int64_t before = 0;
  for (int64_t c : cutoffs) {
    if (c <= before || c >= n_classes) {
      fail(kOp, "cutoffs must increase strictly and lie between 1 and ", n_classes - 1, ", got ", c, " after ", before);
    }
    before = c;
  }
  if (cutoffs.empty()) fail(kOp, "expected at least one cutoff");
  cutoffs.push_back(n_classes);
  return cutoffs;
}

}  // namespace

AdaptiveLogSoftmaxWithLoss::AdaptiveLogSoftmaxWithLoss(int64_t in_features, int64_t n_classes,
                                                       std::vector<int64_t> cutoffs, AdaptiveLogSoftmaxOptions options,
                                                       DType dtype)
    : in_features_(in_features),
      shortlist_(cutoffs.empty() ? 0 : cutoffs[0]),
      cutoffs_(checked_cutoffs(std::move(cutoffs), n_classes)),
      head_(add_module("head", Linear(in_features, shortlist_ + static_cast<int64_t>(cutoffs_.size()) - 1,
                                      {.bias = options.head_bias, .dtype = dtype}))) {
  Sequential tails;
  for (size_t i = 0; i + 1 < cutoffs_.size(); ++i) {
    const auto width = static_cast<int64_t>(
        std::floor(static_cast<double>(in_features) / std::pow(options.div_value, static_cast<double>(i + 1))));
    if (width < 1) {
      fail(kOp, "div_value ", options.div_value, " leaves cluster ", i, " no width: ", in_features, " features / ",
           options.div_value, "^", i + 1, " is below 1");
    }
    tail_.push_back(Sequential(Linear(in_features, width, {.bias = false, .dtype = dtype}),
                               Linear(width, cutoffs_[i + 1] - cutoffs_[i], {.bias = false, .dtype = dtype})));
    tails.push_back(tail_.back());
  }
  add_module("tail", tails);
}

AdaptiveLogSoftmaxWithLoss::Output AdaptiveLogSoftmaxWithLoss::forward(const Tensor& input,
                                                                       const Tensor& target) const {
  check_floating(kOp, input);
  check_defined(kOp, target);
  const bool single = input.dim() == 1;
  const Tensor x = single ? unsqueeze(input, 0) : input;
  if (x.dim() != 2 || x.size(1) != in_features_) {
    fail(kOp, "input ", input.shape(), " must be (N, ", in_features_, ") or (", in_features_, ")");
  }
  if (target.dtype() != DType::I64 && target.dtype() != DType::U8)
    fail(kOp, "target must be i64 or u8, got ", target.dtype());
  if (!(target.shape() == (single ? Shape{} : Shape{x.size(0)}))) {
    fail(kOp, "target ", target.shape(), " does not match input ", input.shape());
  }
  check_same_device(kOp, x, target, "target");
  const Tensor classes = reshape(target.to(DType::I64), {x.size(0)});
  backend(x.device()).check_indices(kOp, classes, cutoffs_.back(), INT64_MIN);
  const Tensor head = log_softmax(head_(x), 1);
  const Tensor zero = zeros_like(classes), none = zeros({}, {.dtype = x.dtype(), .device = x.device()});
  // Each sample's entry in the head: its class, or its cluster's.
  Tensor entry = where(classes < static_cast<double>(shortlist_), classes, zero);
  Tensor within;
  for (size_t i = 0; i < tail_.size(); ++i) {
    const Tensor inside =
        logical_and(classes >= static_cast<double>(cutoffs_[i]), classes < static_cast<double>(cutoffs_[i + 1]));
    entry = where(
        inside,
        full({}, static_cast<double>(shortlist_) + static_cast<double>(i), {.dtype = DType::I64, .device = x.device()}),
        entry);
    const Tensor local = where(inside, add(classes, -static_cast<double>(cutoffs_[i])), zero);
    const Tensor logp = log_softmax(tail_[i](x), 1);
    const Tensor own = where(inside, squeeze(gather(logp, 1, unsqueeze(local, 1)), 1), none);
    within = within.defined() ? add(within, own) : own;
  }
  const Tensor output = add(squeeze(gather(head, 1, unsqueeze(entry, 1)), 1), within);
  return {single ? reshape(output, {}) : output, neg(mean(output))};
}

Tensor AdaptiveLogSoftmaxWithLoss::log_prob(const Tensor& input) const {
  const Tensor head = log_softmax(head_(input), 1);
  std::vector<Tensor> parts{slice(head, 1, 0, shortlist_)};
  for (size_t i = 0; i < tail_.size(); ++i) {
    const auto entry = shortlist_ + static_cast<int64_t>(i);
    parts.push_back(add(log_softmax(tail_[i](input), 1), slice(head, 1, entry, entry + 1)));
  }
  return cat(parts, 1);
}

Tensor AdaptiveLogSoftmaxWithLoss::predict(const Tensor& input) const {
  const NoGrad guard;
  return argmax(log_prob(input), 1);
}

}  // namespace ebb::nn
