#include "ebb/nn/losses/multilabel.h"

#include "ebb/autograd/op.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/losses/formulas.h"

namespace ebb::nn {

Tensor binary_cross_entropy(const TensorArg& input, const Tensor& target, BCELossOptions options) {
  constexpr std::string_view op = "binary_cross_entropy";
  check_same_shape(op, input, target);
  check_floating(op, input);
  check_weight(op, input, options.weight);
  backend(input->device())
      .check_values(
          op, input,
          {0, 1, "all elements of input must be between 0 and 1 (for logits use binary_cross_entropy_with_logits)"});
  backend(input->device()).check_values(op, target, {0, 1, "all elements of target must be between 0 and 1"});
  return pointwise_loss(formulas::BceLoss{}, options.weight, options.reduction, MeanOver::Elements, input, target);
}

Tensor binary_cross_entropy_with_logits(const TensorArg& input, const Tensor& target,
                                        BCEWithLogitsLossOptions options) {
  constexpr std::string_view op = "binary_cross_entropy_with_logits";
  check_same_shape(op, input, target);
  check_weight(op, input, options.weight);
  check_weight(op, input, options.pos_weight, "pos_weight");
  if (options.pos_weight.defined()) {
    return pointwise_loss(formulas::BceWithLogitsPos{}, options.weight, options.reduction, MeanOver::Elements, input,
                          target, options.pos_weight);
  }
  return pointwise_loss(formulas::BceWithLogits{}, options.weight, options.reduction, MeanOver::Elements, input,
                        target);
}

Tensor multilabel_margin_loss(const TensorArg& input, const Tensor& target, MultiLabelMarginLossOptions options) {
  constexpr std::string_view op = "multilabel_margin_loss";
  const CompositeScope scope(input);
  check_floating(op, input);
  check_defined(op, target);
  check_reduction(op, options.reduction);
  if (input->dim() > 2) fail(op, "input ", input->shape(), " must be (C) or (N, C)");
  if (!(target.shape() == input->shape())) {
    fail(op, "target ", target.shape(), " does not match input ", input->shape(),
         ": expected the same shape, labels up to the first -1");
  }
  if (target.dtype() != DType::I64 && target.dtype() != DType::U8)
    fail(op, "target must be i64 or u8, got ", target.dtype());
  const bool single = input->dim() < 2;
  const Tensor x = single ? reshape(input, {1, input->numel()}) : *input;
  const int64_t batch = x.size(0), classes = x.size(1);
  if (classes == 0) fail(op, "input ", input->shape(), " has no classes");
  if (options.weight.defined()) {
    if (!(options.weight.shape() == Shape{classes})) {
      fail(op, "weight ", options.weight.shape(), " does not match the ", classes, " classes of input ",
           input->shape());
    }
    check_weight(op, x, options.weight);
  }
  const Tensor labels = reshape(target, {batch, classes}).to(DType::I64);
  backend(x.device()).check_indices(op, labels, classes, -1);
  const TensorOptions like{.dtype = x.dtype(), .device = x.device()};
  const Tensor zero = zeros({}, like);
  // A label counts when no -1 stands before it: the running count of -1 along the row is 0.
  const Tensor closing = (labels < 0.0).to(x.dtype());
  const Tensor earlier = (arange(0, static_cast<double>(classes), 1, {.dtype = x.dtype()}).to(x.device()));
  const Tensor upto = less_equal(unsqueeze(earlier, 0), unsqueeze(earlier, 1)).to(x.dtype());  // [k][j]: j <= k
  const Tensor counts = equal(sum(mul(unsqueeze(closing, 1), upto), {2}), zero);               // (N, K)
  const Tensor safe = where(labels < 0.0, zeros_like(labels), labels);
  const Tensor hits = where(unsqueeze(counts, 2), one_hot(safe, classes, x.dtype()), zero);  // (N, K, C)
  const Tensor is_label = sum(hits, {1}) > 0.0;                                              // (N, C)
  const Tensor scores = gather(x, 1, safe);                                                  // (N, K)
  const Tensor hinge = relu(add(sub(unsqueeze(x, 1), unsqueeze(scores, 2)), 1.0));           // (N, K, C)
  const Tensor active = logical_and(unsqueeze(counts, 2), logical_not(unsqueeze(is_label, 1)));
  Tensor terms = where(active, hinge, zero);
  if (options.weight.defined()) {
    terms = mul(terms,
                unsqueeze(reshape(gather(options.weight, 0, reshape(safe, {batch * classes})), {batch, classes}), 2));
  }
  // A NaN shows, also where its score is compared with no other.
  const Tensor nans = sum(where(equal(x, x), zero, x), {1});
  Tensor losses = add(div(sum(terms, {1, 2}), static_cast<double>(classes)), nans);
  if (single) losses = reshape(losses, {});
  return reduce_losses(op, losses, options.reduction);
}

Tensor multilabel_soft_margin_loss(const TensorArg& input, const Tensor& target,
                                   MultiLabelSoftMarginLossOptions options) {
  constexpr std::string_view op = "multilabel_soft_margin_loss";
  const CompositeScope scope(input);
  check_same_shape(op, input, target);
  check_weight(op, input, options.weight);
  check_reduction(op, options.reduction);
  if (input->dim() == 0) fail(op, "input () has no class dim");
  // The mean over classes and then over the rest is the mean over all elements.
  if (options.reduction == Reduction::Mean && input->numel() > 0) {
    return pointwise_loss(formulas::MultiLabelSoftMargin{}, options.weight, Reduction::Mean, MeanOver::Elements, input,
                          target);
  }
  const Tensor each = pointwise_loss(formulas::MultiLabelSoftMargin{}, options.weight, Reduction::None,
                                     MeanOver::Elements, input, target);
  return reduce_losses(op, mean(each, {-1}), options.reduction);
}

Tensor sigmoid_focal_loss(const TensorArg& input, const Tensor& target, SigmoidFocalLossOptions options) {
  constexpr std::string_view op = "sigmoid_focal_loss";
  check_same_shape(op, input, target);
  if (!(options.gamma >= 0)) fail(op, "expected a gamma of at least 0, got ", options.gamma);
  if (options.alpha > 1) fail(op, "expected an alpha of at most 1, got ", options.alpha);
  return pointwise_loss(formulas::SigmoidFocalLoss{options.alpha, options.gamma}, {}, options.reduction,
                        MeanOver::Elements, input, target);
}

Tensor dice_loss(const TensorArg& input, const Tensor& target, DiceLossOptions options) {
  constexpr std::string_view op = "dice_loss";
  const CompositeScope scope(input);
  check_same_shape(op, input, target);
  check_floating(op, input);
  if (input->dim() < 2) fail(op, "input ", input->shape(), " must be (N, C, ...)");
  Shape dims;
  for (int i = 0; i < input->dim(); ++i) {
    if (i != 1) dims.push_back(i);
  }
  const Tensor p = options.logits ? sigmoid(input) : *input;
  const Tensor overlap = add(mul(sum(mul(p, target), dims), 2.0), options.smooth);
  const Tensor total = add(add(sum(p, dims), sum(target, dims)), options.smooth);
  return mean(1.0 - div(overlap, total));
}

}  // namespace ebb::nn
