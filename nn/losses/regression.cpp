#include "ebb/nn/losses/regression.h"

#include <limits>

#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/nn/losses/formulas.h"

namespace ebb::nn {
namespace {

template <class F, class Options>
Tensor weighted(const F& formula, const TensorArg& input, const Tensor& target,
                const Options& options, MeanOver over) {
  check_same_shape(F::name, input, target);
  check_weight(F::name, input, options.weight);
  return pointwise_loss(formula, options.weight, options.reduction, over, input, target);
}

}  // namespace

Tensor l1_loss(const TensorArg& input, const Tensor& target, L1LossOptions options) {
  return weighted(formulas::L1Loss{}, input, target, options, MeanOver::Weights);
}

Tensor mse_loss(const TensorArg& input, const Tensor& target, MSELossOptions options) {
  return weighted(formulas::MseLoss{}, input, target, options, MeanOver::Weights);
}

Tensor smooth_l1_loss(const TensorArg& input, const Tensor& target, SmoothL1LossOptions options) {
  if (!(options.beta >= 0))
    fail("smooth_l1_loss", "expected a beta of at least 0, got ", options.beta);
  if (options.beta == 0)
    return weighted(formulas::L1Loss{}, input, target, options, MeanOver::Elements);
  return weighted(formulas::SmoothL1Loss{options.beta}, input, target, options, MeanOver::Elements);
}

Tensor huber_loss(const TensorArg& input, const Tensor& target, HuberLossOptions options) {
  if (!(options.delta > 0)) fail("huber_loss", "expected a delta above 0, got ", options.delta);
  return weighted(formulas::HuberLoss{options.delta}, input, target, options, MeanOver::Elements);
}

Tensor poisson_nll_loss(const TensorArg& input, const Tensor& target,
                        PoissonNLLLossOptions options) {
  check_same_shape("poisson_nll_loss", input, target);
  const auto loss = [&](const auto& formula) {
    return pointwise_loss(formula, {}, options.reduction, MeanOver::Elements, input, target);
  };
  if (options.log_input) {
    return options.full ? loss(formulas::PoissonNllLogInput<true>{})
                        : loss(formulas::PoissonNllLogInput<false>{});
  }
  return options.full ? loss(formulas::PoissonNll<true>{options.eps})
                      : loss(formulas::PoissonNll<false>{options.eps});
}

namespace {

// Returns var as a tensor that broadcasts to input.
Tensor fitted_variance(const Tensor& input, const Tensor& var) {
  constexpr std::string_view op = "gaussian_nll_loss";
  check_defined(op, var);
  if (var.dtype() != input.dtype())
    fail(op, "input is ", input.dtype(), " and var is ", var.dtype(), ": convert one with to()");
  Tensor fitted = var;
  if (!(var.shape() == input.shape()) && input.dim() > 0) {
    const Shape without_last(std::span(input.shape().begin(), input.shape().end() - 1));
    Shape last_one = input.shape();
    last_one[input.dim() - 1] = 1;
    if (var.shape() == without_last) fitted = unsqueeze(var, -1);
    else if (!(var.shape() == last_one)) {
      fail(op, "var ", var.shape(), " does not fit input ", input.shape(), ": expected ",
           input.shape(), ", ", without_last, " or ", last_one);
    }
  } else if (!(var.shape() == input.shape())) {
    fail(op, "var ", var.shape(), " does not fit input ", input.shape());
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  backend(var.device())
      .check_values(op, var, {0, infinity, "var has negative entries", /*allows_nan=*/true});
  return fitted;
}

}  // namespace

Tensor gaussian_nll_loss(const TensorArg& input, const Tensor& target, const Tensor& var,
                         GaussianNLLLossOptions options) {
  const CompositeScope scope(input);
  check_same_shape("gaussian_nll_loss", input, target);
  return pointwise_loss(formulas::GaussianNll{options.eps, options.full}, {}, options.reduction,
                        MeanOver::Elements, input, target, fitted_variance(input, var));
}

Tensor gaussian_nll_loss(const TensorArg& input, const Tensor& target, double var,
                         GaussianNLLLossOptions options) {
  check_defined("gaussian_nll_loss", input);
  return gaussian_nll_loss(
      input, target,
      full(input->shape(), var, {.dtype = input->dtype(), .device = input->device()}), options);
}

}  // namespace ebb::nn
