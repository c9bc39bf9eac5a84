#include "ebb/nn/utils/clip_grad.h"

#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/core/grad_mode.h"

namespace ebb::nn::utils {
namespace {

struct Gradient {
  Tensor parameter, value;
};

std::vector<Gradient> gradients_of(std::string_view op, const std::vector<Tensor>& parameters) {
  std::vector<Gradient> gradients;
  for (const Tensor& p : parameters) {
    check_defined(op, p);
    const Tensor g = p.grad();
    if (!g.defined()) continue;
    if (!gradients.empty() && gradients[0].value.device() != g.device()) {
      fail(op, "devices differ: a gradient on ", gradients[0].value.device(), " and one on ",
           g.device());
    }
    gradients.push_back({p, g.detach()});
  }
  return gradients;
}

// Returns the contribution of one gradient to the norm, in f64: sum |g|^p, or max |g|.
Tensor part_of_norm(const Tensor& g, double p) {
  const Tensor x = g.to(DType::F64);
  if (std::isinf(p)) return x.numel() == 0 ? scalar(0.0, x.device()).to(f64) : amax(abs(x));
  if (p == 2) return sum(square(x));
  if (p == 1) return sum(abs(x));
  return sum(pow(abs(x), p));
}

}  // namespace

Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type,
                       bool error_if_nonfinite) {
  constexpr const char* op = "clip_grad_norm_";
  if (!(max_norm >= 0)) fail(op, "expected a max_norm of at least 0, got ", max_norm);
  if (!(norm_type > 0)) fail(op, "expected a norm_type above 0, got ", norm_type);
  const NoGrad guard;
  std::vector<Gradient> gradients = gradients_of(op, parameters);
  if (gradients.empty()) return scalar(0.0, f64);

  Tensor norm;
  for (const Gradient& g : gradients) {
    const Tensor part = part_of_norm(g.value, norm_type);
    if (!norm.defined()) norm = part;
    else norm = std::isinf(norm_type) ? maximum(norm, part) : norm + part;
  }
  if (norm_type == 2) norm = sqrt(norm);
  else if (norm_type != 1 && !std::isinf(norm_type)) norm = pow(norm, 1 / norm_type);
  if (error_if_nonfinite && !std::isfinite(norm.item())) {
    fail(op, "the norm of the gradients is ", norm.item(), ": a gradient is NaN or infinite");
  }

  const Tensor factor = clamp_max(max_norm / (norm + 1e-6), 1);
  for (Gradient& g : gradients) {
    g.parameter.set_grad(g.value * factor.to(g.value.dtype()));
  }
  return norm;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value) {
  constexpr const char* op = "clip_grad_value_";
  if (!(clip_value >= 0)) fail(op, "expected a clip_value of at least 0, got ", clip_value);
  const NoGrad guard;
  for (Gradient& g : gradients_of(op, parameters)) {
    g.parameter.set_grad(clamp(g.value, -clip_value, clip_value));
  }
}

}  // namespace ebb::nn::utils
