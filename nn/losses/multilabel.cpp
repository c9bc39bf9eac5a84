#include "ebb/nn/losses/multilabel.h"

#include <algorithm>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/class_numbers.h"
#include "ebb/nn/losses/formulas.h"
#include "ebb/nn/losses/margin_rows.h"

namespace ebb::nn {
namespace {

// Returns (N, K): for each label of a row, the sum of max(0, 1 - x_k + x_i) over its other classes
// i. It processes a few labels at a time, so memory is N C instead of N K C. The derivative is 1,
// and 0 at the bound.
struct LabelHinges {
  static constexpr std::string_view name = "label_hinges";
  static constexpr int64_t kElements = 1 << 20;  // in a block
  struct State {
    Saved x;
    Tensor labels, counts, others;
  };
  static int shape(const Tensor&, const Tensor&, const Tensor&, const Tensor&) { return 0; }

  static Tensor forward(State& state, int, const Tensor& x, const Tensor& labels,
                        const Tensor& counts, const Tensor& others) {
    state = {Saved(x), labels, counts, others};
    std::vector<Tensor> sums;
    for_blocks(state, x, [&](int64_t, int64_t, const Tensor& z, const Tensor& mask) {
      sums.push_back(
          sum(where(mask, relu(z), zeros({}, {.dtype = x.dtype(), .device = x.device()})), {2}));
    });
    return cat(sums, 1);
  }

  static std::array<Tensor, 4> backward(const State& state, const Tensor& g) {
    Tensor by_others;
    std::vector<Tensor> by_label;
    const Tensor x = state.x.get().detach();
    for_blocks(state, x, [&](int64_t begin, int64_t end, const Tensor& z, const Tensor& mask) {
      const Tensor slopes = logical_and(mask, z > 0.0).to(g.dtype());
      const Tensor pull = mul(slopes, unsqueeze(slice(g, 1, begin, end), 2));
      by_others = by_others.defined() ? add(by_others, sum(pull, {1})) : sum(pull, {1});
      by_label.push_back(neg(sum(pull, {2})));
    });
    return {add(by_others, scatter_add(cat(by_label, 1), x.shape(), 1, state.labels)), {}, {}, {}};
  }

