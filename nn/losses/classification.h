// Losses of classification with one class per sample.
//
// Shapes: input (N, C), (C) or (N, C, d1 ...); target (N), () or (N, d1 ...) with i64 or u8 class
// indices. Reduction None gives one loss per target. Throws Error with value and position for an
// index out of range. docs/losses.md compares the losses and lists differences from PyTorch.
#pragma once

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct CrossEntropyLossOptions {
  Tensor weight = {};           ///< (C): one weight per class
  int64_t ignore_index = -100;  ///< samples of this class contribute nothing
  Reduction reduction = Reduction::Mean;
  double label_smoothing = 0;  ///< in [0, 1]
};
/// Returns the cross-entropy of logits, -sum_c a_c log softmax(x)_c.
///
/// For class indices t, a_c = (1 - s) w_t [c = t] + s / C w_c with label smoothing s (Szegedy et
/// al. 2016), and Mean divides by the sum of the selected w_t. A target with the shape of input
/// contains probabilities or one-hot rows (with the dtype of input, i64 or bool): a_c = w_c ((1 -
/// s) y_c + s / C), and Mean divides by the number of samples. Derivative: softmax(x) - y for
/// weights of 1, without smoothing. Probabilities and their weight have gradients too.
///
///     Tensor loss = cross_entropy(tensor({{2., 0.}, {0., 2.}}), tensor({0, 1}, i64));  // 0.126928
///
/// Composed in classification.cpp. Kernels: cross_entropy. Test: cross_entropy in
/// rows_losses_classes.cpp.
Tensor cross_entropy(const TensorArg& input, const Tensor& target,
                     CrossEntropyLossOptions options = {});

struct NLLLossOptions {
  Tensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::Mean;
};
/// Returns -w_t x_t for log-probabilities x, as log_softmax returns them.
///
/// Derivative: -w_t at the target, 0 elsewhere. Mean divides by the sum of the selected w_t.
///
///     Tensor loss = nll_loss(log(tensor({{0.5, 0.5}})), tensor({1}, i64));  // 0.693147
///
/// Composed in classification.cpp. Test: nll_loss in rows_losses_classes.cpp.
Tensor nll_loss(const TensorArg& input, const Tensor& target, NLLLossOptions options = {});

struct MultiMarginLossOptions {
  int p = 1;  ///< 1 or 2
  double margin = 1;
  Tensor weight = {};
  Reduction reduction = Reduction::Mean;
};
/// Returns w_t / C sum_{i != t} max(0, margin - x_t + x_i)^p (Crammer and Singer 2001).
///
/// Derivative: for p = 1, w_t / C at each i inside of the margin, and minus their sum at t. Shape:
/// input (N, C) or (C). Mean divides by N.
///
///     Tensor loss = multi_margin_loss(tensor({{1., 0.5, 0.}}), tensor({0}, i64));  // 0.166667
///
/// Struct: MarginHinges in margin_rows.cpp. Kernels: margin. Test: multi_margin_loss in
/// rows_losses_classes.cpp.
Tensor multi_margin_loss(const TensorArg& input, const Tensor& target,
                         MultiMarginLossOptions options = {});

struct FocalLossOptions {
  double gamma = 2;
  Tensor weight = {};
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  Reduction reduction = Reduction::Mean;
};
/// Returns (1 - p_t)^gamma times the cross-entropy, with p = softmax(x), which reduces the weight
/// of easy samples (Lin et al. 2017). Mean has the denominator of cross_entropy.
///
/// Derivative: that of (1 - p_t)^gamma times the cross-entropy by each x, with p_t included.
///
///     Tensor loss = focal_loss(tensor({{2., 0.}}), tensor({0}, i64));  // 0.00180356
///
/// Formula: FocalLoss in formulas.h. Test: focal_loss in rows_losses_classes.cpp.
Tensor focal_loss(const TensorArg& input, const Tensor& target, FocalLossOptions options = {});

}  // namespace ebb::nn
