// What multi_margin_loss and multilabel_margin_loss share: hinges between the labels of a row and its other classes.
#pragma once

#include "ebb/core/tensor.h"

namespace ebb::nn {

struct MarginRows {
  /// The same losses by public ops: for orders above the first, and where the weight has a gradient.
  Tensor (*composed)(const Tensor& x, const Tensor& target, const MarginRows& options);
  double margin = 1;
  int p = 1;
  Tensor weight = {};
};

/// The losses (N) of MarginArgs (core/backend.h): x (N, C), target (N) or (N, C), which are checked. One kernel.
Tensor margin_rows(const Tensor& x, const Tensor& target, const MarginRows& options);

}  // namespace ebb::nn
