// Metrics of classifiers: accuracy, confusion matrix, precision, recall and F1, and tables of them
// as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::nn {

/// Returns the number of rows of scores (N, C) whose largest entry is at target (N) of i64 or u8,
/// as a 0-d f64 tensor on their device.
Tensor count_correct(const Tensor& scores, const Tensor& target);

namespace detail {
/// Throws Error that names op unless scores are (N, C) with C > 0, and target (N) has class numbers
/// on their device.
void check_class_scores(std::string_view op, const Tensor& scores, const Tensor& target);
}  // namespace detail

/// Counts of samples of class i (row) that were predicted as class j (column). Thread-safety: one
/// thread at a time.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t classes);

  /// Adds predictions (N) and targets (N) of i64 or u8. Throws Error for a class out of range.
  void add(const Tensor& predicted, const Tensor& target);

  int64_t at(int64_t target, int64_t predicted) const;
  int64_t total() const;
  /// Returns the share of samples on the diagonal, in [0, 1], and NaN without samples.
  double accuracy() const;
  /// Returns the share of the samples of class i that were predicted as class i, and NaN if there
  /// are none.
  double recall(int64_t i) const;
  /// Returns the share of the predictions of class i that were right, and NaN if there are none.
  double precision(int64_t i) const;
  /// Returns the mean of the recalls of all classes that occur, with equal weights (balanced
  /// accuracy), and NaN without samples.
  double mean_recall() const;
  /// Returns a table with the counts and the recall of each class, one row per class.
  ///
  /// names: one per class, or none to show numbers. columns: the maximal width of the table, such
  /// as terminal_columns(), or 0 for no limit. For a narrow width, long names are shortened, and
  /// the columns of the matrix continue in further tables. Throws Error for another number of
  /// names.
  std::string to_table(const std::vector<std::string>& names = {}, int columns = 0) const;

 private:
  int64_t classes_;
  std::vector<int64_t> counts_;  // (target, predicted)
};

/// Counts of true positives, false positives and false negatives per label, for multi-label
/// classification. Thread-safety: one thread at a time.
class LabelCounts {
 public:
  explicit LabelCounts(int64_t labels);

  /// Adds predictions and targets, both (N, labels): bool, or any dtype with 0 for no and 1 for
  /// yes. Throws Error for another shape or value.
  void add(const Tensor& predicted, const Tensor& target);

  int64_t true_positives(int64_t label) const { return of(label).true_positives; }
  int64_t false_negatives(int64_t label) const { return of(label).false_negatives; }
  int64_t false_positives(int64_t label) const { return of(label).false_positives; }

  /// Returns true positives / (true positives + false positives) of all labels together (micro
  /// average), and NaN for 0 / 0.
  double precision() const;
  /// Returns true positives / (true positives + false negatives) of all labels together, and NaN
  /// for 0 / 0.
  double recall() const;
  /// Returns the harmonic mean of precision and recall of all labels together: 2 true positives /
  /// (2 true positives + false negatives + false positives), and NaN for 0 / 0.
  double f1() const;
  /// Returns the same for one label, and NaN if it neither occurs nor was predicted.
  double f1(int64_t label) const;
  /// Returns the mean of f1(label) over the labels for which it is not NaN (macro average), and NaN
  /// if there are none.
  double macro_f1() const;

 private:
  struct Counts {
    int64_t true_positives = 0, false_negatives = 0, false_positives = 0;
  };
  const Counts& of(int64_t label) const;
  Counts total() const;
  std::vector<Counts> counts_;
};

/// Returns the threshold t for which the predictions scores > t have the largest micro-averaged F1,
/// and the largest t of several.
///
/// scores and target are (N, labels), with target as for LabelCounts. t is one of the scores, or
/// -infinity, which predicts every label. Choose it on samples that are not used for testing.
/// Throws Error if no label is present, or if a score is NaN.
double best_f1_threshold(const Tensor& scores, const Tensor& target);

}  // namespace ebb::nn
