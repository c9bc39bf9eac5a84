// Saved: a tensor that an op keeps for its backward, protected against changes until then.
#pragma once

#include "ebb/core/tensor.h"

namespace ebb {

class Saved {
 public:
  Saved() = default;
  /// Keeps an input, or any other tensor that the op did not create.
  explicit Saved(const Tensor& tensor)
      : tensor_(tensor), version_(tensor.defined() ? tensor.version() : 0) {}
  /// Keeps output `index` of the op, without a reference to the op's node.
  static Saved output(const Tensor& tensor, int index = 0);

  /// Returns the tensor, with its history if backward is being recorded. REQUIRES a call from
  /// backward. Throws Error that names the op if the elements have been changed in place.
  Tensor get() const;
  bool defined() const { return tensor_.defined(); }
  /// Returns the tensor without a check, for its shape and dtype.
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
