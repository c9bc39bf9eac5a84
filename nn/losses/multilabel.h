// Losses of multi-label classification: each class of a sample is a yes or no of its own.
#pragma once

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct BCELossOptions {
  Tensor weight = {};  ///< broadcast to input; differentiable
  Reduction reduction = Reduction::Mean;
};
/// -w (t log x + (1 - t) log(1 - x)) on probabilities x, each log at least -100. Throws Error when an element of input
/// or target is outside [0, 1] or NaN. Mean: over the number of elements. Prefer the form on logits: it is exact.
Tensor binary_cross_entropy(const TensorArg& input, const Tensor& target,
                            BCELossOptions options = {});

struct BCEWithLogitsLossOptions {
  Tensor weight = {};
  Reduction reduction = Reduction::Mean;
  Tensor pos_weight =
      {};  ///< multiplies the positive term; broadcast from the last dim; differentiable
};
/// w ((1 - t) softplus(x) + pos_weight t softplus(-x)) on logits: stable for every x.
Tensor binary_cross_entropy_with_logits(const TensorArg& input, const Tensor& target,
                                        BCEWithLogitsLossOptions options = {});

struct MultiLabelMarginLossOptions {
  Tensor weight = {};  ///< (C): weight of the label that a term belongs to
  Reduction reduction = Reduction::Mean;
};
/// 1 / C sum over labels t, classes i that are no label, of max(0, 1 - x_t + x_i). input (N, C) or (C); target i64 or
/// u8 of the same shape: labels up to the first -1. Throws Error for entries below -1 or above C - 1, behind the -1
/// too. Mean: over N.
Tensor multilabel_margin_loss(const TensorArg& input, const Tensor& target,
                              MultiLabelMarginLossOptions options = {});

struct MultiLabelSoftMarginLossOptions {
  Tensor weight = {};  ///< (C) or broadcast; differentiable
  Reduction reduction = Reduction::Mean;
};
/// mean over the last dim of w (t softplus(-x) + (1 - t) softplus(x)); None drops the last dim.
Tensor multilabel_soft_margin_loss(const TensorArg& input, const Tensor& target,
                                   MultiLabelSoftMarginLossOptions options = {});

struct SigmoidFocalLossOptions {
  double alpha = 0.25;  ///< weight of positives; negative: none
  double gamma = 2;
  Reduction reduction = Reduction::None;
};
/// alpha_t (1 - p_t)^gamma BCE on logits, p_t = p t + (1 - p)(1 - t), alpha_t = alpha t + (1 - alpha)(1 - t)
/// (Lin et al. 2017; torchvision's convention and default reduction).
Tensor sigmoid_focal_loss(const TensorArg& input, const Tensor& target,
                          SigmoidFocalLossOptions options = {});

struct DiceLossOptions {
  bool logits = true;  ///< input are logits, made probabilities by sigmoid
  double smooth = 1;
};
/// Mean over classes of 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), sums over batch and positions;
/// input (N, C, ...) (Milletari et al. 2016, linear denominator).
Tensor dice_loss(const TensorArg& input, const Tensor& target, DiceLossOptions options = {});

}  // namespace ebb::nn
