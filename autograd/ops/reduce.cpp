#include "ebb/autograd/ops/reduce.h"

#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce_plan.h"
#include "ebb/autograd/ops/sorting.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

using detail::check_not_empty;
using detail::plan_reduction;
using detail::reduce;
using Plan = detail::ReducePlan;

struct Sum {
  static constexpr std::string_view name = "sum";
  struct State {
    Shape kept, input;
  };
  static Plan shape(const Tensor& x, const Shape& dims, bool keepdim) {
    return plan_reduction(name, x, dims, keepdim);
  }
  static Tensor forward(State& state, const Plan& plan, const Tensor& x, const Shape&, bool) {
    state = {plan.kept, x.shape()};
    return reduce(ReduceKind::Sum, plan, x);
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return expand(reshape(g, state.kept), state.input);
  }
};

struct Product {
  static constexpr std::string_view name = "prod";
  struct State {
    Saved x;
    Plan plan;
  };
  static Plan shape(const Tensor& x, const Shape& dims, bool keepdim) {
    return plan_reduction(name, x, dims, keepdim);
  }
  static Tensor forward(State& state, const Plan& plan, const Tensor& x, const Shape&, bool) {
    state = {Saved(x), plan};
    return reduce(ReduceKind::Product, plan, x);
  }
  // The gradient of each element is the product of the elements before it times that of the
  // elements after it.
  static Tensor backward(const State& state, const Tensor& g) {
    const Tensor x = state.x.get();
    Shape order, inverse = x.shape();
    for (const bool reduced : {false, true}) {
      for (int i = 0; i < x.dim(); ++i) {
        if (state.plan.reduced[i] != reduced) continue;
        inverse[i] = order.dim();
        order.push_back(i);
      }
    }
    const auto [outer, n, inner] = state.plan.rows;
    const Tensor last = permute(x, order), rows = reshape(last, {outer * inner, n});
    const Tensor others = mul(detail::product_of_others_before(rows, 1, false),
                              detail::product_of_others_before(rows, 1, true));
    return mul(permute(reshape(others, last.shape()), inverse), reshape(g, state.plan.kept));
  }
};

// Max and min. Equal extreme elements share the gradient evenly.
template <ReduceKind kKind> struct Extreme {
  static constexpr std::string_view name = kKind == ReduceKind::Max ? "amax" : "amin";
  struct State {
    Saved x, out;
    Shape kept;
    Shape dims;
  };
  static Plan shape(const Tensor& x, const Shape& dims, bool keepdim) {
    Plan plan = plan_reduction(name, x, dims, keepdim);
    check_not_empty(name, plan, x);
    return plan;
  }
  static Tensor forward(State& state, const Plan& plan, const Tensor& x, const Shape& dims, bool) {
    Tensor out = reduce(kKind, plan, x);
    state = {Saved(x), Saved::output(out), plan.kept, dims};
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    const Tensor x = state.x.get().detach();
    const Tensor mask = eq(x, reshape(state.out.get().detach(), state.kept)).to(x.dtype());
    return mul(div(mask, sum(mask, state.dims, true)), reshape(g, state.kept));
  }
};

struct LogSumExp {
  static constexpr std::string_view name = "logsumexp";
  struct State {
    Saved x, out;
    Shape kept;
  };
  static Plan shape(const Tensor& x, const Shape& dims, bool keepdim) {
    check_floating(name, x);
    return plan_reduction(name, x, dims, keepdim);
  }
  static Tensor forward(State& state, const Plan& plan, const Tensor& x, const Shape&, bool) {
    Tensor out = reduce(ReduceKind::LogSumExp, plan, x);
    state = {Saved(x), Saved::output(out), plan.kept};
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    const Tensor x = state.x.get();
    const Tensor out = reshape(state.out.get(), state.kept);
    // If all elements are -inf, the gradients are 0 instead of exp(-inf + inf).
    const Tensor shift =
        where(out == -std::numeric_limits<double>::infinity(), zeros_like(out), out);
    return mul(exp(sub(x, shift)), reshape(g, state.kept));
  }
};

Tensor arg_extreme(std::string_view op, ReduceKind kind, const Tensor& x, int64_t dim,
                   bool keepdim) {
  check_defined(op, x);
  const Plan plan = plan_reduction(op, x, {dim}, keepdim);
  check_not_empty(op, plan, x);
  const NoGrad guard;
  Tensor index = empty(plan.out, {.dtype = DType::I64, .device = x.device()});
  backend(x.device()).arg_reduce(kind, index, x.contiguous(), plan.rows);
  return index;
}

void check_some(std::string_view op, const Tensor& x) {
  check_defined(op, x);
  if (x.numel() == 0) fail(op, "expected at least one element, got shape ", x.shape());
}

// The index keeps dim, so that gather has the right gradient.
std::tuple<Tensor, Tensor> extreme_along(std::string_view op, ReduceKind kind, const TensorArg& x,
                                         int64_t dim, bool keepdim) {
  const CompositeScope scope(x, op);
  const Tensor index = arg_extreme(op, kind, x, dim, true);
  const Tensor values = gather(x, dim, index);
  if (keepdim || x->dim() == 0) return {values, index};
  return {squeeze(values, dim), squeeze(index, dim)};
}

