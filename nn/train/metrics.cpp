#include "ebb/nn/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "ebb/core/host_vector.h"
#include "ebb/core/training.h"
#include "ebb/nn/class_numbers.h"

namespace ebb::nn {
namespace {

double share(int64_t part, int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(part) / static_cast<double>(whole);
}

// Returns the mean of the values that are not NaN, and NaN if all are.
double mean_of_numbers(const std::vector<double>& values) {
  double sum = 0;
  int64_t n = 0;
  for (double v : values) {
    if (!std::isnan(v)) sum += v, ++n;
  }
  return n == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(n);
}

// Throws Error unless 0 <= number < count.
void check_number(std::string_view op, std::string_view what, int64_t number, int64_t count) {
  if (number < 0 || number >= count)
    fail(op, what, " ", number, " is out of range: expected 0 to ", count - 1);
}

// Returns 0 or 1 for each element, in row-major order.
std::vector<bool> decisions(std::string_view op, const Tensor& tensor) {
  const std::vector<double> values = tensor.to_vector<double>();
  std::vector<bool> yes;
  for (double v : values) {
    if (v != 0 && v != 1) fail(op, "expected 0 or 1 for no or yes, got ", v);
    yes.push_back(v == 1);
  }
  return yes;
}

double f1_of(int64_t found, int64_t missed, int64_t false_positives) {
  return share(2 * found, 2 * found + missed + false_positives);
}

std::string padded(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ').append(text) : text;
}

// Returns at most width characters. If some are cut, the last two mark the cut.
std::string shortened(const std::string& text, size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

}  // namespace

void detail::check_class_scores(std::string_view op, const Tensor& scores, const Tensor& target) {
  check_defined(op, scores);
  check_class_numbers(op, "targets", target);
  if (scores.dim() != 2 || scores.size(1) == 0 || target.dim() != 1 ||
      target.size(0) != scores.size(0)) {
    fail(op, "expected scores (N, C) and target (N), got ", scores.shape(), " and ",
         target.shape());
  }
  if (target.device() != scores.device())
    fail(op, "scores are on ", scores.device(), ", and targets on ", target.device());
}

Tensor count_correct(const Tensor& scores, const Tensor& target) {
  detail::check_class_scores("count_correct", scores, target);
  Tensor correct = zeros({}, {.dtype = DType::F64, .device = scores.device()});
  const Tensor rows = scores.detach().contiguous(), classes = target.contiguous();
  training_kernels(scores.device())
      .add_figures({.scores = &rows, .target = &classes, .correct = &correct});
  return correct;
}

ConfusionMatrix::ConfusionMatrix(int64_t classes) : classes_(classes) {
  constexpr int64_t kMostClasses = 32768;  // 8 GiB of counts
  if (classes < 1 || classes > kMostClasses)
    fail("ConfusionMatrix", "expected 1 to ", kMostClasses, " classes, got ", classes);
  counts_ = host_vector<int64_t>("ConfusionMatrix", classes * classes);
}

void ConfusionMatrix::add(const Tensor& predicted, const Tensor& target) {
  detail::check_class_numbers("ConfusionMatrix", "predictions", predicted);
  detail::check_class_numbers("ConfusionMatrix", "targets", target);
  if (!(predicted.shape() == target.shape())) {
    fail("ConfusionMatrix", "predictions ", predicted.shape(), " do not match targets ",
         target.shape());
  }
  const std::vector<int64_t> p = predicted.to_vector<int64_t>(), t = target.to_vector<int64_t>();
  for (size_t i = 0; i < p.size(); ++i) {
    for (int64_t c : {p[i], t[i]}) check_number("ConfusionMatrix", "class", c, classes_);
  }
  for (size_t i = 0; i < p.size(); ++i) ++counts_[static_cast<size_t>(t[i] * classes_ + p[i])];
}

int64_t ConfusionMatrix::at(int64_t target, int64_t predicted) const {
  for (int64_t c : {target, predicted}) check_number("ConfusionMatrix", "class", c, classes_);
  return counts_[static_cast<size_t>(target * classes_ + predicted)];
}

int64_t ConfusionMatrix::total() const {
  int64_t sum = 0;
  for (int64_t n : counts_) sum += n;
  return sum;
}

double ConfusionMatrix::accuracy() const {
  int64_t diagonal = 0;
  for (int64_t i = 0; i < classes_; ++i) diagonal += at(i, i);
  return share(diagonal, total());
}

double ConfusionMatrix::recall(int64_t i) const {
  int64_t row = 0;
  for (int64_t j = 0; j < classes_; ++j) row += at(i, j);
  return share(at(i, i), row);
}

double ConfusionMatrix::precision(int64_t i) const {
  int64_t column = 0;
  for (int64_t j = 0; j < classes_; ++j) column += at(j, i);
  return share(at(i, i), column);
}

double ConfusionMatrix::mean_recall() const {
  std::vector<double> recalls;
  for (int64_t i = 0; i < classes_; ++i) recalls.push_back(recall(i));
  return mean_of_numbers(recalls);
}

std::string ConfusionMatrix::to_table(const std::vector<std::string>& names, int columns) const {
  if (!names.empty() && names.size() != static_cast<size_t>(classes_)) {
    fail("ConfusionMatrix", "expected ", classes_, " names, one for each class, got ",
         names.size());
  }
  constexpr size_t kRecall = 9, kLeastLabel = 8;  // "  %5.1f %%"
  constexpr std::string_view kHint = "   <- predicted";
  size_t label = 6, cell = 5;
  for (int64_t i = 0; i < classes_; ++i)
    label = std::max(
        label, names.empty() ? std::to_string(i).size() : names[static_cast<size_t>(i)].size());
  for (int64_t n : counts_) cell = std::max(cell, std::to_string(n).size() + 1);
  const size_t limit = columns > 0 ? static_cast<size_t>(columns) : std::string::npos;
  if (columns > 0) label = std::min(label, std::max(kLeastLabel, limit / 4));
  const size_t room = limit > label + kRecall ? (limit - label - kRecall) / cell : 0;
  const int64_t width = std::clamp<int64_t>(static_cast<int64_t>(room), 1, classes_);

  std::string text;
  for (int64_t first = 0; first < classes_; first += width) {
    const int64_t last = std::min(first + width, classes_);
    if (first > 0) text += "\n";
    std::string head = padded("true", label);
    for (int64_t j = first; j < last; ++j) head += padded(std::to_string(j), cell);
    if (last == classes_) head += "  recall";
    if (head.size() + kHint.size() <= limit) head += kHint;
    text += head + "\n";
    for (int64_t i = 0; i < classes_; ++i) {
      text += padded(
          names.empty() ? std::to_string(i) : shortened(names[static_cast<size_t>(i)], label),
          label);
      for (int64_t j = first; j < last; ++j)
        text += padded(at(i, j) ? std::to_string(at(i, j)) : ".", cell);
      char rate[32];
      std::snprintf(rate, sizeof rate, "  %5.1f %%", 100 * recall(i));
      if (last == classes_) text += rate;
      text += "\n";
    }
  }
  return text;
}

LabelCounts::LabelCounts(int64_t labels) {
  if (labels < 1) fail("LabelCounts", "expected at least one label, got ", labels);
  counts_ = host_vector<Counts>("LabelCounts", labels);
}

const LabelCounts::Counts& LabelCounts::of(int64_t label) const {
  check_number("LabelCounts", "label", label, static_cast<int64_t>(counts_.size()));
  return counts_[static_cast<size_t>(label)];
}

void LabelCounts::add(const Tensor& predicted, const Tensor& target) {
  for (const Tensor* tensor : {&predicted, &target}) check_defined("LabelCounts", *tensor);
  const auto labels = static_cast<int64_t>(counts_.size());
  if (!(predicted.shape() == target.shape()) || predicted.dim() != 2 ||
      predicted.size(1) != labels) {
    fail("LabelCounts", "expected predictions and targets (N, ", labels, "), got ",
         predicted.shape(), " and ", target.shape());
  }
  const std::vector<bool> p = decisions("LabelCounts", predicted),
                          t = decisions("LabelCounts", target);
  for (size_t i = 0; i < p.size(); ++i) {
    Counts& counts = counts_[i % counts_.size()];
    counts.true_positives += p[i] && t[i];
    counts.false_negatives += !p[i] && t[i];
    counts.false_positives += p[i] && !t[i];
  }
}

LabelCounts::Counts LabelCounts::total() const {
  Counts sum;
  for (const Counts& c : counts_) {
    sum.true_positives += c.true_positives;
    sum.false_negatives += c.false_negatives;
    sum.false_positives += c.false_positives;
  }
  return sum;
}

double LabelCounts::precision() const {
  const Counts t = total();
  return share(t.true_positives, t.true_positives + t.false_positives);
}

double LabelCounts::recall() const {
  const Counts t = total();
  return share(t.true_positives, t.true_positives + t.false_negatives);
}

double LabelCounts::f1() const {
  const Counts t = total();
  return f1_of(t.true_positives, t.false_negatives, t.false_positives);
}

double LabelCounts::f1(int64_t label) const {
  return f1_of(true_positives(label), false_negatives(label), false_positives(label));
}

double LabelCounts::macro_f1() const {
  std::vector<double> each;
  for (size_t label = 0; label < counts_.size(); ++label)
    each.push_back(f1(static_cast<int64_t>(label)));
  return mean_of_numbers(each);
}

double best_f1_threshold(const Tensor& scores, const Tensor& target) {
  constexpr std::string_view kOp = "best_f1_threshold";
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const Tensor* tensor : {&scores, &target}) check_defined(kOp, *tensor);
  if (!(scores.shape() == target.shape()) || scores.dim() != 2) {
    fail(kOp, "expected scores and target (N, labels), got ", scores.shape(), " and ",
         target.shape());
  }
  const std::vector<double> s = scores.to_vector<double>();
  const std::vector<bool> t = decisions(kOp, target);
  std::vector<size_t> order(s.size());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    if (std::isnan(s[i])) fail(kOp, "score ", i, " is NaN");
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return s[a] > s[b]; });
  const int64_t positives = std::count(t.begin(), t.end(), true);
  if (positives == 0) fail(kOp, "no target is a yes: there is nothing to find");

  // Lowers the threshold from score to score. Scores above it are predicted as present. Equal
  // scores are added together.
  double best = -1, threshold = 0;
  int64_t found = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    found += t[order[i]];
    const double here = s[order[i]], next = i + 1 < order.size() ? s[order[i + 1]] : -kInfinity;
    if (next == here) continue;
    const double f1 = f1_of(found, positives - found, static_cast<int64_t>(i) + 1 - found);
    if (f1 > best) best = f1, threshold = next;
  }
  return threshold;
}

}  // namespace ebb::nn
