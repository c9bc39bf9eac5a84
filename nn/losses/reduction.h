// Reductions of losses, and the weights, reductions and checks of all pointwise losses.
#pragma once

#include <optional>

#include "ebb/autograd/ops/pointwise.h"
#include "ebb/core/tensor.h"

namespace ebb::nn {

/// None: the loss of every element or sample. Mean: the sum divided by the denominator that the
/// loss documents. Sum. BatchMean (only for kl_div): the sum divided by the batch size.
enum class Reduction { None, Mean, Sum, BatchMean };

/// Converts torch's legacy flags. reduce = false gives None; otherwise size_average = false gives
/// Sum, and true gives Mean. A missing flag counts as true.
Reduction reduction_from_legacy(std::optional<bool> size_average, std::optional<bool> reduce);

/// Applies a reduction to the losses of samples. Mean divides by their number, and is NaN without
/// samples.
Tensor reduce_losses(std::string_view op, const Tensor& losses, Reduction reduction);

/// Throws Error unless target has the shape, dtype and device of input.
void check_same_shape(std::string_view op, const Tensor& input, const Tensor& target);
/// Throws Error unless `other` is on the device of input.
void check_same_device(std::string_view op, const Tensor& input, const Tensor& other,
                       const char* name);
/// Throws Error unless weight is undefined, or has the dtype and device of input and broadcasts to
/// its shape without enlarging it. pointwise_loss also checks its weight against the losses.
void check_weight(std::string_view op, const Tensor& input, const Tensor& weight,
                  const char* name = "weight");
/// Throws Error for BatchMean. Every loss except kl_div calls this.
void check_reduction(std::string_view op, Reduction reduction);

/// The denominator of Mean: the number of elements, the sum of the (broadcast) weights if there are
/// any, or the size of the first dim.
enum class MeanOver { Elements, Weights, Batch };

namespace detail {
Tensor reduced_pointwise(const FormulaOp& op, const void* formula,
                         std::span<const Tensor* const> inputs, const Tensor& weight,
                         Reduction reduction, MeanOver mean_over);
}

/// Returns reduction(weight f(inputs...)). If the result is a scalar, one pass computes value and
/// gradient. weight may be undefined; otherwise it broadcasts, and can have a gradient.
template <class F, class... Rest>
Tensor pointwise_loss(const F& formula, const Tensor& weight, Reduction reduction,
                      MeanOver mean_over, const TensorArg& input, const Rest&... rest) {
  const FormulaOp& op = ebb::detail::formula_op<F, 1 + sizeof...(Rest), true>();
  const CompositeScope scope(input, op.name);
  const Tensor* inputs[] = {&*input, &static_cast<const Tensor&>(rest)...};
  return detail::reduced_pointwise(op, &formula, inputs, weight, reduction, mean_over);
}

}  // namespace ebb::nn