// Returns Max or Min of booleans, which are any() and all().
Tensor truth(std::string_view op, ReduceKind kind, const Tensor& x, const Shape& dims,
             bool keepdim) {
  const Plan plan = plan_reduction(op, x, dims, keepdim);
  const NoGrad guard;
  if (plan.rows.n == 0) {
    return full(plan.out, kind == ReduceKind::Min, {.dtype = DType::Bool, .device = x.device()});
  }
  const Tensor zero = zeros({}, {.dtype = x.dtype(), .device = x.device()});
  return reduce(kind, plan, x.dtype() == DType::Bool ? x.detach() : not_equal(x.detach(), zero));
}

}  // namespace

Tensor sum(const TensorArg& x, const Shape& dims, bool keepdim) {
  return apply<Sum>(*x, dims, keepdim);
}

Tensor mean(const TensorArg& x, const Shape& dims, bool keepdim) {
  const CompositeScope scope(x);
  check_floating("mean", x);
  const Plan plan = plan_reduction("mean", x, dims, keepdim);
  return div(sum(x, dims, keepdim), static_cast<double>(plan.rows.n));
}

Tensor prod(const TensorArg& x, const Shape& dims, bool keepdim) {
  return apply<Product>(*x, dims, keepdim);
}
Tensor amax(const TensorArg& x, const Shape& dims, bool keepdim) {
  return apply<Extreme<ReduceKind::Max>>(*x, dims, keepdim);
}
Tensor amin(const TensorArg& x, const Shape& dims, bool keepdim) {
  return apply<Extreme<ReduceKind::Min>>(*x, dims, keepdim);
}
Tensor max(const TensorArg& x) {
  check_some("max", x);
  return amax(x);
}
Tensor min(const TensorArg& x) {
  check_some("min", x);
  return amin(x);
}
std::tuple<Tensor, Tensor> max(const TensorArg& x, int64_t dim, bool keepdim) {
  return extreme_along("max", ReduceKind::Max, x, dim, keepdim);
}
std::tuple<Tensor, Tensor> min(const TensorArg& x, int64_t dim, bool keepdim) {
  return extreme_along("min", ReduceKind::Min, x, dim, keepdim);
}
Tensor logsumexp(const TensorArg& x, const Shape& dims, bool keepdim) {
  return apply<LogSumExp>(*x, dims, keepdim);
}

Tensor argmax(const TensorArg& x, int64_t dim, bool keepdim) {
  return arg_extreme("argmax", ReduceKind::Max, x, dim, keepdim);
}
Tensor argmin(const TensorArg& x, int64_t dim, bool keepdim) {
  return arg_extreme("argmin", ReduceKind::Min, x, dim, keepdim);
}
Tensor argmax(const TensorArg& x) {
  check_some("argmax", x);
  return arg_extreme("argmax", ReduceKind::Max, flatten(x->detach()), 0, false);
}
Tensor argmin(const TensorArg& x) {
  check_some("argmin", x);
  return arg_extreme("argmin", ReduceKind::Min, flatten(x->detach()), 0, false);
}

Tensor any(const TensorArg& x, const Shape& dims, bool keepdim) {
  return truth("any", ReduceKind::Max, x, dims, keepdim);
}
Tensor all(const TensorArg& x, const Shape& dims, bool keepdim) {
  return truth("all", ReduceKind::Min, x, dims, keepdim);
}

bool equal(const TensorArg& a, const Tensor& b) {
  check_defined("equal", a);
  check_defined("equal", b);
  if (a->device() != b.device())
    fail("equal", "devices differ: ", a->device(), " and ", b.device());
  if (a->dtype() != b.dtype()) {
    fail("equal", "dtypes differ: ", a->dtype(), " of shape ", a->shape(), " and ", b.dtype(),
         " of shape ", b.shape());
  }
  if (!(a->shape() == b.shape())) return false;
  const NoGrad guard;
  return all(eq(a, b)).item<bool>();
}

bool allclose(const TensorArg& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  check_defined("allclose", a);
  check_defined("allclose", b);
  const Tensor* both[] = {&*a, &b};
  check_same_kind("allclose", both);
  broadcast_shapes("allclose", a->shape(), b.shape());
  const NoGrad guard;
  if (!is_floating(b.dtype())) return allclose(a->to(DType::F64), b.to(DType::F64), rtol, atol);
  const Tensor apart = abs(sub(a, b));
  Tensor near = logical_and(less_equal(apart, add(mul(abs(b), rtol), atol)), isfinite(apart));
  near = logical_or(near, eq(a, b));
  if (equal_nan) near = logical_or(near, logical_and(isnan(a), isnan(b)));
  return all(near).item<bool>();
}

Tensor sum_to(const TensorArg& x, const Shape& shape) {
  const CompositeScope scope(x);
  check_defined("sum_to", x);
  if (x->shape() == shape) return *x;
  if (!broadcasts_to(shape, x->shape()))
    fail("sum_to", "shape ", shape, " does not broadcast to ", x->shape());
  const int lead = x->dim() - shape.dim();
  Shape dims;
  for (int i = 0; i < x->dim(); ++i) {
    if (i < lead || shape[i - lead] != x->shape()[i]) dims.push_back(i);
  }
  return reshape(dims.empty() ? *x : sum(x, dims, true), shape);
}

}  // namespace ebb
