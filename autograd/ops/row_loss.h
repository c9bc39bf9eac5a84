// Fused losses that read each row of class scores once.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

struct CrossEntropyRows {
  Tensor weight = {};  ///< (C), no gradient
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  enum class Form : uint8_t { None, Sum, Mean } form = Form::Mean;
};

/// Returns the cross-entropy of class indices. nn::cross_entropy is the function for users, with
/// every form of target.
///
/// Derivative: softmax(x) - y for weights of 1, without smoothing. Shape: input (N, C) or (N, C,
/// inner), target (N) or (N, inner) of i64 or u8. The result has the shape of the target, or is
/// 0-d. Throws Error for indices out of range.
///
/// Struct: CrossEntropy in row_loss.cpp. Kernels: cross_entropy. Test: cross_entropy in
/// rows_losses_classes.cpp.
Tensor cross_entropy_rows(const TensorArg& input, const Tensor& target,
                          const CrossEntropyRows& options);

}  // namespace ebb
