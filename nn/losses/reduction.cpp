#include "ebb/nn/losses/reduction.h"

#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"

namespace ebb::nn {

Reduction reduction_from_legacy(std::optional<bool> size_average, std::optional<bool> reduce) {
  if (!reduce.value_or(true)) return Reduction::None;
  return size_average.value_or(true) ? Reduction::Mean : Reduction::Sum;
}

void check_reduction(std::string_view op, Reduction reduction) {
  if (reduction == Reduction::BatchMean)
    fail(op, "reduction BatchMean is only for kl_div: use Mean or Sum");
}

Tensor reduce_losses(std::string_view op, const Tensor& losses, Reduction reduction) {
  check_reduction(op, reduction);
  if (reduction == Reduction::None) return losses;
  return reduction == Reduction::Sum ? sum(losses) : mean(losses);
}

void check_same_shape(std::string_view op, const Tensor& input, const Tensor& target) {
  check_defined(op, input);
  check_defined(op, target);
  if (!(input.shape() == target.shape())) {
    fail(op, "target ", target.shape(), " does not match input ", input.shape(),
         ": shapes must be equal (expand() the target if broadcasting is meant)");
  }
  if (input.dtype() != target.dtype()) {
    fail(op, "input is ", input.dtype(), " and target is ", target.dtype(),
         ": convert one with to()");
  }
  check_same_device(op, input, target, "target");
}

void check_same_device(std::string_view op, const Tensor& input, const Tensor& other,
                       const char* name) {
  if (other.device() != input.device()) {
    fail(op, name, " is on ", other.device(), " and input on ", input.device(),
         ": move one with to()");
  }
}

namespace {
// shape: the shape of the weighted losses.
void check_weight_of(std::string_view op, const Tensor& input, const Shape& shape,
                     const Tensor& weight, const char* name) {
  check_same_device(op, input, weight, name);
  if (weight.dtype() != input.dtype()) {
    fail(op, name, " is ", weight.dtype(), " and input is ", input.dtype(),
         ": convert one with to()");
  }
  if (!broadcasts_to(weight.shape(), shape))
    fail(op, name, " ", weight.shape(), " does not broadcast to input ", shape);
}
}  // namespace

void check_weight(std::string_view op, const Tensor& input, const Tensor& weight,
                  const char* name) {
  if (weight.defined()) check_weight_of(op, input, input.shape(), weight, name);
}

Tensor detail::reduced_pointwise(const FormulaOp& op, const void* formula,
                                 std::span<const Tensor* const> inputs, const Tensor& weight,
                                 Reduction reduction, MeanOver mean_over) {
  check_reduction(op.name, reduction);
  Shape shape;
  for (const Tensor* t : inputs) shape = broadcast_shapes(op.name, shape, t->shape());
  if (weight.defined()) check_weight_of(op.name, *inputs[0], shape, weight, "weight");
  if (reduction == Reduction::None) {
    const Tensor losses = ebb::detail::call_pointwise(op, formula, inputs);
    return weight.defined() ? mul(losses, weight) : losses;
  }
  const bool by_batch = mean_over == MeanOver::Batch && reduction == Reduction::Mean;
  const auto count =
      static_cast<double>(by_batch ? (shape.dim() > 0 ? shape[0] : 1) : shape.numel());
  if (reduction == Reduction::Mean && mean_over == MeanOver::Weights && weight.defined()) {
    const Tensor total = ebb::detail::pointwise_sum(op, formula, inputs, weight, 1);
    return div(total, mul(sum(weight), count / static_cast<double>(weight.numel())));
  }
  if (count == 0) {  // an empty sum is 0, and an empty mean is NaN
    const Tensor total = ebb::detail::pointwise_sum(op, formula, inputs, weight, 1);
    return reduction == Reduction::Sum ? total
                                       : add(total, std::numeric_limits<double>::quiet_NaN());
  }
  return ebb::detail::pointwise_sum(op, formula, inputs, weight,
                                    reduction == Reduction::Sum ? 1 : 1 / count);
}

}  // namespace ebb::nn
