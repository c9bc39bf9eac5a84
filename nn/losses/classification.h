// Losses of classification with one class a sample. input (N, C), (C) or (N, C, d1 ...); target of class indices, i64
// or u8, without the class dim: (N), () or (N, d1 ...). Indices are checked: Error with value and position.
#pragma once

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct CrossEntropyLossOptions {
  Tensor weight = {};           ///< (C): a weight for each class
  int64_t ignore_index = -100;  ///< samples of this class contribute nothing
  Reduction reduction = Reduction::Mean;
  double label_smoothing = 0;  ///< in [0, 1]
};
/// -sum_c a_c log softmax(x)_c on logits, fused. Class indices t: a_c = (1 - s) w_t [c = t] + s / C w_c; Mean divides
/// by the sum of the selected w_t. A target of input's shape holds probabilities or one-hot rows (floating of input's
/// dtype, i64, bool): a_c = w_c ((1 - s) y_c + s / C); Mean divides by the number of samples. Gradients by input, and
/// by probabilities and weight where the target holds probabilities (Szegedy et al. 2016 for label smoothing).
Tensor cross_entropy(const TensorArg& input, const Tensor& target,
                     CrossEntropyLossOptions options = {});

struct NLLLossOptions {
  Tensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::Mean;
};
/// -w_t x_t of log-probabilities x. Mean divides by the sum of the selected w_t.
Tensor nll_loss(const TensorArg& input, const Tensor& target, NLLLossOptions options = {});

struct MultiMarginLossOptions {
  int p = 1;  ///< 1 or 2
  double margin = 1;
  Tensor weight = {};
  Reduction reduction = Reduction::Mean;
};
/// w_t / C sum_{i != t} max(0, margin - x_t + x_i)^p, input (N, C) or (C) (Crammer and Singer 2001). Mean: over N.
Tensor multi_margin_loss(const TensorArg& input, const Tensor& target,
                         MultiMarginLossOptions options = {});

struct FocalLossOptions {
  double gamma = 2;
  Tensor weight = {};
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  Reduction reduction = Reduction::Mean;
};
/// (1 - p_t)^gamma times the cross-entropy term, p = softmax(x) (Lin et al. 2017). Mean divides as cross_entropy does.
Tensor focal_loss(const TensorArg& input, const Tensor& target, FocalLossOptions options = {});

}  // namespace ebb::nn
