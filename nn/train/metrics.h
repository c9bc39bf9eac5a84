// What a classifier gets right: accuracy, confusion matrix, and tables for people.
#pragma once

#include <string>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::nn {

/// The number of rows of scores (N, C) whose largest entry is at target (N) of i64 or u8: a 0-d f64 tensor on their
/// device.
Tensor count_correct(const Tensor& scores, const Tensor& target);

/// How often class i (row) was taken for class j (column). Thread-safety: one thread at a time.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t classes);

  /// Adds predictions (N) and targets (N) of i64 or u8. Throws Error for a class out of range.
  void add(const Tensor& predicted, const Tensor& target);

  int64_t at(int64_t target, int64_t predicted) const;
  int64_t total() const;
  /// Share of samples on the diagonal, in [0, 1]; NaN when empty.
  double accuracy() const;
  /// Share of the samples of class i that were found; NaN when there are none.
  double recall(int64_t i) const;
  /// Share of the predictions of class i that were right; NaN when there are none.
  double precision(int64_t i) const;
  /// A table with one row a class, its counts and recall. names: one a class, or none for numbers.
  std::string to_table(const std::vector<std::string>& names = {}) const;

 private:
  int64_t classes_;
  std::vector<int64_t> counts_;  // (target, predicted)
};

}  // namespace ebb::nn
