#include "ebb/nn/losses/distance.h"

#include <cmath>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/losses/formulas.h"

namespace ebb::nn {
namespace {

// Throws Error unless every element of a target is 1 or -1.
void check_signs(std::string_view op, const Tensor& target) {
  check_defined(op, target);
  const NoGrad guard;
  const Tensor t = is_floating(target.dtype()) ? target.detach() : target.to(DType::I64);
  const Tensor value = where(t == -1.0, ones_like(t), t);  // 1, or the wrong value
  backend(t.device()).check_values(op, value, {1, 1, "every target must be 1 or -1"});
}

// Returns labels in the dtype of the input. Integers must be 1 or -1. Floating targets are not
// checked.
Tensor real_labels(std::string_view op, const Tensor& input, const Tensor& target) {
  check_defined(op, input);
  check_defined(op, target);
  if (!is_floating(target.dtype())) check_signs(op, target);
  check_floating(op, input);
  return is_floating(target.dtype()) ? target : target.to(input.dtype());
}

}  // namespace

Tensor kl_div(const TensorArg& input, const Tensor& target, KLDivLossOptions options) {
  constexpr std::string_view op = "kl_div";
  check_same_shape(op, input, target);
  const bool batch_mean = options.reduction == Reduction::BatchMean;
  const Reduction reduction = batch_mean ? Reduction::Mean : options.reduction;
  const MeanOver over = batch_mean ? MeanOver::Batch : MeanOver::Elements;
  if (options.log_target)
    return pointwise_loss(formulas::KlDivLogTarget{}, {}, reduction, over, input, target);
  return pointwise_loss(formulas::KlDiv{}, {}, reduction, over, input, target);
}

Tensor soft_margin_loss(const TensorArg& input, const Tensor& target,
                        SoftMarginLossOptions options) {
  constexpr std::string_view op = "soft_margin_loss";
  const Tensor signs = real_labels(op, input, target);
  check_same_shape(op, input, signs);
  return pointwise_loss(formulas::SoftMarginLoss{}, {}, options.reduction, MeanOver::Elements,
                        input, signs);
}

Tensor hinge_embedding_loss(const TensorArg& input, const Tensor& target,
                            HingeEmbeddingLossOptions options) {
  constexpr std::string_view op = "hinge_embedding_loss";
  const Tensor signs = real_labels(op, input, target);
  check_same_shape(op, input, signs);
  check_signs(op, signs);
  return pointwise_loss(formulas::HingeEmbeddingLoss{options.margin}, {}, options.reduction,
                        MeanOver::Elements, input, signs.detach());
}

Tensor margin_ranking_loss(const TensorArg& input1, const Tensor& input2, const Tensor& target,
                           MarginRankingLossOptions options) {
  constexpr std::string_view op = "margin_ranking_loss";
  check_defined(op, input1);
  check_defined(op, input2);
  check_defined(op, target);
  if (input1->dim() != input2.dim() || input1->dim() != target.dim()) {
    fail(op, "input1 ", input1->shape(), ", input2 ", input2.shape(), " and target ",
         target.shape(), " must have the same number of dims");
  }
  return pointwise_loss(formulas::MarginRankingLoss{options.margin}, {}, options.reduction,
                        MeanOver::Elements, input1, input2, real_labels(op, input1, target));
}

Tensor cosine_embedding_loss(const TensorArg& input1, const Tensor& input2, const Tensor& target,
                             CosineEmbeddingLossOptions options) {
  constexpr std::string_view op = "cosine_embedding_loss";
  constexpr double kEps = static_cast<double>(1e-12f);
  const CompositeScope scope(input1);
  check_floating(op, input1);
  check_defined(op, target);
  check_same_shape(op, input1, input2);
  if (is_floating(target.dtype()) && target.dtype() != input1->dtype()) {
    fail(op, "inputs are ", input1->dtype(), " and target is ", target.dtype(),
         ": convert one with to()");
  }
  check_reduction(op, options.reduction);
  const int dims = input1->dim();
  if (dims != 1 && dims != 2) fail(op, "inputs ", input1->shape(), " must be (N, D) or (D)");
  if (!(target.shape() == (dims == 2 ? Shape{input1->size(0)} : Shape{}))) {
    fail(op, "target ", target.shape(), " does not match inputs ", input1->shape(), ": expected ",
         dims == 2 ? Shape{input1->size(0)} : Shape{});
  }
  check_signs(op, target);
  // In f64, because for nearly parallel vectors the result is a difference of nearly equal numbers.
  const Tensor a = input1->to(DType::F64), b = input2.to(DType::F64);
  const Tensor product = sum(mul(a, b), {-1});
  const Tensor norm_a = add(sum(square(a), {-1}), kEps), norm_b = add(sum(square(b), {-1}), kEps);
  const Tensor cosine = div(product, sqrt(mul(norm_a, norm_b)));
  const Tensor losses =
      where(target.detach() == 1.0, 1.0 - cosine, clamp_min(add(cosine, -options.margin), 0));
  return reduce_losses(op, losses.to(input1->dtype()), options.reduction);
}

namespace {

// Returns ||d||_p over the last dim, with torch's gradient where the norm is 0: 0 for most p, the
// sign for p = 1, and equal shares among the maxima for p = inf.
Tensor last_norm(const Tensor& d, double p, bool keepdim) {
  const Tensor size = abs(d);
  if (p == 1) return sum(size, {-1}, keepdim);
  if (std::isinf(p)) {
    const Tensor largest = eq(size.detach(), amax(size.detach(), {-1}, true)).to(d.dtype());
    return sum(mul(size, div(largest, clamp_min(sum(largest, {-1}, true), 1))), {-1}, keepdim);
  }
  // If all components are 0, the derivative of the root is infinite. The root of 1 is taken
  // instead, and replaced by 0.
  const Tensor power = sum(p == 2 ? square(d) : pow(size, p), {-1}, keepdim);
  const Tensor is_zero = power.detach() == 0.0;
  const Tensor root = pow(where(is_zero, ones_like(power.detach()), power), 1 / p);
  return where(is_zero, zeros_like(power.detach()), root);
}

template <class Options>
void check_triplet(std::string_view op, const Tensor& a, const Tensor& p, const Tensor& n,
                   const Options& options) {
  check_floating(op, a);
  check_floating(op, p);
  check_floating(op, n);
  if (a.dim() != p.dim() || a.dim() != n.dim()) {
    fail(op, "anchor ", a.shape(), ", positive ", p.shape(), " and negative ", n.shape(),
         " must have the same number of dims");
  }
  if (a.dtype() != p.dtype() || a.dtype() != n.dtype()) {
    fail(op, "anchor is ", a.dtype(), ", positive is ", p.dtype(), " and negative is ", n.dtype(),
         ": convert them with to()");
  }
  check_reduction(op, options.reduction);
  if (!(options.margin > 0)) fail(op, "expected a margin above 0, got ", options.margin);
}

Tensor triplet(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin,
               bool swap, const DistanceFunction& distance) {
  const auto wide = [&distance](const Tensor& a, const Tensor& b) {
    return distance(a, b).to(DType::F64);
  };
  const Tensor near = wide(anchor, positive);
  Tensor far = wide(anchor, negative);
  if (swap) far = minimum(far, wide(positive, negative));
  return clamp_min(sub(add(near, margin), far), 0).to(anchor.dtype());
}

}  // namespace

Tensor pairwise_distance(const TensorArg& a, const Tensor& b, double p, double eps, bool keepdim) {
  const CompositeScope scope(a);
  check_floating("pairwise_distance", a);
  if (!(p >= 1)) fail("pairwise_distance", "expected p of at least 1, got ", p);
  return last_norm(add(sub(a, b), eps), p, keepdim);
}

Tensor triplet_margin_loss(const TensorArg& anchor, const Tensor& positive, const Tensor& negative,
                           TripletMarginLossOptions o) {
  constexpr std::string_view op = "triplet_margin_loss";
  const CompositeScope scope(anchor);
  check_triplet(op, anchor, positive, negative, o);
  if (!(o.p >= 1)) fail(op, "expected p of at least 1, got ", o.p);
  // In f64, because the loss and its gradient are differences of distances.
  const Tensor losses = triplet(
      anchor->to(DType::F64), positive.to(DType::F64), negative.to(DType::F64), o.margin, o.swap,
      [&o](const Tensor& a, const Tensor& b) { return pairwise_distance(a, b, o.p, o.eps); });
  return reduce_losses(op, losses.to(anchor->dtype()), o.reduction);
}

Tensor triplet_margin_with_distance_loss(const TensorArg& anchor, const Tensor& positive,
                                         const Tensor& negative,
                                         TripletMarginWithDistanceLossOptions o) {
  constexpr std::string_view op = "triplet_margin_with_distance_loss";
  const CompositeScope scope(anchor);
  check_triplet(op, anchor, positive, negative, o);
  if (!o.distance_function) {  // computes in f64
    return triplet_margin_loss(anchor, positive, negative,
                               {.margin = o.margin, .swap = o.swap, .reduction = o.reduction});
  }
  return reduce_losses(
      op, triplet(anchor, positive, negative, o.margin, o.swap, o.distance_function), o.reduction);
}

}  // namespace ebb::nn
