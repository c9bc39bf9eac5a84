#include "ebb/autograd/ops/reduce_plan.h"

#include "ebb/autograd/ops/views.h"

namespace ebb::detail {

ReducePlan plan_reduction(std::string_view op, const Tensor& x, const Shape& dims, bool keepdim) {
  check_defined(op, x);
  ReducePlan plan;
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

// Returns x as a contiguous tensor (outer, n, inner) of plan.rows.
static Tensor arranged(const ReducePlan& plan, const Tensor& x) {
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

Tensor reduce(ReduceKind kind, const ReducePlan& plan, const Tensor& x) {
  const DType dtype =
      (kind == ReduceKind::Sum || kind == ReduceKind::Product) && !is_floating(x.dtype())
          ? DType::I64
          : x.dtype();
  Tensor out = empty(plan.out, {.dtype = dtype, .device = x.device()});
  const Tensor in = arranged(plan, dtype == x.dtype() ? x : x.to(dtype));
  backend(x.device()).reduce(kind, out, in, plan.rows);
  return out;
}

void check_not_empty(std::string_view op, const ReducePlan& plan, const Tensor& x) {
  if (plan.rows.n == 0 && plan.rows.outer * plan.rows.inner > 0) {
    fail(op, "cannot reduce dims of size 0 of shape ", x.shape());
  }
}

}  // namespace ebb::detail
