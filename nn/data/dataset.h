// Dataset: samples and targets in memory, and functions that split a data set in two.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::data {

/// Samples and targets: row i of `inputs` is sample i, and row i of `targets` its target. Copies
/// share the tensors. Thread-safety: any number of threads may read a Dataset.
class Dataset {
 public:
  Dataset() = default;
  /// inputs (N, ...) and targets (N, ...) are on the CPU and have any dtype. class_names: the names
  /// of integer targets, or empty. Throws Error if the first sizes differ, or if a tensor is 0-d or
  /// not on the CPU.
  Dataset(const Tensor& inputs, const Tensor& targets, std::vector<std::string> class_names = {});

  /// Returns the number of samples; 0 for an empty Dataset.
  int64_t size() const { return inputs_.defined() ? inputs_.size(0) : 0; }
  const Tensor& inputs() const { return inputs_; }
  const Tensor& targets() const { return targets_; }
  const std::vector<std::string>& class_names() const { return class_names_; }

  /// Returns copies of the samples with these indices, in this order. indices: i64 (M,). Throws
  /// Error if one is out of range.
  Dataset take(const Tensor& indices) const;

 private:
  Tensor inputs_, targets_;  // contiguous
  std::vector<std::string> class_names_;
};

/// Returns copies of rows of a contiguous CPU tensor: (N, ...) -> (rows.size(), ...). REQUIRES rows
/// in [0, N).
Tensor take_rows(const Tensor& source, std::span<const int64_t> rows);

/// The indices of two parts of a data set: i64, each sorted, together 0 ... N - 1.
struct Split {
  Tensor train;
  Tensor test;
};

/// Puts round(test_fraction * size) samples, drawn with the seed, into the test part. The result
/// depends only on the arguments. Throws Error unless test_fraction is in (0, 1) and neither part
/// is empty.
Split split(int64_t size, double test_fraction, uint64_t seed);

/// Splits each class in the same proportion: of a class with n samples, test_fraction * n, rounded
/// up or down, go into the test part. targets: i64 or u8 (N,). Throws Error as split does, and for
/// another dtype or shape.
Split stratified_split(const Tensor& targets, double test_fraction, uint64_t seed);

}  // namespace ebb::data
