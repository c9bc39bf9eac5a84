// Shared by multi_margin_loss and multilabel_margin_loss: hinges between the labels of a row and
// its other classes.
#pragma once

#include "ebb/core/tensor.h"

namespace ebb::nn {

struct MarginRows {
  /// Computes the same losses with public ops, for orders above the first and if the weight
  /// requires grad.
  Tensor (*composed)(const Tensor& x, const Tensor& target, const MarginRows& options);
  double margin = 1;
  int p = 1;
  Tensor weight = {};
};

/// Returns the losses (N) of MarginArgs (core/backend.h) with one kernel. x (N, C) and target (N)
/// or (N, C) have been checked.
Tensor margin_rows(const Tensor& x, const Tensor& target, const MarginRows& options);

}  // namespace ebb::nn
