// Iterating over strided tensors: nested loops over coalesced dims, for copies, fills and packing.
#pragma once

#include <cstdint>

#include "ebb/core/shape.h"

namespace ebb::cpu {

/// A position in a strided tensor. It moves in row-major order, by runs of the last dim.
class StridedCursor {
 public:
  StridedCursor(const Shape& shape, const Shape& strides) : shape_(shape), strides_(strides) {}

  /// Moves to the element with the given index in row-major order.
  void seek(int64_t linear) {
    offset_ = 0;
    for (int i = shape_.dim() - 1; i >= 0; --i) {
      index_[i] = linear % shape_[i];
      linear /= shape_[i];
      offset_ += index_[i] * strides_[i];
    }
  }
  int64_t offset() const { return offset_; }
  int64_t run_stride() const { return strides_.back(); }
  /// Returns the number of elements left in the current run.
  int64_t run_left() const { return shape_.back() - index_[shape_.dim() - 1]; }
  /// Moves forward by n <= run_left() elements.
  void advance(int64_t n) {
    const int last = shape_.dim() - 1;
    index_[last] += n;
    offset_ += n * strides_[last];
    for (int i = last; i > 0 && index_[i] == shape_[i]; --i) {
      offset_ += strides_[i - 1] - index_[i] * strides_[i];
      index_[i] = 0;
      ++index_[i - 1];
    }
  }

 private:
  const Shape& shape_;
  const Shape& strides_;
  int64_t index_[kMaxDims];
  int64_t offset_ = 0;
};

}  // namespace ebb::cpu