 private:
  // Calls body(begin, end, 1 - x_k + x_i, mask of the pairs that count) for blocks of labels k.
  template <class Body> static void for_blocks(const State& s, const Tensor& x, const Body& body) {
    const int64_t labels = s.labels.size(1), row = std::max<int64_t>(1, x.numel());
    const int64_t step = std::max<int64_t>(1, kElements / row);
    const Tensor scores = gather(x, 1, s.labels);
    for (int64_t begin = 0; begin < labels; begin += step) {
      const int64_t end = std::min(begin + step, labels);
      const Tensor z = add(sub(unsqueeze(x, 1), unsqueeze(slice(scores, 1, begin, end), 2)), 1.0);
      body(begin, end, z,
           logical_and(unsqueeze(slice(s.counts, 1, begin, end), 2), unsqueeze(s.others, 1)));
    }
  }
};

// Returns the losses of multilabel_margin_loss, (N), in f64, so that sums of margins are rounded
// once.
Tensor composed_multilabel_margin(const Tensor& input, const Tensor& labels, const MarginRows& o) {
  const Tensor x = input.to(DType::F64);
  const int64_t batch = x.size(0), classes = x.size(1);
  const TensorOptions like{.dtype = x.dtype(), .device = x.device()};
  const Tensor zero = zeros({}, like);
  // A label counts if there is no -1 before it: the running count of -1 along the row is 0.
  const Tensor position = arange(classes, x.dtype()).to(x.device());
  // [j][k]: j <= k
  const Tensor upto = less_equal(unsqueeze(position, 1), unsqueeze(position, 0)).to(x.dtype());
  const Tensor counts = eq(matmul((labels < 0.0).to(x.dtype()), upto), zero);  // (N, K)
  const Tensor safe = where(labels < 0.0, zeros_like(labels), labels);
  // (N, C)
  const Tensor others = eq(scatter_add(counts.to(x.dtype()), {batch, classes}, 1, safe), zero);
  Tensor terms = apply<LabelHinges>(x, safe, counts, others);  // (N, K)
  if (o.weight.defined()) {
    const Tensor each = gather(o.weight.to(DType::F64), 0, reshape(safe, {batch * classes}));
    terms = mul(terms, reshape(each, {batch, classes}));
  }
  // A NaN score gives NaN, also if it is not compared with another score.
  const Tensor nans = sum(where(eq(x, x), zero, x), {1});
  return add(div(sum(terms, {1}), static_cast<double>(classes)), nans).to(input.dtype());
}

}  // namespace

Tensor binary_cross_entropy(const TensorArg& input, const Tensor& target, BCELossOptions options) {
  constexpr std::string_view op = "binary_cross_entropy";
  check_same_shape(op, input, target);
  check_floating(op, input);
  check_weight(op, input, options.weight);
  backend(input->device())
      .check_values(op, input,
                    {0, 1,
                     "all elements of input must be between 0 and 1 (for logits use "
                     "binary_cross_entropy_with_logits)"});
  backend(input->device())
      .check_values(op, target, {0, 1, "all elements of target must be between 0 and 1"});
  return pointwise_loss(formulas::BceLoss{}, options.weight, options.reduction, MeanOver::Elements,
                        input, target);
}

Tensor binary_cross_entropy_with_logits(const TensorArg& input, const Tensor& target,
                                        BCEWithLogitsLossOptions options) {
  constexpr std::string_view op = "binary_cross_entropy_with_logits";
  check_same_shape(op, input, target);
  check_weight(op, input, options.weight);
  check_weight(op, input, options.pos_weight, "pos_weight");
  if (options.pos_weight.defined()) {
    return pointwise_loss(formulas::BceWithLogitsPos{}, options.weight, options.reduction,
                          MeanOver::Elements, input, target, options.pos_weight);
  }
  return pointwise_loss(formulas::BceWithLogits{}, options.weight, options.reduction,
                        MeanOver::Elements, input, target);
}

Tensor multilabel_margin_loss(const TensorArg& input, const Tensor& target,
                              MultiLabelMarginLossOptions options) {
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
  detail::check_class_numbers(op, "target", target);
  const bool single = input->dim() < 2;
  const Tensor x = single ? reshape(input, {1, input->numel()}) : *input;
  const int64_t batch = x.size(0), classes = x.size(1);
  if (classes == 0) fail(op, "input ", input->shape(), " has no classes");
  if (options.weight.defined()) {
    if (!(options.weight.shape() == Shape{classes})) {
      fail(op, "weight ", options.weight.shape(), " does not match the ", classes,
           " classes of input ", input->shape());
    }
    check_weight(op, input, options.weight);
  }
  const Tensor labels = reshape(target, {batch, classes}).to(DType::I64);
  backend(x.device()).check_indices(op, labels, classes, -1);
  Tensor losses = margin_rows(x, labels, {composed_multilabel_margin, 1, 1, options.weight});
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
    return pointwise_loss(formulas::MultiLabelSoftMargin{}, options.weight, Reduction::Mean,
                          MeanOver::Elements, input, target);
  }
  const Tensor each = pointwise_loss(formulas::MultiLabelSoftMargin{}, options.weight,
                                     Reduction::None, MeanOver::Elements, input, target);
  return reduce_losses(op, mean(each, {-1}), options.reduction);
}

Tensor sigmoid_focal_loss(const TensorArg& input, const Tensor& target,
                          SigmoidFocalLossOptions options) {
  constexpr std::string_view op = "sigmoid_focal_loss";
  check_same_shape(op, input, target);
  if (!(options.gamma >= 0)) fail(op, "expected a gamma of at least 0, got ", options.gamma);
  if (options.alpha > 1) fail(op, "expected an alpha of at most 1, got ", options.alpha);
  const auto loss = [&]<bool kSquare>() {
    const bool weighted = options.alpha >= 0;
    const formulas::SigmoidFocalLoss<kSquare> formula{
        weighted ? options.alpha : 1, weighted ? 1 - options.alpha : 1, options.gamma};
    return pointwise_loss(formula, {}, options.reduction, MeanOver::Elements, input, target);
  };
  return options.gamma == 2 ? loss.operator()<true>() : loss.operator()<false>();
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
  // In f64, because the gradient by the target is a difference of shares that may be nearly equal.
  const Tensor x = input->to(DType::F64), t = target.to(DType::F64),
               p = options.logits ? sigmoid(x) : x;
  const Tensor overlap = add(mul(sum(mul(p, t), dims), 2.0), options.smooth);
  const Tensor total = add(add(sum(p, dims), sum(t, dims)), options.smooth);
  return mean(1.0 - div(overlap, total)).to(input->dtype());
}

}  // namespace ebb::nn
