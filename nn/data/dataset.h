// Dataset: samples and what they should become, in memory; and ways to cut it in two.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::data {

/// Row i of `inputs` is sample i, and row i of `targets` its target. A cheap handle: copies share the tensors.
/// Thread-safety: any number of threads may read one.
class Dataset {
 public:
  Dataset() = default;
  /// inputs (N, ...), targets (N, ...), on the CPU, any dtype. class_names: what the values of an integer target stand
  /// for, or nothing. Throws Error when the first sizes differ, a tensor has no dimension or is not on the CPU.
  Dataset(const Tensor& inputs, const Tensor& targets, std::vector<std::string> class_names = {});

  /// The number of samples; 0 for a Dataset that was made from nothing.
  int64_t size() const { return inputs_.defined() ? inputs_.size(0) : 0; }
  const Tensor& inputs() const { return inputs_; }
  const Tensor& targets() const { return targets_; }
  const std::vector<std::string>& class_names() const { return class_names_; }

  /// The samples of the given numbers, in that order, copied. indices: i64 (M,). Throws Error when one is out of range.
  Dataset take(const Tensor& indices) const;

 private:
  Tensor inputs_, targets_;  // contiguous
  std::vector<std::string> class_names_;
};

/// Copies rows of a contiguous CPU tensor (N, ...): the result is (rows.size(), ...). REQUIRES rows in [0, N).
Tensor take_rows(const Tensor& source, std::span<const int64_t> rows);

/// The sample numbers of the two parts of a data set: i64, each ascending, together 0 ... N - 1.
struct Split {
  Tensor train, test;
};

/// Puts round(test_fraction * size) samples, drawn with the seed, into the test part.
/// A function of the arguments alone. Throws Error unless test_fraction is in (0, 1) and neither part is empty.
Split split(int64_t size, double test_fraction, uint64_t seed);

/// The same with the classes in equal shares: of a class with n samples, test_fraction * n, rounded up or down, go into
/// the test part. targets: i64 or u8 (N,). Throws Error as split does, and for another dtype or shape.
Split stratified_split(const Tensor& targets, double test_fraction, uint64_t seed);

}  // namespace ebb::data
