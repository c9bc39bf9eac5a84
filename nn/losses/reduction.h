// How a loss is reduced, and what all pointwise losses share: weight, reduction, shape checks, in one implementation.
#pragma once

#include <optional>

#include "ebb/autograd/ops/pointwise.h"
#include "ebb/core/tensor.h"

namespace ebb::nn {

/// None: the loss of every element or sample. Mean: divided by the denominator that the loss documents. Sum.
/// BatchMean: kl_div's alone: the sum divided by the batch size.
enum class Reduction { None, Mean, Sum, BatchMean };

/// torch's legacy flags: reduce = false gives None whatever size_average says; otherwise size_average = false gives
/// Sum, else Mean. A flag that is not given counts as true.
Reduction reduction_from_legacy(std::optional<bool> size_average, std::optional<bool> reduce);

/// Applies a reduction to the losses of samples; Mean divides by their number (NaN over none).
Tensor reduce_losses(std::string_view op, const Tensor& losses, Reduction reduction);

/// Throws Error unless target has input's shape, dtype and device.
void check_same_shape(std::string_view op, const Tensor& input, const Tensor& target);
/// Throws Error unless `other` lies where the input lies.
void check_same_device(std::string_view op, const Tensor& input, const Tensor& other,
                       const char* name);
/// Throws Error unless weight is undefined, or has input's dtype and device and broadcasts to its shape without
/// enlarging it. pointwise_loss checks its weight so itself, against the losses.
void check_weight(std::string_view op, const Tensor& input, const Tensor& weight,
                  const char* name = "weight");
/// Throws Error for BatchMean: every loss but kl_div.
void check_reduction(std::string_view op, Reduction reduction);

/// What Mean divides by: the number of elements; the sum of the (broadcast) weights where there are some; or the size of
/// the first dim.
enum class MeanOver { Elements, Weights, Batch };

namespace detail {
Tensor reduced_pointwise(const FormulaOp& op, const void* formula,
                         std::span<const Tensor* const> inputs, const Tensor& weight,
                         Reduction reduction, MeanOver mean_over);
}

/// reduction(weight f(inputs...)): the whole of a pointwise loss but its formula. One pass gives value and gradient
/// when the result is a scalar. weight: undefined or broadcast; differentiable.
template <class F, class... Rest>
Tensor pointwise_loss(const F& formula, const Tensor& weight, Reduction reduction,
                      MeanOver mean_over, const TensorArg& input, const Rest&... rest) {
  const CompositeScope scope(input);
  const Tensor* inputs[] = {&*input, &static_cast<const Tensor&>(rest)...};
  return detail::reduced_pointwise(ebb::detail::formula_op<F, 1 + sizeof...(Rest), true>(),
                                   &formula, inputs, weight, reduction, mean_over);
}

}  // namespace ebb::nn
