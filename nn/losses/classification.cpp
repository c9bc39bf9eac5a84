#include "ebb/nn/losses/classification.h"

#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/row_loss.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/class_numbers.h"
#include "ebb/nn/losses/formulas.h"
#include "ebb/nn/losses/margin_rows.h"

namespace ebb::nn {
namespace {

int class_dim(const Tensor& input) { return input.dim() == 1 ? 0 : 1; }

// Returns the shape of a target of class indices.
Shape index_shape(const Tensor& input) {
  Shape shape = input.shape();
  shape.erase(class_dim(input));
  return shape;
}

void check_class_indices(std::string_view op, const Tensor& input, const Tensor& target) {
  check_floating(op, input);
  check_defined(op, target);
  if (input.dim() == 0)
    fail(op, "input () has no class dim: expected (C), (N, C) or (N, C, d1, ...)");
  check_same_device(op, input, target, "target");
  detail::check_class_numbers(op, "class indices", target);
  if (!(target.shape() == index_shape(input))) {
    fail(op, "target ", target.shape(), " does not match input ", input.shape(), ": expected ",
         index_shape(input));
  }
}

void check_class_weight(std::string_view op, const Tensor& input, const Tensor& weight) {
  if (!weight.defined()) return;
  check_same_device(op, input, weight, "weight");
  const int64_t classes = input.shape()[class_dim(input)];
  if (weight.dtype() != input.dtype()) {
    fail(op, "weight is ", weight.dtype(), " and input is ", input.dtype(),
         ": convert one with to()");
  }
  if (!(weight.shape() == Shape{classes})) {
    fail(op, "weight ", weight.shape(), " does not match the ", classes, " classes of input ",
         input.shape(), ": expected ", Shape{classes});
  }
}

void refuse_gradient(std::string_view op, const Tensor& weight) {
  if (weight.defined() && weight.requires_grad()) {
    fail(op, "weight ", weight,
         " requires grad, and class weights of index targets have none: detach() it");
  }
}

void check_smoothing(std::string_view op, double smoothing) {
  if (!(smoothing >= 0 && smoothing <= 1))
    fail(op, "label_smoothing must be in [0, 1], got ", smoothing);
}

// Class indices with ignored ones replaced by 0, and the weight of each position.
struct Selection {
  Tensor ignored;  // bool, with the shape of the target
  Tensor classes;  // i64, 0 where ignored
  Tensor weight;   // w_t, 0 where ignored
};

Selection select_classes(std::string_view op, const Tensor& input, const Tensor& target,
                         const Tensor& weight, int64_t ignore_index) {
  const NoGrad guard;
  backend(input.device()).check_indices(op, target, input.shape()[class_dim(input)], ignore_index);
  Selection s;
  const Tensor index = target.to(DType::I64);
  s.ignored = index == static_cast<double>(ignore_index);
  s.classes = where(s.ignored, zeros_like(index), index);
  const TensorOptions like{.dtype = input.dtype(), .device = input.device()};
  const Tensor each =
      weight.defined()
          ? reshape(index_select(weight.detach(), 0, reshape(s.classes, {s.classes.numel()})),
                    target.shape())
          : ones(target.shape(), like);
  s.weight = where(s.ignored, zeros({}, like), each);
  return s;
}

// Reduces the losses of positions, each times its factor. Mean divides by the selected weights.
// Ignored positions contribute nothing to value and gradient, also if they are NaN.
Tensor reduce_selected(const Selection& s, const Tensor& losses, const Tensor& factor,
                       Reduction reduction) {
  const Tensor zero = zeros({}, {.dtype = losses.dtype(), .device = losses.device()});
  const Tensor clean = where(s.ignored, zero, losses);
  if (reduction == Reduction::None) return mul(clean, where(s.ignored, zero, factor));
  if (reduction == Reduction::Sum) return sum(mul(clean, where(s.ignored, zero, factor)));
  const Tensor total = sum(s.weight);
  const Tensor share = where(s.ignored, zero, div(factor, total));
  const Tensor kept = sum(logical_not(s.ignored)).to(losses.dtype());
  const Tensor none_left =
      where(kept == 0, div(zero, zero), zero);  // a mean without elements is NaN
  return add(sum(mul(clean, share)), none_left);
}

Tensor cross_entropy_probabilities(const Tensor& input, const Tensor& target,
                                   const CrossEntropyLossOptions& o) {
  constexpr std::string_view op = "cross_entropy";
  if (is_floating(target.dtype()) && target.dtype() != input.dtype()) {
    fail(op, "input is ", input.dtype(), " and target is ", target.dtype(),
         ": convert one with to()");
  }
  if (target.dtype() == DType::U8)
    fail(op, "a target of probabilities must be floating, i64 or bool, got u8");
  if (o.ignore_index >= 0)
    fail(op, "ignore_index ", o.ignore_index, " needs class indices: the target ", target.shape(),
         " holds probabilities");
  const int dim = class_dim(input);
  const int64_t classes = input.shape()[dim];
  Tensor q = target.to(input.dtype());
  if (o.label_smoothing > 0)
    q = add(mul(q, 1 - o.label_smoothing), o.label_smoothing / static_cast<double>(classes));
  if (o.weight.defined()) {
    Shape column;
    for (int i = 0; i < input.dim(); ++i) column.push_back(i == dim ? classes : 1);
    q = mul(q, reshape(o.weight, column));
  }
  const Tensor losses = neg(sum(mul(q, log_softmax(input, dim)), {dim}));
  return reduce_losses(op, losses, o.reduction);
}

// Returns the losses of multi_margin_loss, (N).
Tensor composed_multi_margin(const Tensor& input, const Tensor& target, const MarginRows& o) {
  const Tensor x = input.to(DType::F64), index = unsqueeze(target.to(DType::I64), 1);
  const Tensor z = relu(add(sub(x, gather(x, 1, index)), o.margin));
  const Tensor hinge = o.p == 1 ? z : square(z);
  const Tensor own = one_hot(squeeze(index, 1), x.size(1), DType::Bool);
  const Tensor zero = zeros({}, {.dtype = x.dtype(), .device = x.device()});
  // A NaN score of the target gives NaN.
  const Tensor terms = where(own, where(eq(x, x), zero, x), hinge);
  const Tensor losses = div(sum(terms, {1}), static_cast<double>(x.size(1)));
  if (!o.weight.defined()) return losses.to(input.dtype());
  return mul(losses, gather(o.weight.to(DType::F64), 0, squeeze(index, 1))).to(input.dtype());
}

}  // namespace

Tensor cross_entropy(const TensorArg& input, const Tensor& target, CrossEntropyLossOptions o) {
  constexpr std::string_view op = "cross_entropy";
  const CompositeScope scope(input);
  check_floating(op, input);
  check_defined(op, target);
  check_reduction(op, o.reduction);
  check_smoothing(op, o.label_smoothing);
  if (input->dim() == 0)
    fail(op, "input () has no class dim: expected (C), (N, C) or (N, C, d1, ...)");
  check_class_weight(op, input, o.weight);
  if (target.shape() == input->shape()) return cross_entropy_probabilities(input, target, o);
  check_class_indices(op, input, target);
  refuse_gradient(op, o.weight);
  const int dim = class_dim(input);
  const int64_t classes = input->shape()[dim], batch = dim == 0 ? 1 : input->shape()[0];
  int64_t inner = 1;
  for (int i = dim + 1; i < input->dim(); ++i) inner *= input->shape()[i];
  using Form = CrossEntropyRows::Form;
  const Form form = o.reduction == Reduction::None  ? Form::None
                    : o.reduction == Reduction::Sum ? Form::Sum
                                                    : Form::Mean;
  const CrossEntropyRows options{o.weight, o.ignore_index, o.label_smoothing, form};
  if (input->dim() == 2) return cross_entropy_rows(input, target, options);
  const Tensor losses = cross_entropy_rows(reshape(input, {batch, classes, inner}),
                                           reshape(target, {batch, inner}), options);
  return form == Form::None ? reshape(losses, target.shape()) : losses;
}

Tensor nll_loss(const TensorArg& input, const Tensor& target, NLLLossOptions o) {
  constexpr std::string_view op = "nll_loss";
  const CompositeScope scope(input);
  check_class_indices(op, input, target);
  check_reduction(op, o.reduction);
  check_class_weight(op, input, o.weight);
  refuse_gradient(op, o.weight);
  const int dim = class_dim(input);
  const Selection s = select_classes(op, input, target, o.weight, o.ignore_index);
  if (input->shape()[dim] == 0)
    return reduce_selected(s, zeros_like(s.weight), s.weight, o.reduction);
  const Tensor picked = squeeze(gather(input, dim, unsqueeze(s.classes, dim)), dim);
  return reduce_selected(s, neg(picked), s.weight, o.reduction);
}

Tensor focal_loss(const TensorArg& input, const Tensor& target, FocalLossOptions o) {
  constexpr std::string_view op = "focal_loss";
  const CompositeScope scope(input);
  check_class_indices(op, input, target);
  check_reduction(op, o.reduction);
  check_class_weight(op, input, o.weight);
  refuse_gradient(op, o.weight);
  check_smoothing(op, o.label_smoothing);
  if (!(o.gamma >= 0)) fail(op, "expected a gamma of at least 0, got ", o.gamma);
  const Selection s = select_classes(op, input, target, o.weight, o.ignore_index);
  const Tensor own =
      cross_entropy(input, target, {.ignore_index = o.ignore_index, .reduction = Reduction::None});
  const bool plain = !o.weight.defined() && o.label_smoothing == 0;
  const Tensor term = plain ? own
                            : cross_entropy(input, target,
                                            {.weight = o.weight,
                                             .ignore_index = o.ignore_index,
                                             .reduction = Reduction::None,
                                             .label_smoothing = o.label_smoothing});
  const Tensor losses = pointwise(formulas::FocalLoss{o.gamma}, own, term);
  return reduce_selected(s, losses, ones_like(losses.detach()), o.reduction);
}

Tensor multi_margin_loss(const TensorArg& input, const Tensor& target, MultiMarginLossOptions o) {
  constexpr std::string_view op = "multi_margin_loss";
  const CompositeScope scope(input);
  check_floating(op, input);
  check_defined(op, target);
  check_reduction(op, o.reduction);
  if (o.p != 1 && o.p != 2) fail(op, "expected p of 1 or 2, got ", o.p);
  if (input->dim() > 2) fail(op, "input ", input->shape(), " must be (C) or (N, C)");
  detail::check_class_numbers(op, "class indices", target);
  // 1-D input takes () and gives (), or takes (1) and gives (1) unreduced, as in torch; 0-d input
  // is one class.
  const bool single = input->dim() < 2;
  const Tensor x = single ? reshape(input, {1, input->numel()}) : *input;
  if (single ? target.numel() != 1 || target.dim() > 1 : !(target.shape() == Shape{x.size(0)})) {
    fail(op, "target ", target.shape(), " does not match input ", input->shape(), ": expected ",
         single ? Shape{} : Shape{x.size(0)});
  }
  const int64_t classes = x.size(1);
  if (classes == 0) fail(op, "input ", input->shape(), " has no classes");
  check_class_weight(op, x, o.weight);
  const Tensor flat = reshape(target, {x.size(0)});
  backend(x.device()).check_indices(op, flat, classes, std::nullopt);
  Tensor losses = margin_rows(x, flat, {composed_multi_margin, o.margin, o.p, o.weight});
  if (single) losses = reshape(losses, target.shape());
  return reduce_losses(op, losses, o.reduction);
}

}  // namespace ebb::nn
