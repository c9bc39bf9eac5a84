// Losses of multi-label classification, in which each class of a sample is present or not.
//
// Shapes: input and target have the same shape, which can be any unless stated otherwise. Throws
// Error for other shapes and for different dtypes or devices.
#pragma once

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct BCELossOptions {
  Tensor weight = {};  ///< broadcasts to input; can have a gradient
  Reduction reduction = Reduction::Mean;
};
/// Returns -w (t log x + (1 - t) log(1 - x)) for probabilities x, with each log clamped to at least
/// -100.
///
/// Derivative: w (x - t) / max(x (1 - x), 1e-12). Throws Error if an element of input or target is
/// outside of [0, 1] or NaN. Mean divides by the number of elements. The form for logits is more
/// accurate.
///
///     Tensor loss = binary_cross_entropy(tensor({0.9, 0.2}), tensor({1., 0.}));  // 0.164252
///
/// Formula: BceLoss in formulas.h. Test: binary_cross_entropy in rows_losses_pointwise.cpp.
Tensor binary_cross_entropy(const TensorArg& input, const Tensor& target,
                            BCELossOptions options = {});

struct BCEWithLogitsLossOptions {
  Tensor weight = {};
  Reduction reduction = Reduction::Mean;
  Tensor pos_weight = {};  ///< factor of the positive term; broadcasts; can have a gradient
};
/// Returns w ((1 - t) softplus(x) + pos_weight t softplus(-x)) for logits x. It is accurate for
/// every x.
///
/// Derivative: w ((1 - t) sigmoid(x) - pos_weight t sigmoid(-x)). pos_weight broadcasts from the
/// last dim. Mean divides by the number of elements.
///
///     Tensor x = tensor({0., 2.}), t = tensor({0., 1.});
///     Tensor loss = binary_cross_entropy_with_logits(x, t);  // 0.410038
///
/// Formula: BceWithLogits, BceWithLogitsPos in formulas.h. Test:
/// binary_cross_entropy_with_logits in rows_losses_pointwise.cpp.
Tensor binary_cross_entropy_with_logits(const TensorArg& input, const Tensor& target,
                                        BCEWithLogitsLossOptions options = {});

struct MultiLabelMarginLossOptions {
  Tensor weight = {};  ///< (C): the weight of the label of a term
  Reduction reduction = Reduction::Mean;
};
/// Returns 1 / C times the sum of max(0, 1 - x_t + x_i) over labels t and over classes i that are
/// not labels.
///
/// Derivative: for each pair inside of the margin, 1 / C at i and -1 / C at t.
/// Shape: input (N, C) or (C). target has the same shape with i64 or u8 class indices: the labels,
/// up to the first -1. Throws Error for entries below -1 or above C - 1, also after the -1. Mean
/// divides by N.
///
///     Tensor x = tensor({{0.5, 0., 0.}}), t = tensor({{0, -1, -1}}, i64);
///     Tensor loss = multilabel_margin_loss(x, t);  // 0.333333
///
/// Struct: MarginHinges in margin_rows.cpp. Kernels: margin. Test: multilabel_margin_loss in
/// rows_losses_classes.cpp.
Tensor multilabel_margin_loss(const TensorArg& input, const Tensor& target,
                              MultiLabelMarginLossOptions options = {});

struct MultiLabelSoftMarginLossOptions {
  Tensor weight = {};  ///< broadcasts to input; can have a gradient
  Reduction reduction = Reduction::Mean;
};
/// Returns the mean over the last dim of w (t softplus(-x) + (1 - t) softplus(x)). Reduction None
/// removes the last dim.
///
/// Derivative: w (sigmoid(x) - t), divided by the size of the last dim.
///
///     Tensor x = tensor({{0., 2.}}), t = tensor({{0., 1.}});
///     Tensor loss = multilabel_soft_margin_loss(x, t);  // 0.410038
///
/// Formula: MultiLabelSoftMargin in formulas.h. Test: multilabel_soft_margin_loss in
/// rows_losses_classes.cpp.
Tensor multilabel_soft_margin_loss(const TensorArg& input, const Tensor& target,
                                   MultiLabelSoftMarginLossOptions options = {});

struct SigmoidFocalLossOptions {
  double alpha = 0.25;  ///< the weight of positives; negative: no weights
  double gamma = 2;
  Reduction reduction = Reduction::None;
};
/// Returns alpha_t (1 - p_t)^gamma times the binary cross-entropy of logits, with p = sigmoid(x),
/// p_t = p t + (1 - p)(1 - t) and alpha_t = alpha t + (1 - alpha)(1 - t) (Lin et al. 2017). The
/// options and the default reduction None are torchvision's.
///
/// Derivative: that of the product by x, with p_t included.
///
///     Tensor x = tensor({0., 2.}), t = tensor({0., 1.});
///     Tensor losses = sigmoid_focal_loss(x, t);  // [0.129965, 0.000450891]
///
/// Formula: SigmoidFocalLoss in formulas.h. Test: sigmoid_focal_loss in
/// rows_losses_pointwise.cpp.
Tensor sigmoid_focal_loss(const TensorArg& input, const Tensor& target,
                          SigmoidFocalLossOptions options = {});

struct DiceLossOptions {
  bool logits = true;  ///< the input consists of logits, to which sigmoid is applied
  double smooth = 1;
};
/// Returns the mean over classes of 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), where the
/// sums run over batch and positions (Milletari et al. 2016, with a linear denominator).
///
/// Shape: input and target (N, C, ...); the result is 0-d.
///
///     Tensor loss = dice_loss(tensor({{1., 0.}}), tensor({{1., 0.}}), {.logits = false});  // 0
///
/// Composed in multilabel.cpp. Test: dice_loss in rows_losses_similarity.cpp.
Tensor dice_loss(const TensorArg& input, const Tensor& target, DiceLossOptions options = {});

}  // namespace ebb::nn
