#include "ebb/autograd/ops/statistics.h"

#include <algorithm>
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/reduce_plan.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

Tensor number(const Tensor& like, double value) {
  return full({}, value, {.dtype = like.dtype(), .device = like.device()});
}

// Returns a / b, and 0 where b is 0.
Tensor quotient_or_zero(const Tensor& a, const Tensor& b) {
  const Tensor zero = number(b, 0), nothing = eq(b.detach(), zero);
  return where(nothing, zero, div(a, where(nothing, number(b, 1), b)));
}

struct Variance {
  static constexpr std::string_view name = "var";
  struct State {
    Saved x;
    Shape kept, dims;
    double divisor;
  };
  static detail::ReducePlan shape(const Tensor& x, const Shape& dims, double, bool keepdim) {
    check_floating(name, x);
    return detail::plan_reduction(name, x, dims, keepdim);
  }
  static Tensor forward(State& state, const detail::ReducePlan& plan, const Tensor& x,
                        const Shape& dims, double correction, bool) {
    const double divisor = std::max(0.0, static_cast<double>(plan.rows.n) - correction);
    state = {Saved(x), plan.kept, dims, divisor};
    return div(detail::reduce(ReduceKind::SquaredDeviations, plan, x), divisor);
  }
  static Tensor backward(const State& state, const Tensor& g) {
    const Tensor x = state.x.get();
    return mul(mul(reshape(g, state.kept), 2 / state.divisor), sub(x, mean(x, state.dims, true)));
  }
};

// The Euclidean norm.
struct Norm {
  static constexpr std::string_view name = "norm";
  struct State {
    Saved x, out;
    Shape kept;
  };
  static detail::ReducePlan shape(const Tensor& x, const Shape& dims, bool keepdim) {
    return detail::plan_reduction(name, x, dims, keepdim);
  }
  static Tensor forward(State& state, const detail::ReducePlan& plan, const Tensor& x, const Shape&,
                        bool) {
    Tensor out = sqrt(detail::reduce(ReduceKind::SumOfSquares, plan, x));
    state = {Saved(x), Saved::output(out), plan.kept};
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return mul(state.x.get(), reshape(quotient_or_zero(g, state.out.get()), state.kept));
  }
};

}  // namespace

Tensor var(const TensorArg& x, const Shape& dims, double correction, bool keepdim) {
  return apply<Variance>(*x, dims, correction, keepdim);
}

Tensor std(const TensorArg& x, const Shape& dims, double correction, bool keepdim) {
  const CompositeScope scope(x);
  check_floating("std", x);
  detail::plan_reduction("std", x, dims, keepdim);
  const Tensor v = var(x, dims, correction, keepdim);
  const Tensor zero = number(v, 0), nothing = eq(v.detach(), zero);
  return where(nothing, zero, sqrt(where(nothing, number(v, 1), v)));
}

Tensor norm(const TensorArg& x, double p, const Shape& dims, bool keepdim) {
  const CompositeScope scope(x);
  check_floating("norm", x);
  if (std::isnan(p)) fail("norm", "expected a number p, got NaN");
  const detail::ReducePlan plan = detail::plan_reduction("norm", x, dims, keepdim);
  if (p == 2) return apply<Norm>(*x, dims, keepdim);
  if (std::isinf(p)) {
    detail::check_not_empty("norm", plan, x);
    return p > 0 ? amax(abs(x), dims, keepdim) : amin(abs(x), dims, keepdim);
  }
  if (p == 0) return sum(not_equal(x, number(x, 0)).to(x->dtype()), dims, keepdim);
  if (p == 1) return sum(abs(x), dims, keepdim);
  // For p < 1 the derivative of |x|^p is infinite at 0. torch has 0 there, and 0 where the norm is
  // 0.
  const Tensor zero = number(x, 0), one = number(x, 1), at_zero = eq(x->detach(), zero);
  const Tensor size = where(at_zero, zero, pow(abs(where(at_zero, one, x)), p));
  const Tensor total = p < 0 ? sum(pow(abs(x), p), dims, keepdim) : sum(size, dims, keepdim);
  const Tensor nothing = eq(total.detach(), zero);
  return where(nothing, zero, pow(where(nothing, one, total), 1 / p));
}

Tensor normalize(const TensorArg& x, double p, int64_t dim, double eps) {
  const CompositeScope scope(x);
  check_floating("normalize", x);
  normalize_dim("normalize", dim, x->dim());
  return div(x, clamp_min(norm(x, p, {dim}, true), eps));
}

Tensor cosine_similarity(const TensorArg& x1, const Tensor& x2, int64_t dim, double eps) {
  const CompositeScope scope(x1);
  const Tensor* both[] = {&*x1, &x2};
  for (const Tensor* x : both) check_floating("cosine_similarity", *x);
  check_same_kind("cosine_similarity", both);
  const Shape shape = broadcast_shapes("cosine_similarity", x1->shape(), x2.shape());
  const int d = normalize_dim("cosine_similarity", dim, shape.dim());
  const Tensor a = expand(x1, shape), b = expand(x2, shape);
  // Clamping does not change the gradient, as in torch.
  const auto length = [&](const Tensor& x) {
    const Tensor n = norm(x, 2, {d}, true), at = n.detach();
    return add(n, sub(clamp_min(at, eps), at));
  };
  return sum(mul(div(a, length(a)), div(b, length(b))), {d});
}

}  // namespace ebb
