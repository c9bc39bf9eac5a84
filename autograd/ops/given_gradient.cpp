// Compares explicit gradients of formulas with the derivative of the formula.
#include <cmath>

#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"

namespace ebb {
namespace {

constexpr int64_t kSamples = 16;

bool agree(double a, double b) {
  return std::fabs(a - b) <= 1e-9 + 1e-6 * (std::fabs(a) + std::fabs(b));
}

// Returns true, and the index, if all values are finite and some partial differs.
bool differ(const FormulaOp& op, const void* formula, const double* x, int& which, double* given,
            double* derived) {
  op.check(formula, x, given, derived);
  for (which = 0; which < op.arity; ++which) {
    const bool finite = std::isfinite(given[which]) && std::isfinite(derived[which]);
    if (finite && !(op.masks >> which & 1) && !agree(given[which], derived[which])) return true;
  }
  return false;
}

double element(const Tensor& t, int64_t index) {
  int64_t offset = 0;
  for (int d = t.dim() - 1; d >= 0; --d) {
    offset += index % t.shape()[d] * t.strides()[d];
    index /= t.shape()[d];
  }
  return t.dtype() == DType::F32 ? static_cast<double>(t.data<float>()[offset])
                                 : t.data<double>()[offset];
}

}  // namespace

void detail::check_given_gradient(const FormulaOp& op, const void* formula,
                                  std::span<const Tensor* const> x) {
  const NoGrad guard;
  Shape shape = x[0]->shape();
  for (const Tensor* t : x) shape = broadcast_shapes(op.name, shape, t->shape());
  const int64_t n = shape.numel(), step = std::max<int64_t>(1, n / kSamples);
  std::vector<Tensor> inputs;
  for (const Tensor* t : x) {
    const Tensor here = expand(t->detach().to(Device::cpu()), shape);
    inputs.push_back(is_floating(here.dtype()) ? here : here.to(DType::F64));
  }
  for (int64_t i = 0; i < n; i += step) {
    double at[kMaxArity], beside[kMaxArity], given[kMaxArity], derived[kMaxArity], other[kMaxArity],
        another[kMaxArity];
    int which = 0, there = 0;
    std::string position;
    for (size_t k = 0; k < inputs.size(); ++k) {
      at[k] = element(inputs[k], i);
      beside[k] = at[k] + 1.234e-3 * static_cast<double>(k + 1) * (1 + std::fabs(at[k]));
      position += (k ? ", " : "") + to_text(at[k]);
    }
    if (!differ(op, formula, at, which, given, derived) ||
        !differ(op, formula, beside, there, other, another))
      continue;
    fail(op.name, "the explicit gradient of input ", which, " is ", given[which], " at (", position,
         "), the derivative of the formula is ", derived[which]);
  }
}

}  // namespace ebb
