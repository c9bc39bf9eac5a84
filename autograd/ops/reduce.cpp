#include "ebb/autograd/ops/reduce.h"

#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

// Which dims are reduced, how the result looks, and how the input is read as (outer, n, inner).
struct Plan {
  bool reduced[kMaxDims] = {};
  Shape kept;  // with size 1 in the reduced dims
  Shape out;   // as the caller wants it
  RowsShape rows;
  bool adjacent;  // the reduced dims lie side by side: no need to move elements
};

Plan plan_reduction(std::string_view op, const Tensor& x, const Shape& dims, bool keepdim) {
  check_defined(op, x);
  Plan plan;
  for (int64_t d : dims) {
    bool& flag = plan.reduced[normalize_dim(op, d, x.dim())];
    if (flag && x.dim() > 0) fail(op, "dim ", d, " appears twice in ", dims);
    flag = true;
  }
  int first = -1, last = -1, count = 0;
  plan.kept = x.shape();
  for (int i = 0; i < x.dim(); ++i) {
    if (dims.empty()) plan.reduced[i] = true;
    if (plan.reduced[i]) {
      if (first < 0) first = i;
      last = i;
      ++count;
      plan.kept[i] = 1;
    }
    if (!plan.reduced[i] || keepdim) plan.out.push_back(plan.kept[i]);
  }
  plan.adjacent = count == 0 || last - first + 1 == count;
  plan.rows = {1, 1, 1};
  for (int i = 0; i < x.dim(); ++i) {
    if (plan.reduced[i]) plan.rows.n *= x.shape()[i];
    else if (plan.adjacent && i > last) plan.rows.inner *= x.shape()[i];
    else plan.rows.outer *= x.shape()[i];
  }
  return plan;
}

// x in memory as plan.rows says.
Tensor arranged(const Plan& plan, const Tensor& x) {
  if (plan.adjacent) return x.contiguous();
  Shape order;
  for (int i = 0; i < x.dim(); ++i) {
    if (!plan.reduced[i]) order.push_back(i);
  }
  for (int i = 0; i < x.dim(); ++i) {
    if (plan.reduced[i]) order.push_back(i);
  }
  return permute(x, order).contiguous();
}

Tensor reduce(ReduceKind kind, const Plan& plan, const Tensor& x) {
  const DType dtype = kind == ReduceKind::Sum && !is_floating(x.dtype()) ? DType::I64 : x.dtype();
  Tensor out = empty(plan.out, {.dtype = dtype, .device = x.device()});
  const Tensor in = arranged(plan, dtype == x.dtype() ? x : x.to(dtype));
  backend(x.device()).reduce(kind, out, in, plan.rows);
  return out;
}

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

void check_not_empty(std::string_view op, const Plan& plan, const Tensor& x) {
  if (plan.rows.n == 0 && plan.rows.outer * plan.rows.inner > 0) {
    fail(op, "cannot reduce dims of size 0 of shape ", x.shape());
  }
}

// Max and min: each of the equal extreme elements gets an even share of the gradient.
template <ReduceKind kKind> struct Extreme {
  static constexpr std::string_view name = kKind == ReduceKind::Max ? "max" : "min";
  struct State {
    Saved x, out;
    Shape kept;
    Shape dims;
  };
  static Plan shape(const Tensor& x, const Shape& dims, bool keepdim) {
    Plan plan = plan_reduction(name, x, dims, keepdim);
    check_not_empty(name, plan, x);
    if (x.dtype() == DType::U8 || x.dtype() == DType::Bool) {
      fail(name, "expected f32, f64 or i64, got ", x.dtype(), " of shape ", x.shape(),
           ": convert it with to()");
    }
    return plan;
  }
  static Tensor forward(State& state, const Plan& plan, const Tensor& x, const Shape& dims, bool) {
    Tensor out = reduce(kKind, plan, x);
    state = {Saved(x), Saved::output(out), plan.kept, dims};
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    const Tensor x = state.x.get().detach();
    const Tensor mask = equal(x, reshape(state.out.get().detach(), state.kept)).to(x.dtype());
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
    // -inf everywhere: the shares are 0, not exp(-inf + inf).
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

Tensor max(const TensorArg& x, const Shape& dims, bool keepdim) {
  return apply<Extreme<ReduceKind::Max>>(*x, dims, keepdim);
}
Tensor min(const TensorArg& x, const Shape& dims, bool keepdim) {
  return apply<Extreme<ReduceKind::Min>>(*x, dims, keepdim);
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
