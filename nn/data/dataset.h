// Dataset: samples and targets in memory, of the CPU or of a GPU, and functions that split a data
// set in two.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::data {

/// Samples and targets: row i of `inputs` is sample i, and row i of `targets` its target. Copies
/// share the tensors. Thread-safety: any number of threads may read a Dataset.
class Dataset {
 public:
  Dataset() = default;
  /// inputs (N, ...) and targets (N, ...) are on one device and have any dtype. class_names: the
  /// names of integer targets, or empty. Throws Error if the first sizes or the devices differ, or
  /// if a tensor is 0-d.
  Dataset(const Tensor& inputs, const Tensor& targets, std::vector<std::string> class_names = {});

  /// Returns the number of samples; 0 for an empty Dataset.
  int64_t size() const { return inputs_.defined() ? inputs_.size(0) : 0; }
  const Tensor& inputs() const { return inputs_; }
  const Tensor& targets() const { return targets_; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  /// Returns the device of the tensors; the CPU for an empty Dataset.
  Device device() const { return inputs_.defined() ? inputs_.device() : Device::cpu(); }
  /// Returns the number of bytes of both tensors.
  int64_t bytes() const;

  /// Returns copies of the samples with these indices, in this order, on the device of the data
  /// set. indices: i64 (M,). Throws Error if one is out of range.
  Dataset take(const Tensor& indices) const;

  /// Returns the data set on a device; itself if it is there. A DataLoader gathers the batches of a
  /// data set on a GPU there, which is several times faster than copying them. Throws Error if the
  /// device has not enough memory.
  ///
  ///     DataLoader loader(train.to(Device::cuda()), {.batch_size = 128, .shuffle = true});
  Dataset to(Device device) const;
  /// Returns to(device) if the data set takes at most half of the memory that is available there,
  /// else this data set.
  Dataset to_if_it_fits(Device device) const;

 private:
  Tensor inputs_, targets_;  // contiguous
  std::vector<std::string> class_names_;
};

namespace detail {
/// Returns copies of `count` samples and their targets: those numbered order[*position] and
/// following (TrainingKernels::take_rows). unit_float: converts samples of u8 to f32 in [0, 1].
std::pair<Tensor, Tensor> take_samples(const Dataset& dataset, const Tensor& order,
                                       const int64_t* position, int64_t count, bool unit_float);
}  // namespace detail

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
