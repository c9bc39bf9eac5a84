#include "ebb/nn/train/metrics.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/core/grad_mode.h"

namespace ebb::nn {
namespace {

double share(int64_t part, int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(part) / static_cast<double>(whole);
}

std::string padded(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ').append(text) : text;
}

}  // namespace

Tensor count_correct(const Tensor& scores, const Tensor& target) {
  const NoGrad guard;
  if (scores.dim() != 2 || target.dim() != 1 || target.size(0) != scores.size(0)) {
    fail("count_correct", "expected scores (N, C) and target (N), got ", scores.shape(), " and ", target.shape());
  }
  return sum(equal(argmax(scores, 1), target.to(DType::I64))).to(DType::F64);
}

ConfusionMatrix::ConfusionMatrix(int64_t classes) : classes_(classes) {
  if (classes < 1) fail("ConfusionMatrix", "expected at least one class, got ", classes);
  counts_.resize(static_cast<size_t>(classes * classes));
}

void ConfusionMatrix::add(const Tensor& predicted, const Tensor& target) {
  if (!(predicted.shape() == target.shape())) {
    fail("ConfusionMatrix", "predictions ", predicted.shape(), " do not match targets ", target.shape());
  }
  const std::vector<int64_t> p = predicted.to_vector<int64_t>(), t = target.to_vector<int64_t>();
  for (size_t i = 0; i < p.size(); ++i) {
    for (int64_t c : {p[i], t[i]}) {
      if (c < 0 || c >= classes_)
        fail("ConfusionMatrix", "class ", c, " is out of range: expected 0 to ", classes_ - 1);
    }
  }
  for (size_t i = 0; i < p.size(); ++i) ++counts_[static_cast<size_t>(t[i] * classes_ + p[i])];
}

int64_t ConfusionMatrix::at(int64_t target, int64_t predicted) const {
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

std::string ConfusionMatrix::to_table(const std::vector<std::string>& names) const {
  size_t label = 6, cell = 5;
  const auto name = [&](int64_t i) { return names.empty() ? std::to_string(i) : names[static_cast<size_t>(i)]; };
  for (int64_t i = 0; i < classes_; ++i) label = std::max(label, name(i).size());
  for (int64_t n : counts_) cell = std::max(cell, std::to_string(n).size() + 1);
  std::string text = padded("true", label);
  for (int64_t j = 0; j < classes_; ++j) text += padded(std::to_string(j), cell);
  text += "  recall   <- predicted\n";
  for (int64_t i = 0; i < classes_; ++i) {
    text += padded(name(i), label);
    for (int64_t j = 0; j < classes_; ++j) text += padded(at(i, j) ? std::to_string(at(i, j)) : ".", cell);
    char rate[32];
    std::snprintf(rate, sizeof rate, "  %5.1f %%\n", 100 * recall(i));
    text += rate;
  }
  return text;
}

}  // namespace ebb::nn
