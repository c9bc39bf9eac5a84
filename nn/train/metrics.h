// What a classifier gets right: accuracy, confusion matrix, precision, recall and F1, and tables for people.
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
  /// Share of the samples of class i that were true_positives; NaN when there are none.
  double recall(int64_t i) const;
  /// Share of the predictions of class i that were right; NaN when there are none.
  double precision(int64_t i) const;
  /// Mean of the recalls of all classes that occur, each class counting alike (balanced accuracy); NaN when empty.
  double mean_recall() const;
  /// Returns a table with one row for each class: its counts and its recall.
  /// names: one for each class, or none for numbers; throws Error for another count. columns: the width that the table
  /// has to fit, such as terminal_columns(); 0 for any. In a narrow one long names are shortened, and the columns of the
  /// matrix continue in further tables below.
  std::string to_table(const std::vector<std::string>& names = {}, int columns = 0) const;

 private:
  int64_t classes_;
  std::vector<int64_t> counts_;  // (target, predicted)
};

/// Multi-label classification, where each label of a sample is a yes or no of its own: counts of true positives, false
/// positives and false negatives. Thread-safety: one thread at a time.
class LabelCounts {
 public:
  explicit LabelCounts(int64_t labels);

  /// Adds predictions and targets, both (N, labels): bool, or any dtype with 0 for no and 1 for yes.
  /// Throws Error for another shape or value.
  void add(const Tensor& predicted, const Tensor& target);

  int64_t true_positives(int64_t label) const { return of(label).true_positives; }
  int64_t false_negatives(int64_t label) const { return of(label).false_negatives; }
  int64_t false_positives(int64_t label) const { return of(label).false_positives; }

  /// Over the decisions on all labels together (micro average): true_positives / (true_positives + false_positives); NaN over nothing.
  double precision() const;
  /// true_positives / (true_positives + false_negatives), micro average; NaN over nothing.
  double recall() const;
  /// 2 true_positives / (2 true_positives + false_negatives + false_positives), the harmonic mean of both, micro average; NaN over nothing.
  double f1() const;
  /// The same for one label; NaN for one that neither occurs nor was predicted.
  double f1(int64_t label) const;
  /// Mean of f1(label) over the labels where it is a number (macro average); NaN when there are none.
  double macro_f1() const;

 private:
  struct Counts {
    int64_t true_positives = 0, false_negatives = 0, false_positives = 0;
  };
  const Counts& of(int64_t label) const;
  Counts total() const;
  std::vector<Counts> counts_;
};

/// The t for which the predictions scores > t have the largest micro-averaged F1; on a tie the largest t. scores and
/// target: (N, labels), target as for LabelCounts. t is one of the scores, or -infinity, which predicts every label.
/// Choose it on samples that are not tested on. Throws Error when no target is a yes, or a score is NaN.
double best_f1_threshold(const Tensor& scores, const Tensor& target);

}  // namespace ebb::nn
