#include "ebb/nn/losses/adaptive_log_softmax.h"

#include <cmath>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/class_numbers.h"
#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {
namespace {

constexpr std::string_view kOp = "adaptive_log_softmax_with_loss";

std::vector<int64_t> checked_cutoffs(std::vector<int64_t> cutoffs, int64_t n_classes) {
  int64_t before = 0;
  for (int64_t c : cutoffs) {
    if (c <= before || c >= n_classes) {
      fail(kOp, "cutoffs must increase strictly and be between 1 and ", n_classes - 1, ", got ", c,
           " after ", before);
    }
    before = c;
  }
  if (cutoffs.empty()) fail(kOp, "expected at least one cutoff");
  cutoffs.push_back(n_classes);
  return cutoffs;
}

// Computes in f64, because the gradients of weights are sums over rows and classes whose terms
// cancel.
Tensor linear_in_f64(const Linear& layer, const Tensor& x) {
  return linear(x, layer.weight.to(DType::F64),
                layer.bias.defined() ? layer.bias.to(DType::F64) : Tensor());
}

// Returns the element of each row at its class.
Tensor picked(const Tensor& rows, const Tensor& classes) {
  return squeeze(gather(rows, 1, unsqueeze(classes, 1)), 1);
}

}  // namespace

AdaptiveLogSoftmaxWithLoss::AdaptiveLogSoftmaxWithLoss(int64_t in_features, int64_t n_classes,
                                                       std::vector<int64_t> cutoffs,
                                                       AdaptiveLogSoftmaxOptions options,
                                                       DType dtype)
    : in_features_(in_features),
      shortlist_(cutoffs.empty() ? 0 : cutoffs[0]),
      cutoffs_(checked_cutoffs(std::move(cutoffs), n_classes)),
      head_(add_module("head",
                       Linear(in_features, shortlist_ + static_cast<int64_t>(cutoffs_.size()) - 1,
                              {.bias = options.head_bias, .dtype = dtype}))) {
  Sequential tails;
  for (size_t i = 0; i + 1 < cutoffs_.size(); ++i) {
    const auto width =
        static_cast<int64_t>(std::floor(static_cast<double>(in_features) /
                                        std::pow(options.div_value, static_cast<double>(i + 1))));
    if (width < 1) {
      fail(kOp, "div_value ", options.div_value, " leaves cluster ", i, " no width: ", in_features,
           " features / ", options.div_value, "^", i + 1, " is below 1");
    }
    tail_.push_back(
        {Linear(in_features, width, {.bias = false, .dtype = dtype}),
         Linear(width, cutoffs_[i + 1] - cutoffs_[i], {.bias = false, .dtype = dtype})});
    tails.push_back(Sequential(tail_.back().in, tail_.back().out));
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
  detail::check_class_numbers(kOp, "target", target);
  if (!(target.shape() == (single ? Shape{} : Shape{x.size(0)}))) {
    fail(kOp, "target ", target.shape(), " does not match input ", input.shape());
  }
  check_same_device(kOp, x, target, "target");
  const Tensor classes = reshape(target.to(DType::I64), {x.size(0)});
  backend(x.device()).check_indices(kOp, classes, cutoffs_.back(), std::nullopt);
  const Tensor wide = widened(x);
  const Tensor output =
      x.device() == Device::cpu() ? by_rows(wide, classes) : by_masks(wide, classes);
  return {(single ? reshape(output, {}) : output).to(x.dtype()), neg(mean(output)).to(x.dtype())};
}

// Only the rows of a cluster pass through its layers.
Tensor AdaptiveLogSoftmaxWithLoss::by_rows(const Tensor& x, const Tensor& classes) const {
  const std::vector<int64_t> host = classes.to_vector<int64_t>();
  std::vector<int64_t> entry = host;  // the entry in the head: of the class, or of its cluster
  Tensor within;
  for (size_t i = 0; i < tail_.size(); ++i) {
    std::vector<int64_t> rows, local;
    for (size_t n = 0; n < host.size(); ++n) {
      if (host[n] < cutoffs_[i] || host[n] >= cutoffs_[i + 1]) continue;
      rows.push_back(static_cast<int64_t>(n));
      local.push_back(host[n] - cutoffs_[i]);
      entry[n] = shortlist_ + static_cast<int64_t>(i);
    }
    const Shape count{static_cast<int64_t>(rows.size())};
    const Tensor at = from_data(rows, count), own = from_data(local, count);
    const Tensor each =
        scatter_add(picked(log_softmax(cluster_scores(i, index_select(x, 0, at)), 1), own),
                    classes.shape(), 0, at);
    within = within.defined() ? add(within, each) : each;
  }
  const Tensor head = log_softmax(linear_in_f64(head_, x), 1);
  return add(picked(head, from_data(entry, classes.shape())), within);
}

// The host does not know the classes, so all rows pass through all layers, and a cluster ignores
// the rows of other clusters. A class out of range stays out of range in the head or in the last
// cluster, and gives NaN there.
Tensor AdaptiveLogSoftmaxWithLoss::by_masks(const Tensor& x, const Tensor& classes) const {
  const auto number = [&](int64_t value) {
    return full({}, static_cast<double>(value), {.dtype = DType::I64, .device = x.device()});
  };
  constexpr int64_t kOthers = -1;
  Tensor entry = classes, total;
  for (size_t i = 0; i < tail_.size(); ++i) {
    Tensor local = maximum(sub(classes, number(cutoffs_[i])), number(kOthers));
    if (i + 1 < tail_.size()) {
      local = where(less(local, number(cutoffs_[i + 1] - cutoffs_[i])), local, number(kOthers));
    }
    entry = where(eq(local, number(kOthers)), entry, number(shortlist_ + static_cast<int64_t>(i)));
    const Tensor loss = cross_entropy(cluster_scores(i, x), local,
                                      {.ignore_index = kOthers, .reduction = Reduction::None});
    total = total.defined() ? add(total, loss) : loss;
  }
  const Tensor head = cross_entropy(linear_in_f64(head_, x), entry,
                                    {.ignore_index = INT64_MIN, .reduction = Reduction::None});
  return neg(add(head, total));
}

Tensor AdaptiveLogSoftmaxWithLoss::widened(const Tensor& input) const {
  if (input.dtype() != head_.weight.dtype()) {
    fail(kOp, "input is ", input.dtype(), " and the weights are ", head_.weight.dtype(),
         ": convert one with to()");
  }
  return input.to(DType::F64);
}

Tensor AdaptiveLogSoftmaxWithLoss::cluster_scores(size_t i, const Tensor& x) const {
  return linear_in_f64(tail_[i].out, linear_in_f64(tail_[i].in, x));
}

Tensor AdaptiveLogSoftmaxWithLoss::log_prob(const Tensor& input) const {
  const Tensor x = widened(input), head = log_softmax(linear_in_f64(head_, x), 1);
  std::vector<Tensor> parts{slice(head, 1, 0, shortlist_)};
  for (size_t i = 0; i < tail_.size(); ++i) {
    const auto entry = shortlist_ + static_cast<int64_t>(i);
    parts.push_back(add(log_softmax(cluster_scores(i, x), 1), slice(head, 1, entry, entry + 1)));
  }
  return cat(parts, 1).to(input.dtype());
}

Tensor AdaptiveLogSoftmaxWithLoss::predict(const Tensor& input) const {
  const NoGrad guard;
  return argmax(log_prob(input), 1);
}

}  // namespace ebb::nn
