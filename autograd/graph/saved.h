// Saved: a tensor that an op keeps for its backward, guarded against changes in between.
#pragma once

#include "ebb/core/tensor.h"

namespace ebb {

class Saved {
 public:
  Saved() = default;
  /// Keeps an input (or any tensor that the op did not make).
  explicit Saved(const Tensor& tensor)
      : tensor_(tensor), version_(tensor.defined() ? tensor.version() : 0) {}
  /// Keeps output number `index` of the op itself, without keeping the op's node alive through it.
  static Saved output(const Tensor& tensor, int index = 0);

  /// The tensor, with its history when the walk records a graph. REQUIRES that it is called from backward.
  /// Throws Error naming the op when the elements have been changed in place since.
  Tensor get() const;
  bool defined() const { return tensor_.defined(); }
  /// The tensor as it is now, unchecked: for shape and dtype.
  const Tensor& peek() const { return tensor_; }
  void reset() { tensor_ = Tensor(); }
  int64_t bytes() const {
    return tensor_.defined() ? tensor_.numel() * static_cast<int64_t>(size_of(tensor_.dtype())) : 0;
  }

 private:
  Tensor tensor_;
  uint32_t version_ = 0;
  int32_t output_index_ = -1;
};

}  // namespace ebb
